/**
 * Which operating-system processes belong to a data folder. Every process started is written down with its
 * moment of birth, so that a later start can end what a killed one left behind, and nothing else: a process
 * id that was given to another program since then has another birth.
 * @module
 */
import { execFileSync } from "node:child_process";
import { readFileSync, renameSync, writeFileSync } from "node:fs";

/** How long ended descendants are waited for that may be zombies. */
export const ZOMBIE_GRACE_MS = 1_000;

/** `birth` is an opaque text, equal only for the same process. `pid` also names its process group on POSIX. */
export type ProcessRecord = { name: string; pid: number; birth: string };

/** When the process started, as an opaque text; undefined when no such process runs. */
export function birthOf(pid: number): string | undefined {
  try {
    if (process.platform === "linux") {
      // The command name in parentheses may itself contain spaces and parentheses.
      const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
      const [state, startTicks] = [fields[0], fields[19]];
      if (state === "Z" || state === "X" || startTicks === undefined) return undefined;
      return `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()} ${startTicks}`;
    }
    const [command, args] =
      process.platform === "win32"
        ? ["powershell", ["-NoProfile", "-Command", `(Get-Process -Id ${pid}).StartTime.Ticks`]]
        : ["ps", ["-o", "lstart=", "-p", String(pid)]];
    const text = execFileSync(command, args, {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      windowsHide: true,
    }).trim();
    return text === "" ? undefined : text;
  } catch {
    return undefined;
  }
}

type LedgerFile = { owner: number; processes: ProcessRecord[] };

/** The processes that this program started for one data folder, kept in `file` so that they outlive it. */
export class ProcessLedger {
  readonly #file: string;
  #processes: ProcessRecord[] = [];

  constructor(file: string) {
    this.#file = file;
  }

  /** Writes a process down; does nothing when it is gone already. */
  add(name: string, pid: number): void {
    const birth = birthOf(pid);
    if (birth === undefined) return;
    this.#processes.push({ name, pid, birth });
    this.#save();
  }

  remove(pid: number): void {
    this.#processes = this.#processes.filter((record) => record.pid !== pid);
    this.#save();
  }

  #save(): void {
    // Renamed into place: a reader never sees half a file, whenever this program is killed.
    const content: LedgerFile = { owner: process.pid, processes: this.#processes };
    writeFileSync(`${this.#file}.new`, JSON.stringify(content), { mode: 0o600 });
    renameSync(`${this.#file}.new`, this.#file);
  }
}

/** What the ledger in `file` names and what still runs, in the order of starting. With `owner`, only if that process id wrote it. */
export function survivors(file: string, owner?: number): ProcessRecord[] {
  try {
    const ledger = JSON.parse(readFileSync(file, "utf8")) as LedgerFile;
    if (owner !== undefined && ledger.owner !== owner) return [];
    return ledger.processes.filter((record) => birthOf(record.pid) === record.birth);
  } catch {
    return [];
  }
}

/**
 * Ends processes and what they started, last started first: asks, and forces after `graceMs`. Returns when they are
 * gone, or when only what nobody reaps is left.
 */
export async function endProcesses(records: readonly ProcessRecord[], graceMs = 8_000): Promise<void> {
  const deadline = Date.now() + graceMs;
  const endOne = async ({ pid, birth }: ProcessRecord): Promise<void> => {
    signalGroup(pid, "SIGTERM");
    while (birthOf(pid) === birth && Date.now() < deadline) await pause();
    // Its descendants; those that nobody reaps stay visible, so that one second is enough.
    const patience = Math.min(deadline, Date.now() + ZOMBIE_GRACE_MS);
    while (groupAlive(pid) && Date.now() < patience) await pause();
    if (birthOf(pid) === birth || groupAlive(pid)) signalGroup(pid, "SIGKILL");
  };
  await Promise.all(records.toReversed().map(endOne));
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 50));
}

/** Signals a process and everything it started. A process that is gone is no error. */
export function signalGroup(pid: number, signal: "SIGTERM" | "SIGKILL"): void {
  try {
    if (process.platform === "win32") {
      execFileSync("taskkill", ["/pid", String(pid), "/T", "/F"], { stdio: "ignore", windowsHide: true });
    } else {
      process.kill(-pid, signal);
    }
  } catch {
    // Gone between the look and the signal.
  }
}

/** Whether any process of the group led by `pid` still exists (always false on Windows, where the tree is ended at once). */
export function groupAlive(pid: number): boolean {
  if (process.platform === "win32") return false;
  try {
    process.kill(-pid, 0);
    return true;
  } catch {
    return false;
  }
}
