/**
 * `npm run dev`: the local cloud and the Worker on it.
 * @module
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { sleep } from "./cloud/child.ts";
import { type Cloud, deathProblem, startCloud } from "./cloud/cloud.ts";
import { migrate } from "./cloud/migrate.ts";
import { claimPort, PORT_SETTINGS, portsFromEnvironment } from "./cloud/ports.ts";
import { CloudProblem } from "./cloud/problem.ts";
import { workerSettings } from "./cloud/settings.ts";
import { fireCronTriggers, startWorker, workerHealth } from "./cloud/worker.ts";
import { seedDemo } from "./seed/demo.ts";

const HELP = `npm run dev -- [--reset] [--help]

Starts a private database, a private Redis, the PlanetScale, Upstash and QStash gateways and the Worker.
Ctrl-C stops all of it; the data stays for the next start.

  --reset   start clean: deletes the data folder's content first

Environment:
  LIVEFORUM_DATA_DIR    data folder, default .local/dev in the checkout
${Object.values(PORT_SETTINGS)
  .map(({ variable, fallback, title }) => `  ${variable.padEnd(26)}port of ${title}, default ${fallback}`)
  .join("\n")}
  LIVEFORUM_MYSQL_URL   use this database (mysql://user:password@host:port/database) instead of a private one
  LIVEFORUM_REDIS_URL   use this Redis (redis://…) instead of a private one
`;

const BCRYPT_COST = 10;
const READY_TIMEOUT_MS = 90_000;
/** Origins of front ends in development: Next.js and Vite. */
const CORS_ORIGINS = ["http://localhost:3000", "http://localhost:5173"];

async function main(): Promise<void> {
  const { reset, help } = flags();
  if (help) {
    console.log(HELP);
    return;
  }
  const stop = stopSignal();
  const startedAt = Date.now();
  const dataDir =
    process.env.LIVEFORUM_DATA_DIR ?? join(dirname(fileURLToPath(import.meta.url)), "../.local/dev");
  const ports = portsFromEnvironment(process.env);
  const cloud = await startCloud({ dataDir, ports, qstashSpeed: 1, reset, log, signal: stop.signal });
  let stopCron = (): void => {};
  try {
    const port = await claimPort("worker", ports.worker);
    const url = `http://localhost:${port}`;
    const settings = workerSettings(cloud.secrets, {
      planetscaleUrl: cloud.planetscaleUrl,
      upstashUrl: cloud.upstashUrl,
      qstashUrl: cloud.qstashUrl,
      publicUrl: url,
      corsOrigins: CORS_ORIGINS,
      rateLimitScale: 1,
      bcryptCost: BCRYPT_COST,
    });
    const databaseUrl = settings.DATABASE_URL ?? "";
    await stop.orElse(migrate(databaseUrl));
    await stop.orElse(seedDemo(databaseUrl, BCRYPT_COST));
    await stop.orElse(runWorker(cloud, port, settings, stop.signal));
    cloud.folder.announce(url);
    printTable(url, cloud);
    console.log(`ready ${url}`);
    log(`(after ${((Date.now() - startedAt) / 1000).toFixed(1)} s; Ctrl-C stops everything)`);
    stopCron = fireCronTriggers(url, log);
    const death = await stop.orElse(cloud.died);
    throw deathProblem(death);
  } finally {
    stopCron();
    await cloud.close();
  }
}

async function runWorker(
  cloud: Cloud,
  port: number,
  settings: Record<string, string>,
  signal: AbortSignal,
): Promise<void> {
  const worker = startWorker(cloud.folder, port, settings, (line) => {
    if (line.trim() !== "" && !isNoise(line)) console.log(line);
  });
  cloud.watch(worker);
  const deadline = Date.now() + READY_TIMEOUT_MS;
  let dead: CloudProblem | undefined;
  void cloud.died.then((death) => {
    dead = deathProblem(death);
  });
  for (;;) {
    const health = await workerHealth(`http://localhost:${port}`);
    if (health === "ok") return;
    signal.throwIfAborted();
    if (dead) throw dead;
    if (Date.now() > deadline) {
      throw new CloudProblem(
        health === undefined
          ? "The Worker does not answer"
          : `The Worker answers, but its health is "${health}"`,
        "Read its log below; if a change broke it, mend it and start again",
        worker.lastLines(),
      );
    }
    await sleep(150);
  }
}

