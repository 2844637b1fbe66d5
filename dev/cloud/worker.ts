/**
 * The Worker under wrangler, and its cron triggers.
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Cron } from "croner";
import { type Child, startChild } from "./child.ts";
import type { DataFolder } from "./data-folder.ts";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");

/**
 * Starts `wrangler dev`. It is ready when `GET /api/health` is answered, not before.
 * @param settings become an env file in the data folder, readable by its owner alone
 */
export function startWorker(
  folder: DataFolder,
  port: number,
  settings: Record<string, string>,
  onLine: (line: string) => void,
): Child {
  const envFile = folder.file("worker.env");
  writeFileSync(
    envFile,
    Object.entries(settings)
      .map(([name, value]) => `${name}=${JSON.stringify(value)}\n`)
      .join(""),
    { mode: 0o600 },
  );
  const wrangler = join(ROOT, "node_modules/wrangler/bin/wrangler.js");
  const args = [
    wrangler,
    "dev",
    "--local",
    "--env=",
    `--port=${port}`,
    "--ip=localhost",
    "--inspector-port=0",
    `--env-file=${envFile}`,
    `--persist-to=${folder.file("worker")}`,
    "--show-interactive-dev-session=false",
    "--log-level=log",
  ];
  // workerd takes a file per socket: the usual 1,024 end it at about a thousand of them.
  const [command, ...rest] =
    process.platform === "win32"
      ? [process.execPath, ...args]
      : [
          "/bin/sh",
          "-c",
          'ulimit -n "$(ulimit -Hn)" 2>/dev/null; exec "$@"',
          "sh",
          process.execPath,
          ...args,
        ];
  return startChild({
    name: "the Worker",
    command: command ?? process.execPath,
    args: rest,
    cwd: ROOT,
    env: {
      ...process.env,
      WRANGLER_SEND_METRICS: "false",
      WRANGLER_HIDE_BANNER: "true",
      CLOUDFLARE_CF_FETCH_ENABLED: "false",
      NO_UPDATE_NOTIFIER: "1",
      CI: "true",
    },
    logFile: folder.logFile("worker"),
    ledger: folder.ledger,
    onLine,
  });
}

/** Whether the Worker serves requests; `undefined` while it does not answer at all. */
export async function workerHealth(url: string): Promise<"ok" | "degraded" | "failing" | undefined> {
  try {
    const response = await fetch(`${url}/api/health`, { signal: AbortSignal.timeout(5_000) });
    if (!response.ok) return "failing";
    const { status } = (await response.json()) as { status: "ok" | "degraded" };
    return status;
  } catch {
    return undefined;
  }
}

/** The cron expressions of `wrangler.toml`. */
export function cronTriggers(): string[] {
  const text = readFileSync(join(ROOT, "wrangler.toml"), "utf8");
  const [, list = ""] = /^crons\s*=\s*\[([^\]]*)\]/m.exec(text) ?? [];
  return [...list.matchAll(/"([^"]+)"/g)].map(([, expression = ""]) => expression);
}

/** Fires the Worker's cron triggers at their times, UTC as in production. @returns how to stop */
export function fireCronTriggers(url: string, log: (line: string) => void): () => void {
  const jobs = cronTriggers().map(
    (expression) =>
      new Cron(expression, { timezone: "UTC", protect: true, unref: true }, async () => {
        try {
          const address = `${url}/cdn-cgi/local/scheduled?${new URLSearchParams({ cron: expression }).toString()}`;
          const response = await fetch(address, { signal: AbortSignal.timeout(60_000) });
          await response.text();
          if (!response.ok) log(`cron "${expression}" was answered ${response.status}`);
        } catch (error) {
          log(`cron "${expression}" failed: ${error instanceof Error ? error.message : String(error)}`);
        }
      }),
  );
  return () => {
    for (const job of jobs) job.stop();
  };
}
