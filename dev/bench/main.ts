/**
 * `npm run bench`: see `BENCH_USAGE`.
 * @module
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { startCloud } from "../cloud/cloud.ts";
import { runCommand } from "../cloud/command.ts";
import { FREE_PORTS } from "../cloud/ports.ts";
import { stopSignal } from "../cloud/stop-signal.ts";
import { type Forum, openForum } from "./forum.ts";
import { BENCH_USAGE, type BenchOptions, parseBenchOptions, type Part } from "./options.ts";
import { measureFanOut } from "./parts/fan-out.ts";
import { measureNotifications } from "./parts/notifications.ts";
import { measurePasswords } from "./parts/passwords.ts";
import { measureRequests, measureSizes } from "./parts/requests.ts";
import { measureRoutes } from "./parts/routes.ts";
import { type Table, toJson, toMarkdown } from "./report.ts";

const FOLDER = join(dirname(fileURLToPath(import.meta.url)), "../../.local/bench");

const MEASURE: Record<Part, (forum: Forum, options: BenchOptions) => Promise<Table>> = {
  requests: (forum, { rounds }) => measureRequests(forum, rounds),
  passwords: (forum, { rounds }) => measurePasswords(forum, rounds),
  routes: (forum) => measureRoutes(forum),
  "fan-out": (forum, { sockets, rounds }) => measureFanOut(forum, sockets, rounds),
  notifications: (forum) => measureNotifications(forum),
  sizes: (forum, { posts, rounds }) => measureSizes(forum, posts, rounds),
};

async function bench(options: BenchOptions): Promise<void> {
  const startedAt = new Date();
  const signal = stopSignal(log);
  mkdirSync(FOLDER, { recursive: true });
  log("starting a local cloud");
  const cloud = await startCloud({
    dataDir: join(FOLDER, `data-${process.pid}`),
    ports: FREE_PORTS,
    own: {},
    qstashSpeed: 1,
    removeOnDeath: true,
    log,
    signal,
  });
  const orEnd = <T>(work: Promise<T>): Promise<T> =>
    Promise.race([
      work,
      cloud.failed.then((problem): never => {
        throw problem;
      }),
    ]);
  try {
    const forum = await orEnd(openForum(cloud, { inspect: options.inspect, signal, log }));
    const tables = await orEnd(measureAll(forum, options));
    const machine = `${cpus().length} × ${cpus()[0]?.model ?? "?"}, ${Math.round(totalmem() / 2 ** 30)} GB, Node ${process.version}`;
    const file = join(FOLDER, `${startedAt.toISOString().replaceAll(":", "-").slice(0, 19)}.json`);
    const seconds = Math.round((Date.now() - startedAt.getTime()) / 1_000);
    writeFileSync(
      file,
      `${JSON.stringify({ at: startedAt, machine, seconds, options, tables: toJson(tables) }, null, 2)}\n`,
    );
    log(`${machine}; ${seconds} s; ${file}`);
  } finally {
    await cloud.close();
  }
}

/** Each table is shown as soon as it is there. */
async function measureAll(forum: Forum, options: BenchOptions): Promise<Table[]> {
  const runtimes = { "LiveForum's Worker": forum.ours, "the bare Worker": forum.bare };
  const memory = Object.entries(runtimes).map(([name, runtime]) => ({
    name,
    runtime,
    before: runtime.residentMb(),
  }));
  const tables: Table[] = [];
  const show = (table: Table) => {
    tables.push(table);
    console.log(`\n${toMarkdown(table)}\n`);
  };
  for (const part of options.parts) {
    log(`measuring ${part}`);
    show(await MEASURE[part](forum, options));
  }
  show({
    title: "Memory",
    columns: ["process", "before MB", "after MB"],
    rows: memory.map(({ name, runtime, before }) => [name, before, runtime.residentMb()]),
    note: "Resident memory of workerd, before the first and after the last measurement.",
  });
  return tables;
}

function log(line: string): void {
  console.error(`[bench] ${line}`);
}

await runCommand({
  name: "bench",
  async main() {
    const options = parseBenchOptions(process.argv.slice(2));
    if (options === "help") console.log(BENCH_USAGE);
    else await bench(options);
    return true;
  },
});
