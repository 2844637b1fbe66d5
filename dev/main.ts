/**
 * `npm run dev`: the local cloud and the Worker on it.
 * @module
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { readConfig } from "../src/env.ts";
import { type Cloud, startCloud } from "./cloud/cloud.ts";
import { runCommand } from "./cloud/command.ts";
import { cronTriggers, fireCronTriggers } from "./cloud/cron.ts";
import { migrate } from "./cloud/migrate.ts";
import { OWN_SERVER_SETTINGS, ownServers } from "./cloud/own-servers.ts";
import { claimPort, loopbackHosts, PORT_SETTINGS, portsFromEnvironment } from "./cloud/ports.ts";
import { CloudProblem } from "./cloud/problem.ts";
import { CHOICES, readChoices, workerSettings } from "./cloud/settings.ts";
import { stopSignal } from "./cloud/stop-signal.ts";
import { describeCloud } from "./cloud/table.ts";
import { serveWorker, WRANGLER_CONFIG } from "./cloud/worker.ts";
import { seedDemo } from "./seed/demo.ts";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");

const HELP = `npm run dev -- [--reset] [--help]

Starts a private database, a private Redis, the PlanetScale, Upstash and QStash gateways and the Worker.
Ctrl-C stops all of it; the data stays for the next start. dev/README.md tells more.

  --reset   start clean: deletes all data first

Environment:
${helpLines([
  ["LIVEFORUM_DATA_DIR", "data folder, default .local/dev in the checkout"],
  ...Object.values(PORT_SETTINGS).map(({ variable, fallback, title }): [string, string] => [
    variable,
    `port of ${title}, default ${fallback}`,
  ]),
  ...Object.entries(OWN_SERVER_SETTINGS),
  ...Object.entries(CHOICES).map(([name, fallback]): [string, string] => [
    name,
    `setting of the Worker${fallback === "" ? "" : `, default ${fallback}`}`,
  ]),
])}`;

/** @returns true after its help; else it goes on until it is stopped, or a part of it fails */
async function main(): Promise<boolean> {
  const { reset, help } = flags();
  if (help) {
    console.log(HELP);
    return true;
  }
  const startedAt = performance.now();
  const signal = stopSignal(log);
  const own = ownServers(process.env);
  const ports = portsFromEnvironment(process.env);
  const choices = readChoices(process.env);
  const cloud = await startCloud({
    dataDir: process.env.LIVEFORUM_DATA_DIR || join(ROOT, ".local/dev"),
    ports,
    own,
    qstashSpeed: 1,
    reset,
    log,
    signal,
  });
  let stopCron = (): void => {};
  try {
    const hosts = await loopbackHosts();
    const port = await claimPort("worker", ports.worker, hosts);
    const url = `http://localhost:${port}`;
    const settings = workerSettings(
      cloud.secrets,
      {
        planetscaleUrl: cloud.planetscaleUrl,
        upstashUrl: cloud.upstashUrl,
        qstashUrl: cloud.qstashUrl,
        publicUrl: url,
      },
      choices,
    );
    const { bcryptCost } = checked(settings);
    const orEnd = endOf(cloud, signal);
    await orEnd(prepareDatabase(settings.DATABASE_URL, bcryptCost));
    await orEnd(serveWorker(cloud, url, { port, hosts, settings, print: console.log, log, signal }));
    cloud.folder.announce(url);
    console.log(`\n${describeCloud(cloud, url, own)}\n`);
    console.log(`ready ${url}`);
    log(`after ${((performance.now() - startedAt) / 1_000).toFixed(1)} s; Ctrl-C stops everything`);
    stopCron = fireCronTriggers(url, cronTriggers(WRANGLER_CONFIG), log);
    return await orEnd(new Promise<never>(() => {}));
  } finally {
    stopCron();
    await cloud.close();
  }
}

/** @returns a function that gives the outcome of some work, or throws the reason for the cloud's end if that comes first */
function endOf(cloud: Cloud, signal: AbortSignal): <T>(work: Promise<T>) => Promise<T> {
  const end = Promise.withResolvers<never>();
  const stop = (): void => end.reject(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  void cloud.failed.then(end.reject);
  // It may come while nothing is awaited.
  end.promise.catch(() => {});
  return (work) => Promise.race([work, end.promise]);
}

/** Tables, and in an empty database the demo forum. @throws {CloudProblem} */
async function prepareDatabase(databaseUrl: string, bcryptCost: number): Promise<void> {
  try {
    await migrate(databaseUrl);
    await seedDemo(databaseUrl, bcryptCost);
  } catch (error) {
    let cause = error;
    while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause;
    throw new CloudProblem(
      `The database refuses the migrations or the demo data: ${cause instanceof Error ? cause.message : String(cause)}`,
      "If it was made by another version of this checkout, `npm run dev -- --reset` starts clean",
    );
  }
}

/** @throws {CloudProblem} when the Worker would refuse these settings */
function checked(settings: Record<string, string>): { bcryptCost: number } {
  const result = readConfig(settings);
  if (result.ok) return { bcryptCost: result.config.BCRYPT_COST };
  const [[name, reason] = ["", ""]] = Object.entries(result.problems);
  throw new CloudProblem(`The setting ${name} is wrong: ${String(reason)}`, "Correct it in the environment");
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

function helpLines(lines: readonly [string, string][]): string {
  return lines.map(([name, text]) => `  ${name.padEnd(28)}${text}\n`).join("");
}

function log(line: string): void {
  console.log(`[dev] ${line}`);
}

await runCommand({ name: "dev", main, endless: true });
