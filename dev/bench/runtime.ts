/**
 * Workers under workerd itself, without wrangler's proxy in front, so that its CPU time and memory are the Worker's.
 * @module
 */
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { sleep, startChild, waitUntilReady } from "../cloud/child.ts";
import type { Cloud } from "../cloud/cloud.ts";
import { asProcessEnv, systemEnvironment } from "../cloud/environment.ts";
import { withOpenFiles } from "../cloud/open-files.ts";
import { claimPort } from "../cloud/ports.ts";
import { configuration, CRON_WORKER, type WorkerBundle } from "./configuration.ts";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");
/** USER_HZ: fixed on every architecture that Linux runs Node on. */
const TICKS_PER_SECOND = 100;
/** Work behind answers is done when this long passes without the runtime taking CPU time. */
const IDLE_MS = 250;
const IDLE_WITHIN_MS = 30_000;

export type Runtime = {
  url: string;
  /** CPU time that the process has taken so far, in milliseconds, to 10 ms; NaN on systems other than Linux. */
  cpuMs: () => number;
  /** Resident memory in MB; NaN on systems other than Linux. */
  residentMb: () => number;
  /** Resolves when the work behind earlier answers is done, after 30 s at most. */
  idle: () => Promise<void>;
};

type RuntimeOptions = {
  inspect?: number | undefined;
  /** Where cron triggers are fired, see `dev/cloud/cron.ts`; none: nowhere, and nothing runs beside the Worker. */
  cronPort?: number;
  signal: AbortSignal;
};

/** Bundles a Worker as for a deployment and runs it. @param settings its text bindings, given its address */
export async function startRuntime(
  cloud: Cloud,
  worker: WorkerBundle,
  settings: (url: string) => Record<string, string>,
  { inspect, cronPort, signal }: RuntimeOptions,
): Promise<Runtime> {
  const folder = cloud.folder.file(`runtime-${worker.name}`);
  mkdirSync(join(folder, "objects"), { recursive: true });
  await bundle(worker, folder);
  const port = await claimPort("worker", 0);
  const url = `http://127.0.0.1:${port}`;
  writeFileSync(join(folder, "cron.js"), CRON_WORKER);
  writeFileSync(join(folder, "workerd.capnp"), configuration(worker, { port, cronPort }, settings(url)), {
    mode: 0o600,
  });
  const [command, ...args] = withOpenFiles(
    [
      workerdPath(),
      "serve",
      join(folder, "workerd.capnp"),
      `--directory-path=objects=${join(folder, "objects")}`,
      // For the compatibility flag of the Worker that fires triggers.
      ...(cronPort === undefined ? [] : ["--experimental"]),
      ...(inspect === undefined ? [] : [`--inspector-addr=127.0.0.1:${inspect}`]),
    ],
    console.error,
  );
  const child = startChild({
    name: `workerd (${worker.name})`,
    command,
    args,
    logFile: cloud.folder.logFile(worker.name),
    ledger: cloud.folder.ledger,
  });
  cloud.watch(child, "worker");
  await waitUntilReady(child, () => answers(url), { timeoutMs: 30_000, signal });
  const pid = child.pid ?? 0;
  const cpuMs = () => cpuTimeOf(pid);
  return {
    url,
    cpuMs,
    residentMb: () => residentMbOf(pid),
    async idle() {
      const giveUpAt = Date.now() + IDLE_WITHIN_MS;
      let before = cpuMs();
      for (;;) {
        await sleep(IDLE_MS);
        const after = cpuMs();
        // One tick may be housekeeping.
        if (!(after - before > 1_000 / TICKS_PER_SECOND) || Date.now() > giveUpAt) return;
        before = after;
      }
    },
  };
}

async function bundle({ config }: WorkerBundle, folder: string): Promise<void> {
  const wrangler = join(ROOT, "node_modules/wrangler/bin/wrangler.js");
  await promisify(execFile)(
    process.execPath,
    [wrangler, "deploy", "--dry-run", "--env=", `--config=${join(ROOT, config)}`, `--outdir=${folder}`],
    {
      cwd: ROOT,
      env: asProcessEnv({ ...systemEnvironment(), WRANGLER_SEND_METRICS: "false", CI: "true" }),
    },
  );
}

/** Of the package that wrangler brings along. */
function workerdPath(): string {
  return (createRequire(import.meta.url)("workerd") as { default: string }).default;
}

async function answers(url: string): Promise<boolean> {
  try {
    await (await fetch(url, { signal: AbortSignal.timeout(2_000) })).text();
    return true;
  } catch {
    return false;
  }
}

function cpuTimeOf(pid: number): number {
  if (process.platform !== "linux") return NaN;
  // The command name in parentheses may itself contain spaces and parentheses.
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
  return ((Number(fields[11]) + Number(fields[12])) * 1_000) / TICKS_PER_SECOND;
}

function residentMbOf(pid: number): number {
  if (process.platform !== "linux") return NaN;
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) / 1_024;
}
