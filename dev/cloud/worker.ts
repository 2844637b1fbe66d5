/**
 * The Worker under wrangler.
 * @module
 */
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { type Child, sleep, startChild } from "./child.ts";
import type { Cloud } from "./cloud.ts";
import type { DataFolder } from "./data-folder.ts";
import { systemEnvironment } from "./environment.ts";
import { withOpenFiles } from "./open-files.ts";
import { CloudProblem } from "./problem.ts";
import { createWranglerOutput } from "./wrangler-output.ts";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");
/** From the last build on. */
const READY_TIMEOUT_MS = 90_000;

/** Settings with a default in the code, which wrangler.toml does not name. */
const UNNAMED_SETTINGS = [
  "REDIS_TIMEOUT_MS",
  "EFFECTS_PATIENCE_MS",
  "SWEEP_SECONDS",
  "ROOM_SOCKETS_MAX",
  "USER_SOCKETS_MAX",
];

/** The Worker's configuration. */
export const WRANGLER_CONFIG = join(ROOT, "wrangler.toml");

export type WorkerOptions = {
  port: number;
  /** Of `loopbackHosts()`. */
  hosts: readonly string[];
  /** Become an env file in the data folder, readable by its owner alone. */
  settings: Record<string, string>;
  /** Takes each line that is worth showing. */
  print: (line: string) => void;
  log: (line: string) => void;
  signal: AbortSignal;
};

/**
 * Starts `wrangler dev` as a part of the cloud and waits until it serves requests. While the code does not build
 * it waits for a change that does.
 * @throws {CloudProblem} when it ends, or does not serve requests within 90 s after a build
 */
export async function serveWorker(cloud: Cloud, url: string, options: WorkerOptions): Promise<void> {
  let deadline = Date.now() + READY_TIMEOUT_MS;
  let ready = false;
  const understand = createWranglerOutput();
  // "localhost" listens on both loopback addresses, and not at all where ::1 is missing.
  const ip = options.hosts.length > 1 ? "localhost" : "127.0.0.1";
  const child = startWorker(cloud.folder, options.port, options.settings, takeLine, ip, options.log);
  cloud.watch(child, "worker");

  function takeLine(line: string): void {
    const { show, event } = understand(line);
    // Wrangler colours its messages whether a terminal reads them or not.
    if (show) options.print(process.stdout.isTTY ? line : stripVTControlCharacters(line));
    if (event === "building") deadline = Date.now() + READY_TIMEOUT_MS;
    if (event === "broken build" && !ready) {
      deadline = Infinity;
      options.log("the Worker does not build: mend the error above, and it starts");
    }
    if (event === "crashed runtime") {
      cloud.fail(
        new CloudProblem(
          "The Worker's runtime (workerd) crashed",
          "Everything else was stopped; start again with `npm run dev`",
          child.lastLines(),
        ),
      );
    }
  }

  for (;;) {
    const health = await workerHealth(url);
    if (health === "ok") {
      ready = true;
      return;
    }
    options.signal.throwIfAborted();
    if (child.ended()) throw await cloud.failed;
    if (Date.now() > deadline) {
      throw new CloudProblem(
        health === undefined ? "The Worker does not answer" : `The Worker answers, but reports ${health}`,
        "Its last log lines are above; mend what they name and start again",
        child.lastLines(),
      );
    }
    await sleep(100);
  }
}

/**
 * Starts `wrangler dev`. It serves when `workerHealth` is "ok", not before.
 * @param settings become an env file in the data folder, readable by its owner alone
 * @param ip an address or name of this machine
 * @param script runs instead of the Worker's own entry
 * @param warn is told of a limit of this machine
 */
export function startWorker(
  folder: DataFolder,
  port: number,
  settings: Record<string, string>,
  onLine: (line: string) => void,
  ip = "127.0.0.1",
  warn: (line: string) => void = () => {},
  script?: string,
): Child {
  const envFile = folder.file("worker.env");
  writeFileSync(
    envFile,
    Object.entries(settings)
      .map(([name, value]) => `${name}=${JSON.stringify(value)}\n`)
      .join(""),
    { mode: 0o600 },
  );
  const [command, ...args] = withOpenFiles(
    [
      process.execPath,
      join(ROOT, "node_modules/wrangler/bin/wrangler.js"),
      "dev",
      ...(script === undefined ? [] : [script]),
      "--local",
      `--config=${WRANGLER_CONFIG}`,
      "--env=",
      // The only file of settings: with it, wrangler reads neither .dev.vars nor .env.
      `--env-file=${envFile}`,
      // Wrangler takes from that file only what wrangler.toml names.
      ...UNNAMED_SETTINGS.flatMap((name) =>
        settings[name] === undefined ? [] : [`--var=${name}:${settings[name]}`],
      ),
      `--port=${port}`,
      `--ip=${ip}`,
      "--inspector-port=0",
      `--persist-to=${folder.file("worker")}`,
      "--show-interactive-dev-session=false",
      "--log-level=log",
    ],
    warn,
  );
  return startChild({
    name: "The Worker",
    command,
    args,
    cwd: ROOT,
    env: {
      // Wrangler gives what is set here precedence over the file.
      ...systemEnvironment(),
      WRANGLER_SEND_METRICS: "false",
      WRANGLER_HIDE_BANNER: "true",
      WRANGLER_LOG_PATH: folder.file("logs", "wrangler"),
      WRANGLER_REGISTRY_PATH: folder.file("worker", "registry"),
      WRANGLER_CACHE_DIR: folder.file("worker", "cache"),
      CLOUDFLARE_CF_FETCH_ENABLED: "false",
      CI: "true",
    },
    logFile: folder.logFile("worker"),
    ledger: folder.ledger,
    onLine,
  });
}

/**
 * "ok" when the Worker and all it needs work; else what it reports; `undefined` while it does not answer. Work that the
 * last run left undone is not waited for: the cron triggers, which fire later, do it.
 */
export async function workerHealth(url: string): Promise<string | undefined> {
  try {
    const response = await fetch(`${url}/api/health`, { signal: AbortSignal.timeout(5_000) });
    const { checks, detail } = (await response.json()) as {
      checks?: Record<string, string>;
      detail?: string;
    };
    const down = Object.entries(checks ?? {}).filter(([name, state]) => state !== "ok" && name !== "effects");
    if (checks && down.length === 0) return "ok";
    return down.map(([name, state]) => `${name} ${state}`).join(", ") || `${response.status} ${detail}`;
  } catch {
    return undefined;
  }
}
