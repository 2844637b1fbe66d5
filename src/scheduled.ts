/**
 * What the cron triggers of `wrangler.toml` do.
 * @module
 */
import { createBackgroundQueue } from "./common/background.ts";
import { createLogger } from "./common/logger.ts";
import { createMeter } from "./common/meter.ts";
import { readConfig } from "./env.ts";
import { buildServices, type Services } from "./services.ts";

type Task = { label: string; run: (services: Services) => Promise<unknown> };

/** Tasks by cron expression; the expressions are those of `wrangler.toml`. Every task may run twice or die half-way. */
export const SCHEDULE: Record<string, Task[]> = {
  "* * * * *": [
    { label: "sweep effects of accounts", run: (services) => services.accountEffects.sweep() },
    { label: "sweep effects of boards", run: (services) => services.boards.sweep() },
    { label: "sweep effects of posts", run: (services) => services.posts.sweep() },
    { label: "sweep effects of comments", run: (services) => services.comments.sweep() },
    { label: "sweep effects of likes", run: (services) => services.likes.sweep() },
    { label: "tell of notifications", run: (services) => services.notifications.sweep() },
    { label: "flush views", run: (services) => services.flushViews() },
    { label: "rank popular posts", run: (services) => services.popular.refresh("all") },
  ],
  "*/15 * * * *": [{ label: "roll up statistics", run: (services) => services.stats.rollUp() }],
  "17 * * * *": [
    { label: "delete old notifications", run: (services) => services.notifications.deleteOld() },
    { label: "forget batches of views", run: (services) => services.forgetViewBatches() },
    { label: "delete expired sessions", run: (services) => services.auth.deleteExpiredSessions() },
    { label: "forget idempotency keys of posts", run: (services) => services.posts.forgetIdempotencyKeys() },
    {
      label: "forget idempotency keys of comments",
      run: (services) => services.comments.forgetIdempotencyKeys(),
    },
  ],
};

/** Runs the tasks of one trigger side by side; one that fails is logged and does not stop the others. */
export async function runScheduled(
  cron: string,
  env: WorkerBindings,
  context: ExecutionContext,
): Promise<void> {
  const log = createLogger({ cron });
  const settings = readConfig(env);
  if (!settings.ok) {
    log.error("settings are missing or wrong", new Error("bad settings"), { settings: settings.problems });
    return;
  }
  const { background, start } = createBackgroundQueue((promise) => context.waitUntil(promise), log);
  start();
  const meter = createMeter();
  const services = buildServices(settings.config, { env, meter, log, background, now: () => new Date() });
  await Promise.all(
    (SCHEDULE[cron] ?? []).map(async ({ label, run }) => {
      try {
        const result = await run(services);
        if (typeof result === "number" && result > 0) log.info(label, { count: result });
      } catch (error) {
        log.error("scheduled task failed", error, { label });
      }
    }),
  );
}
