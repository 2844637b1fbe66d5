/**
 * `npm run load -- [--minutes <n>] [--sockets <n>] [--lanes <n>] [--seed <n>]`: mixed traffic on a local cloud of its own.
 * @module
 */
import { randomInt } from "node:crypto";
import { mkdirSync, mkdtempSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { startCloud } from "./cloud/cloud.ts";
import { runCommand } from "./cloud/command.ts";
import { migrate } from "./cloud/migrate.ts";
import { claimPort, FREE_PORTS } from "./cloud/ports.ts";
import { CloudProblem } from "./cloud/problem.ts";
import { workerSettings } from "./cloud/settings.ts";
import { stopSignal } from "./cloud/stop-signal.ts";
import { complaintsIn } from "./load/complaints.ts";
import { growthOf, watchRuntime } from "./load/memory.ts";
import { describeReport } from "./load/report.ts";
import { runLoad } from "./load/run.ts";
import { startRuntime } from "./bench/runtime.ts";
import { seedDemo } from "./seed/demo.ts";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const USAGE = `npm run load -- [flags]

Puts a local cloud of its own, on free ports, under mixed traffic: of a hundred requests 80 read, 15 comment and like,
5 sign in, sockets come and go, and sweeps run. It passes when no answer was an error but 429, every socket had every
event in order and none twice, rooms, REST and tables agree in the end with nothing left to be done, and the runtime's
memory does not grow after the first minute.

  --minutes <n>   how long, default 10
  --sockets <n>   how many, default 500; one of five is in somebody's own room
  --lanes <n>     requests at once, default 24: enough to keep two cores busy
  --seed <n>      draws the same requests again
`;
/** Limits travel with every request, and few meet one. */
const RATE_LIMIT_SCALE = "1000";
const BCRYPT_COST = "10";
const PEOPLE = 100;
const POSTS = 20;
const LIVEFORUM = {
  name: "worker",
  config: "wrangler.toml",
  module: "index.js",
  objects: { POST_ROOM: "PostRoom", USER_ROOM: "UserRoom" },
};

type Flags = { minutes: number; sockets: number; lanes: number; seed: number };

async function main(): Promise<boolean> {
  const flags = readFlags();
  if (!flags) {
    console.log(USAGE);
    return true;
  }
  const { minutes, sockets, lanes, seed } = flags;
  const signal = stopSignal(log);
  mkdirSync(join(ROOT, ".local"), { recursive: true });
  const cloud = await startCloud({
    dataDir: mkdtempSync(join(ROOT, ".local/load-")),
    ports: FREE_PORTS,
    own: {},
    qstashSpeed: 1,
    removeOnDeath: true,
    log,
    signal,
  });
  try {
    const settings = (url: string) =>
      workerSettings(
        cloud.secrets,
        { ...cloud, publicUrl: url },
        { RATE_LIMIT_SCALE, BCRYPT_COST, CORS_ORIGINS: "", REDIS_TIMEOUT_MS: "5000" },
      );
    await migrate(settings("").DATABASE_URL);
    await seedDemo(settings("").DATABASE_URL, Number(BCRYPT_COST));
    const cronPort = await claimPort("worker", 0);
    const runtime = await startRuntime(cloud, LIVEFORUM, settings, { cronPort, signal });
    log(`seed ${seed}`);
    const watch = watchRuntime(runtime);
    const run = runLoad({
      url: runtime.url,
      cronUrl: `http://127.0.0.1:${cronPort}`,
      databaseUrl: settings("").DATABASE_URL,
      boardId: 1,
      seconds: minutes * 60,
      sockets,
      lanes,
      people: PEOPLE,
      posts: POSTS,
      seed,
      signal,
      log,
      began: watch.start,
      ended: watch.stop,
    });
    const report = await Promise.race([run, cloud.failed.then((problem) => Promise.reject(problem))]);
    console.log(describeReport(report, watch, complaintsIn(cloud.folder.logFile(LIVEFORUM.name))));
    return report.faults.length === 0 && growthOf(watch.samples())?.grows !== true;
  } finally {
    await cloud.close();
  }
}

/** Undefined when help is asked for. @throws {CloudProblem} */
function readFlags(): Flags | undefined {
  const hint = "`npm run load -- --help` lists the flags";
  const number = { type: "string" } as const;
  let values: Partial<Record<keyof Flags, string>> & { help?: boolean };
  try {
    ({ values } = parseArgs({
      options: { minutes: number, sockets: number, lanes: number, seed: number, help: { type: "boolean" } },
    }));
  } catch (error) {
    throw new CloudProblem(error instanceof Error ? error.message : String(error), hint);
  }
  if (values.help) return undefined;
  const read = (name: keyof Flags, fallback: number): number => {
    const value = Number(values[name] ?? fallback);
    if (!(value > 0)) throw new CloudProblem(`--${name} must be a number above 0`, hint);
    return value;
  };
  return {
    minutes: read("minutes", 10),
    sockets: read("sockets", 500),
    lanes: read("lanes", 24),
    seed: read("seed", randomInt(1, 2 ** 31)),
  };
}

function log(line: string): void {
  console.log(`[load] ${line}`);
}

await runCommand({ name: "load", main });
