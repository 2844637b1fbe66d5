/**
 * The frame of every request: id, log, settings, services, and what every response carries.
 * @module
 */
import { createMiddleware } from "hono/factory";
import { routePath } from "hono/route";
import { AppError } from "../../common/errors.ts";
import { createBackgroundQueue } from "../../common/background.ts";
import { createLogger } from "../../common/logger.ts";
import { createMeter, serverTiming } from "../../common/meter.ts";
import { type Config, readConfig } from "../../env.ts";
import type { Services, ServicesContext } from "../../services.ts";
import type { AppEnv } from "../app-env.ts";

const REQUEST_ID_PATTERN = /^[\w.:-]{8,100}$/;

/** Names the request: by the caller's `x-request-id` if that is a sane one. Every response carries it. */
export const requestId = createMiddleware<AppEnv>(async function requestId(c, next) {
  const given = c.req.header("x-request-id");
  const id = given !== undefined && REQUEST_ID_PATTERN.test(given) ? given : crypto.randomUUID();
  c.set("requestId", id);
  await next();
  // Not by `c.header()`, which copies a finished response for every field.
  c.res.headers.set("x-request-id", id);
});

/** @param buildServices the composition root, handed in so that nothing here knows a domain */
export function requestContext(buildServices: (config: Config, context: ServicesContext) => Services) {
  return createMiddleware<AppEnv>(async function requestContext(c, next) {
    const startedAt = performance.now();
    const meter = createMeter();
    const log = createLogger({ requestId: c.var.requestId });
    c.set("log", log);
    c.set("meter", meter);
    c.set("limits", []);
    c.set("actor", null);
    c.set("hold", null);
    c.set("badToken", null);

    const settings = readConfig(c.env);
    if (!settings.ok) {
      log.error("settings are missing or wrong", new Error("bad settings"), { settings: settings.problems });
      throw new AppError("unavailable", "The service is not set up", { headers: { "retry-after": "60" } });
    }
    const { config } = settings;
    c.set("config", config);
    const queue = createBackgroundQueue(
      (promise) => c.executionCtx.waitUntil(promise),
      log,
      config.EFFECTS_PATIENCE_MS,
    );
    const { background, effects } = queue;
    c.set(
      "services",
      buildServices(config, { env: c.env, meter, log, background, effects, now: () => new Date() }),
    );

    await next();

    const timing = serverTiming(meter);
    if (timing !== "") c.res.headers.set("server-timing", timing);
    log.info("request", {
      method: c.req.method,
      // The pattern, not the path: a path can hold anything a client puts there.
      route: routePath(c),
      status: c.res.status,
      durationMs: Math.round(performance.now() - startedAt),
      userId: c.get("actor")?.id ?? null,
      upstream: meter.used(),
    });
    c.var.services.redis.relax();
    queue.start();
  });
}