/** What wrangler says that is no news here: it cannot reach Cloudflare, and crons are fired by this program. */
function isNoise(line: string): boolean {
  return /Request\.cf|workers\.cloudflare\.com|GetAddrInfoReqWrap|Scheduled Workers are not automatically|manually trigger a scheduled|cdn-cgi\/local\/scheduled|test-cron-triggers-locally|^\[wrangler:info\] (?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) |^\s*(?:env\.|at )|^Binding|^Your Worker has access|^Using secrets defined|^\[custom build\]/.test(
    line,
  );
}

function printTable(url: string, cloud: Cloud): void {
  const { mysql, secrets } = cloud;
  const rows: [string, string, string][] = [
    ["API", url, ""],
    ["Documentation", `${url}/api/docs`, ""],
    ["Demo admin", "admin@liveforum.local", "liveforum-admin"],
    [
      "Database",
      `mysql://${mysql.host}:${mysql.port}/${mysql.database}`,
      `${mysql.user} / ${mysql.password}`,
    ],
    ["Redis", cloud.redisUrl.replace(/\/\/[^@]*@/, "//"), new URL(cloud.redisUrl).password || "no password"],
    ["PlanetScale gateway", cloud.planetscaleUrl, `${secrets.databaseUser} / ${secrets.databasePassword}`],
    ["Upstash gateway", cloud.upstashUrl, `token ${secrets.upstashToken}`],
    ["QStash gateway", cloud.qstashUrl, `token ${secrets.qstashToken}`],
    ["Data and logs", cloud.folder.path, ""],
  ];
  const header: [string, string, string] = ["What", "Where", "Credentials"];
  const widths = [0, 1].map((column) =>
    Math.max(...[header, ...rows].map((row) => (row[column] ?? "").length)),
  );
  const line = (row: string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  console.log(
    [
      "",
      line(header),
      line(widths.map((width) => "-".repeat(width)).concat("-----------")),
      ...rows.map(line),
      "",
    ].join("\n"),
  );
}

function flags(): { reset: boolean; help: boolean } {
  try {
    const { values } = parseArgs({
      options: { reset: { type: "boolean", default: false }, help: { type: "boolean", default: false } },
    });
    return values;
  } catch (error) {
    const message = error instanceof Error ? (error.message.split(". ")[0] ?? "") : String(error);
    throw new CloudProblem(message, "`npm run dev -- --help` lists what there is");
  }
}

/** Ctrl-C, SIGTERM and a closed terminal ask to stop; a second one ends this program at once. */
function stopSignal() {
  const controller = new AbortController();
  const stopped = new Promise<never>((_, reject) => {
    controller.signal.addEventListener("abort", () => reject(new Stopped()), { once: true });
  });
  stopped.catch(() => undefined);
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(130);
      log("stopping (again to force)");
      controller.abort(new Stopped());
    });
  }
  return {
    signal: controller.signal,
    /** The work's outcome, or `Stopped`. */
    orElse: <T>(work: Promise<T>): Promise<T> => Promise.race([work, stopped]),
  };
}

class Stopped extends Error {}

function log(line: string): void {
  console.log(`[dev] ${line}`);
}

try {
  await main();
  process.exit(0);
} catch (error) {
  if (error instanceof Stopped) process.exit(0);
  if (!(error instanceof CloudProblem)) throw error;
  for (const line of error.logLines) console.error(`  | ${line}`);
  console.error(`[dev] ${error.message}`);
  process.exit(1);
}
