/**
 * The Worker's cron triggers, which wrangler does not fire by itself.
 * @module
 */
import { readFileSync } from "node:fs";
import { Cron } from "croner";

/** As long as Cloudflare lets a trigger run. */
const LIMIT_MS = 15 * 60_000;

/** The expressions of the top level of a `wrangler.toml`. */
export function cronTriggers(configFile: string): string[] {
  const text = readFileSync(configFile, "utf8");
  const [, list = ""] = /^crons\s*=\s*\[([^\]]*)\]/m.exec(text) ?? [];
  return [...list.matchAll(/"([^"]+)"/g)].map(([, expression = ""]) => expression);
}

/**
 * Fires triggers at their times, UTC as in production; one that still runs does not hold up the next.
 * @param url of the Worker @returns how to stop
 */
export function fireCronTriggers(
  url: string,
  expressions: readonly string[],
  log: (line: string) => void,
): () => void {
  const jobs = expressions.map(
    (expression) =>
      new Cron(localExpression(expression), { timezone: "UTC", unref: true }, () =>
        fire(url, expression).catch((error: unknown) => {
          log(`cron "${expression}" failed: ${error instanceof Error ? error.message : String(error)}`);
        }),
      ),
  );
  return () => {
    for (const job of jobs) job.stop();
  };
}

/** Runs one trigger now. @throws when the Worker cannot be reached or its handler fails */
export async function fire(url: string, expression: string): Promise<void> {
  const query = new URLSearchParams({ cron: expression }).toString();
  const response = await fetch(`${url}/cdn-cgi/local/scheduled?${query}`, {
    signal: AbortSignal.timeout(LIMIT_MS),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`the Worker answered ${response.status} ${text}`.trim());
}

/** Cloudflare counts weekdays from 1, Sunday; croner from 0. */
export function localExpression(expression: string): string {
  const fields = expression.trim().split(/\s+/);
  const weekday = fields.pop() ?? "*";
  return [...fields, weekday.replace(/(?<![/#\d])\d+/g, (day) => String(Number(day) - 1))].join(" ");
}
