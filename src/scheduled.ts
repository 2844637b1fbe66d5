/**
 * What the cron triggers of `wrangler.toml` do.
 * @module
 */
import { createBackgroundQueue } from "./common/background.ts";
import { createLogger } from "./common/logger.ts";
import { createMeter } from "./common/meter.ts";
import { repeat } from "./common/sweep.ts";
import { readConfig } from "./env.ts";
import { buildServices, type Services } from "./services.ts";

type Task = {
  label: string;
  run: (services: Services) => Promise<unknown>;
  /** Done every `SWEEP_SECONDS` until the minute is over. */
  sweep?: true;
};

/** Tasks by cron expression; the expressions are those of `wrangler.toml`. Every task may run twice or die half-way. */
export const SCHEDULE: Record<string, Task[]> = {
  "* * * * *": [
    { label: "sweep effects of accounts", run: (services) => services.accountEffects.sweep(), sweep: true },
    { label: "sweep effects of boards", run: (services) => services.boards.sweep(), sweep: true },
    { label: "sweep effects of posts", run: (services) => services.posts.sweep(), sweep: true },
    { label: "sweep effects of comments", run: (services) => services.comments.sweep(), sweep: true },
    { label: "sweep effects of likes", run: (services) => services.likes.sweep(), sweep: true },
    { label: "tell of notifications", run: (services) => services.notifications.sweep(), sweep: true },
    { label: "flush views", run: (services) => services.flushViews() },
    { label: "rank popular posts", run: (services) => services.popular.refresh() },
  ],
  "*/15 * * * *": [
    { label: "roll up statistics", run: (services) => services.stats.rollUp() },
    { label: "repair counts", run: (services) => services.counts.check() },
  ],
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

const MINUTE_MS = 60_000;

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
  const { config } = settings;
  const { background, effects, start } = createBackgroundQueue(
    (promise) => context.waitUntil(promise),
    log,
    config.EFFECTS_PATIENCE_MS,
  );
  start();
  const meter = createMeter();
  const services = buildServices(config, { env, meter, log, background, effects, now: () => new Date() });
  services.redis.relax();
  const sweepEveryMs = config.SWEEP_SECONDS * 1_000;
  await Promise.all(
    (SCHEDULE[cron] ?? []).map(async ({ label, run, sweep }) => {
      const runOnce = async (): Promise<void> => {
        try {
          const result = await run(services);
          if (typeof result === "number" && result > 0) log.info(label, { count: result });
        } catch (error) {
          log.error("scheduled task failed", error, { label });
        }
      };
      await (sweep ? repeat(runOnce, sweepEveryMs, MINUTE_MS) : runOnce());
    }),
  );
}
