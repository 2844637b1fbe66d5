/**
 * A data folder of the local cloud. One program at a time owns it; what a killed owner left running is ended
 * by the next one, and by a watchdog at once.
 *
 * Layout: `lock.sqlite` and `owner.json` (who owns it), `processes.json` (what it started), `secrets.json` and
 * `worker.env` (credentials), `mysql/`, `redis/`, `qstash/` and `worker/` (data), `logs/`.
 * @module
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { asProcessEnv, systemEnvironment } from "./environment.ts";
import { CloudProblem } from "./problem.ts";
import { endProcesses, ProcessLedger, survivors } from "./processes.ts";

const LOCK_FILE = "lock.sqlite";
/** What `wipe` deletes; a file that somebody else put into the folder stays. */
const CONTENT = [
  "processes.json",
  "secrets.json",
  "worker.env",
  "mysql",
  "redis",
  "qstash",
  "worker",
  "logs",
];
const SQLITE_BUSY = 5;
const FILE_CALLS = /^(?:open|write|mkdir|rmdir|rm|unlink|rename|scandir|l?stat)$/;

export type DataFolder = {
  /** Absolute path. */
  path: string;
  ledger: ProcessLedger;
  /** The path of something inside. */
  file: (...parts: string[]) => string;
  /** The path of the log of a part. */
  logFile: (part: string) => string;
  /** Names of the processes that an earlier, killed owner had left running and that were ended. */
  ended: string[];
  /** Lets whoever comes second name this owner, for example by its address. */
  announce: (description: string) => void;
  /** Deletes all data, credentials and logs. */
  wipe: () => void;
  /** Gives the folder up; `remove` also deletes it, by default when it was opened with `removeOnDeath`. */
  release: (options?: { remove?: boolean }) => void;
};

/**
 * Takes possession of a data folder, creating it if need be (mode 0700).
 * @param removeOnDeath the folder goes with its owner, however that ends.
 * @throws {CloudProblem} when another program owns it, it cannot be written, or it holds something else.
 */
export async function openDataFolder(
  folder: string,
  { removeOnDeath = false }: { removeOnDeath?: boolean } = {},
): Promise<DataFolder> {
  const path = resolve(folder);
  const file = (...parts: string[]): string => join(path, ...parts);
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    if (!existsSync(file(LOCK_FILE)) && readdirSync(path).length > 0) {
      throw new CloudProblem(
        `The folder ${path} holds other files, and no data of a local cloud`,
        "Choose an empty or a new one with LIVEFORUM_DATA_DIR",
      );
    }
  } catch (error) {
    throw folderProblem(path, error);
  }
  const unlock = lock(path);
  try {
    mkdirSync(file("logs"), { recursive: true, mode: 0o700 });
    const processFile = file("processes.json");
    const left = survivors(processFile);
    await endProcesses(left);
    const ended = left.map((record) => record.name);
    writeFileSync(file("owner.json"), JSON.stringify({ pid: process.pid }), { mode: 0o600 });
    const watchdog = startWatchdog(path, removeOnDeath);
    return {
      path,
      ledger: new ProcessLedger(processFile),
      file,
      logFile: (part) => file("logs", `${part}.log`),
      ended,
      announce: (description) =>
        writeFileSync(file("owner.json"), JSON.stringify({ pid: process.pid, description }), { mode: 0o600 }),
      wipe: () => {
        for (const name of CONTENT) rmSync(file(name), { recursive: true, force: true });
        mkdirSync(file("logs"), { mode: 0o700 });
      },
      release: ({ remove = removeOnDeath } = {}) => {
        watchdog.dismiss();
        rmSync(processFile, { force: true });
        rmSync(file("owner.json"), { force: true });
        unlock();
        if (remove) rmSync(path, { recursive: true, force: true });
      },
    };
  } catch (error) {
    unlock();
    throw folderProblem(path, error);
  }
}

/**
 * Reads a small JSON file of the folder; undefined when it does not exist.
 * @throws {CloudProblem} when it is damaged.
 */
export function readJson<T>(file: string): T | undefined {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new CloudProblem(`${file} is damaged`, "Start clean with `npm run dev -- --reset`");
  }
}

/** Writes a small JSON file, readable by its owner alone, so that it is there either whole or not at all. */
export function writeJson(file: string, value: unknown): void {
  writeFileSync(`${file}.new`, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/**
 * Locks by an open SQLite transaction: the operating system drops it with the process, however that ends, so a
 * lock is never stale. @returns the unlocking.
 */
function lock(path: string): () => void {
  let database: DatabaseSync;
  try {
    database = new DatabaseSync(join(path, LOCK_FILE));
  } catch (error) {
    throw folderProblem(path, error);
  }
  try {
    database.exec("PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if ((error as { errcode?: number }).errcode !== SQLITE_BUSY) throw folderProblem(path, error);
    throw new CloudProblem(
      `A local cloud is already running on ${path}${describeOwner(path)}`,
      "Stop that one first, or run a second one with its own LIVEFORUM_DATA_DIR and ports",
    );
  }
  return () => database.close();
}

function describeOwner(path: string): string {
  try {
    const owner = readJson<{ pid: number; description?: string }>(join(path, "owner.json"));
    return owner ? ` (${owner.description ?? `process ${owner.pid}`})` : "";
  } catch {
    // Being written at this moment: the refusal does without the name.
    return "";
  }
}

/** What the file system refuses (rights, space, a missing disk) as a refusal; any other error as it is. */
export function folderProblem(path: string, error: unknown): unknown {
  const { code, syscall, message } = error as NodeJS.ErrnoException;
  const sqlite = code === "ERR_SQLITE_ERROR";
  if (!sqlite && !FILE_CALLS.test(syscall ?? "")) return error;
  return new CloudProblem(
    `The data folder ${path} cannot be written (${sqlite ? message : code})`,
    "Make it writable, or make room, or choose another one with LIVEFORUM_DATA_DIR",
  );
}

/** Starts the program that ends all recorded processes as soon as this one is gone, even by `kill -9`. */
function startWatchdog(path: string, removeOnDeath: boolean): { dismiss: () => void } {
  const script = fileURLToPath(new URL("watchdog.ts", import.meta.url));
  const child = spawn(
    process.execPath,
    [script, path, String(process.pid), ...(removeOnDeath ? ["--remove"] : [])],
    {
      env: asProcessEnv(systemEnvironment()),
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
      windowsHide: true,
    },
  );
  // A watchdog that cannot be started or was killed is no reason to stop: the next start cleans up as well.
  child.on("error", () => {});
  child.stdin.on("error", () => {});
  child.unref();
  (child.stdin as unknown as { unref?: () => void }).unref?.();
  return { dismiss: () => child.stdin.end("dismissed") };
}
