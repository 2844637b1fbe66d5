/**
 * A checkout of a test's own, and `npm run dev` in it.
 * @module
 */
import { execFileSync, spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { OWN_SERVER_SETTINGS } from "../../dev/cloud/own-servers.ts";
import { PORT_SETTINGS } from "../../dev/cloud/ports.ts";
import { endProcesses, type ProcessRecord, survivors } from "../../dev/cloud/processes.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const NEEDED = [
  "api",
  "dev",
  "src",
  "durable-objects",
  "migrations",
  "public",
  "wrangler.toml",
  "package.json",
];
const PATIENCE_MS = 60_000;
/** Those of the user stay out of the tests of the private ones. */
const NO_OWN_SERVERS = Object.fromEntries(
  [...Object.keys(OWN_SERVER_SETTINGS), "LIVEFORUM_DATA_DIR"].map((name) => [name, ""]),
);

export type Checkout = {
  path: string;
  file: (...parts: string[]) => string;
  /** What its local cloud has written down as running and what does run, by name. */
  running: () => Record<string, ProcessRecord>;
};

export type DevProgram = {
  pid: number;
  /** Both streams so far. */
  output: () => string;
  /** Waits until the output matches. @throws when the program ends or a minute passes without */
  says: (pattern: RegExp) => Promise<RegExpExecArray>;
  /** Resolves with the exit code. */
  exited: Promise<number | null>;
};

/** Copies what `npm run dev` needs to a path with a space that is too long for a socket. Removed when the test ends. */
export function copyCheckout(): Checkout {
  const scratch = mkdtempSync(join(tmpdir(), "liveforum-checkout-"));
  const path = join(scratch, "with a space", "deep".repeat(15), "deeper".repeat(15));
  mkdirSync(path, { recursive: true });
  for (const name of NEEDED) cpSync(join(ROOT, name), join(path, name), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(path, "node_modules"), "junction");
  const ledger = join(path, ".local/dev/processes.json");
  onTestFinished(async () => {
    await endProcesses(survivors(ledger));
    rmSync(scratch, { recursive: true, force: true });
  });
  return {
    path,
    file: (...parts) => join(path, ...parts),
    running: () => Object.fromEntries(survivors(ledger).map((record) => [record.name, record])),
  };
}

/** Runs `npm run dev` on free ports. Killed when the test ends. */
export function startDev(
  checkout: Checkout,
  { args = [], env = {} }: { args?: string[]; env?: Record<string, string> } = {},
): DevProgram {
  const freePorts = Object.values(PORT_SETTINGS).map(({ variable }) => [variable, "0"]);
  const child = spawn(process.execPath, [checkout.file("dev/main.ts"), ...args], {
    cwd: checkout.path,
    env: { ...process.env, ...NO_OWN_SERVERS, ...Object.fromEntries(freePorts), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  }
  let ended = false;
  const exited = new Promise<number | null>((resolve) => {
    child.once("close", (code) => {
      ended = true;
      resolve(code);
    });
  });
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await exited;
  });
  return {
    pid: child.pid ?? 0,
    output: () => output,
    says: async (pattern) => {
      let found: RegExpExecArray | null = null;
      await until(
        () => (found = pattern.exec(output)) !== null || ended,
        () => `${pattern} in:\n${output}`,
      );
      if (!found) throw new Error(`it ended without saying ${pattern}:\n${output}`);
      return found;
    },
    exited,
  };
}

/** Waits until a condition holds. @throws after a minute, naming what was waited for */
export async function until(condition: () => boolean | Promise<boolean>, what: () => string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Waits until none of these and of what they started runs. */
export async function allGone(records: readonly { name: string; pid: number }[]): Promise<void> {
  const leaders = new Set(records.map(({ pid }) => pid));
  await until(
    () => !processes().some(({ group, zombie }) => leaders.has(group) && !zombie),
    () => `the end of ${records.map(({ name, pid }) => `${name} (${pid})`).join(", ")}`,
  );
}

/** Process ids in the group of a process whose program's name ends so. */
export function groupMembers(leader: number, program: string): number[] {
  return processes()
    .filter(({ group, name }) => group === leader && name.endsWith(program))
    .map(({ pid }) => pid);
}

/** A zombie has ended; that nobody has asked for its exit code is the system's affair. */
function processes(): { pid: number; group: number; zombie: boolean; name: string }[] {
  return execFileSync("ps", ["-A", "-o", "pid=,pgid=,stat=,comm="], { encoding: "utf8" })
    .split("\n")
    .map((line) => /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, pid, group, stat = "", name = ""]) => ({
      pid: Number(pid),
      group: Number(group),
      zombie: stat.startsWith("Z"),
      name,
    }));
}
