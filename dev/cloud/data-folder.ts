/**
 * A data folder of the local cloud. One program at a time owns it; what a killed owner left running is ended
 * by the next one, and by a watchdog at once.
 *
 * Layout: `lock.sqlite` and `owner.json` (who owns it), `processes.json` (what it started), `state.json` (how
 * far the first start came), `secrets.json`, `mysql/`, `redis/`, `qstash/`, `worker/`, `logs/`.
 * @module
 */
import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { CloudProblem } from "./problem.ts";
import { endProcesses, ProcessLedger, survivors } from "./processes.ts";

const LOCK_FILES = ["lock.sqlite", "lock.sqlite-journal", "owner.json"];

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
  /** Deletes everything in the folder except the lock. */
  wipe: () => void;
  /** Gives the folder up; with `remove` also deletes it. */
  release: (options?: { remove?: boolean }) => void;
};

/**
 * Takes possession of a data folder, creating it if need be (mode 0700).
 * @param removeOnDeath the watchdog deletes the folder when this program dies without releasing it.
 * @throws {CloudProblem} when another program owns it or it cannot be written.
 */
export async function openDataFolder(
  folder: string,
  { removeOnDeath = false }: { removeOnDeath?: boolean } = {},
): Promise<DataFolder> {
  const path = resolve(folder);
  const file = (...parts: string[]): string => join(path, ...parts);
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    mkdirSync(file("logs"), { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new CloudProblem(
      `The data folder ${path} cannot be written (${(error as NodeJS.ErrnoException).code})`,
      "Make it writable or choose another one with LIVEFORUM_DATA_DIR",
    );
  }
  const unlock = lock(path);
  try {
    const processFile = file("processes.json");
    const left = survivors(processFile);
    await endProcesses(left);
    const ended = left.map((record) => record.name);
    const watchdog = startWatchdog(path, removeOnDeath);
    writeFileSync(file("owner.json"), JSON.stringify({ pid: process.pid }), { mode: 0o600 });
    return {
      path,
      ledger: new ProcessLedger(processFile),
      file,
      logFile: (part) => file("logs", `${part}.log`),
      ended,
      announce: (description) =>
        writeFileSync(file("owner.json"), JSON.stringify({ pid: process.pid, description }), { mode: 0o600 }),
      wipe: () => {
        for (const name of readdirSync(path)) {
          if (!LOCK_FILES.includes(name)) rmSync(file(name), { recursive: true, force: true });
        }
        mkdirSync(file("logs"), { mode: 0o700 });
      },
      release: ({ remove = false } = {}) => {
        watchdog.dismiss();
        rmSync(processFile, { force: true });
        rmSync(file("owner.json"), { force: true });
        unlock();
        if (remove) rmSync(path, { recursive: true, force: true });
      },
    };
  } catch (error) {
    unlock();
    throw error;
  }
}

/** True when a program owns the folder right now. */
export function isOwned(folder: string): boolean {
  try {
    lock(folder)();
    return false;
  } catch {
    return true;
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
  const database = new DatabaseSync(join(path, "lock.sqlite"));
  try {
    database.exec("PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
  } catch {
    database.close();
    let owner: { pid?: number; description?: string } | undefined;
    try {
      owner = readJson(join(path, "owner.json"));
    } catch {
      // Being written at this moment: the refusal does without the name.
    }
    const who = owner?.description ?? (owner?.pid === undefined ? "" : `process ${owner.pid}`);
    throw new CloudProblem(
      `A local cloud is already running on ${path}${who === "" ? "" : ` (${who})`}`,
      "Stop that one first, or run a second one with its own LIVEFORUM_DATA_DIR and ports",
    );
  }
  return () => database.close();
}

/** Starts the program that ends all recorded processes as soon as this one is gone, even by `kill -9`. */
function startWatchdog(path: string, removeOnDeath: boolean): { dismiss: () => void } {
  const script = fileURLToPath(new URL("watchdog.ts", import.meta.url));
  const child = spawn(
    process.execPath,
    [script, path, String(process.pid), ...(removeOnDeath ? ["--remove"] : [])],
    {
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
