/**
 * A child process of the local cloud: its output goes to a log file, its last lines are kept for messages, its
 * end is a promise, and stopping it ends everything it started in turn.
 * @module
 */
import { spawn } from "node:child_process";
import { closeSync, openSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { stripVTControlCharacters } from "node:util";
import { asProcessEnv, systemEnvironment } from "./environment.ts";
import { CloudProblem } from "./problem.ts";
import { groupAlive, type ProcessLedger, signalGroup, ZOMBIE_GRACE_MS } from "./processes.ts";

export type ChildOptions = {
  /** How messages call it, for example `MariaDB`. */
  name: string;
  command: string;
  args: readonly string[];
  /** What the program finds as its own name (`argv[0]`); defaults to `command`. */
  argv0?: string;
  cwd?: string;
  /** Read as its standard input, which is empty without. */
  stdinFile?: string;
  /** The whole environment; defaults to `systemEnvironment()`. */
  env?: NodeJS.Dict<string>;
  /** Truncated at each start; without colours. */
  logFile: string;
  ledger: ProcessLedger;
  /** Sees each line of output, both streams, as it was written. */
  onLine?: (line: string) => void;
};

/** How a child ended: by itself with `code`, by `signal`, or never started (`error`). */
export type ChildExit = { code: number | null; signal: NodeJS.Signals | null; error?: Error };

export type Child = {
  name: string;
  pid: number | undefined;
  /** Resolves when it has ended and its output has been read. Never rejects. */
  exited: Promise<ChildExit>;
  /** True from the end of the process on. */
  ended: () => boolean;
  /** The last lines of its output, oldest first, 20 at most. */
  lastLines: () => string[];
  /** Ends it and its descendants: asks first, forces after `graceMs` (default 8,000). Returns when all are gone. */
  stop: (graceMs?: number) => Promise<void>;
};

const KEPT_LINES = 20;
/** Descendants may hold the output open for ever: how long its end is waited for after the child's. */
const OUTPUT_GRACE_MS = 300;

/** Starts a program in its own process group, out of reach of the terminal's Ctrl-C, and writes it into the ledger. */
export function startChild(options: ChildOptions): Child {
  const log = openSync(options.logFile, "w", 0o600);
  const lines: string[] = [];
  let open = true;
  const take = (line: string): void => {
    const plain = stripVTControlCharacters(line);
    lines.push(plain);
    if (lines.length > KEPT_LINES) lines.shift();
    if (open) appendTo(log, plain);
    options.onLine?.(line);
  };

  const input = options.stdinFile === undefined ? undefined : openSync(options.stdinFile, "r");
  const spawned = spawn(options.command, options.args, {
    argv0: options.argv0 ?? options.command,
    cwd: options.cwd,
    env: asProcessEnv(options.env ?? systemEnvironment()),
    stdio: [input ?? "ignore", "pipe", "pipe"],
    detached: process.platform !== "win32",
    windowsHide: true,
  });
  if (input !== undefined) closeSync(input);
  const { pid, stdout, stderr } = spawned;
  if (pid !== undefined) options.ledger.add(options.name, pid);
  for (const output of [stdout, stderr]) if (output) createInterface({ input: output }).on("line", take);

  let ended = false;
  const exited = new Promise<ChildExit>((resolve) => {
    const finish = (exit: ChildExit): void => {
      if (ended) return;
      ended = true;
      // A child can die and leave its own children (wrangler its runtime): none may survive it.
      if (pid !== undefined && groupAlive(pid)) signalGroup(pid, "SIGTERM");
      const timer = setTimeout(() => resolve(exit), OUTPUT_GRACE_MS);
      spawned.once("close", () => {
        clearTimeout(timer);
        resolve(exit);
      });
    };
    spawned.once("error", (error) => finish({ code: null, signal: null, error }));
    spawned.once("exit", (code, signal) => finish({ code, signal }));
    spawned.once("close", () => {
      open = false;
      closeSync(log);
    });
  });

  return {
    name: options.name,
    pid,
    exited,
    ended: () => ended,
    lastLines: () => [...lines],
    stop: async (graceMs = 8_000) => {
      if (pid === undefined) return;
      if (!ended) signalGroup(pid, "SIGTERM");
      const deadline = Date.now() + graceMs;
      // Descendants that nobody reaps stay visible: after the child itself they get a second, not the whole grace.
      let zombieDeadline = Infinity;
      while (!ended || groupAlive(pid)) {
        if (ended && zombieDeadline === Infinity) zombieDeadline = Date.now() + ZOMBIE_GRACE_MS;
        if (Date.now() > Math.min(deadline, zombieDeadline)) {
          signalGroup(pid, "SIGKILL");
          break;
        }
        await sleep(20);
      }
      await exited;
      options.ledger.remove(pid);
    },
  };
}

/**
 * Waits until `ready` answers true, asking every `intervalMs`.
 * @throws {CloudProblem} when the child ends first or `timeoutMs` have passed; the reason of `signal` when it is aborted.
 */
export async function waitUntilReady(
  child: Child,
  ready: () => Promise<boolean> | boolean,
  { timeoutMs, intervalMs = 50, signal }: { timeoutMs: number; intervalMs?: number; signal: AbortSignal },
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    signal.throwIfAborted();
    if (child.ended()) throw diedAtStart(child, await child.exited);
    if (await ready()) return;
    if (Date.now() > deadline) {
      throw new CloudProblem(
        `${child.name} did not become ready within ${timeoutMs / 1_000} s`,
        "Its last log lines are above; try again",
        child.lastLines(),
      );
    }
    await sleep(intervalMs);
  }
}

/** The end of a child in words: `exited with code 1`, `was killed by SIGKILL`, `could not be started: …`. */
export function describeExit(exit: ChildExit): string {
  if (exit.error) return `could not be started: ${exit.error.message}`;
  return exit.signal ? `was killed by ${exit.signal}` : `exited with code ${exit.code}`;
}

/** A full disk is no reason to end what still works without its log. */
function appendTo(log: number, line: string): void {
  try {
    writeSync(log, `${line}\n`);
  } catch {
    // The line is still kept in memory and shown.
  }
}

function diedAtStart(child: Child, exit: ChildExit): CloudProblem {
  return new CloudProblem(
    `${child.name} ${describeExit(exit)} while starting`,
    "Its last log lines are above; if its data is damaged, `npm run dev -- --reset` starts clean",
    child.lastLines(),
  );
}

/** Resolves after `ms` milliseconds. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
