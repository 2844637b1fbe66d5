/**
 * The Worker with taps, for `npm run chaos`: what befalls a request stands in one of its headers.
 * @module
 */
import { createApp } from "../../src/app.ts";
import { createBackgroundQueue } from "../../src/common/background.ts";
import { createLogger } from "../../src/common/logger.ts";
import { createMeter } from "../../src/common/meter.ts";
import { readConfig } from "../../src/env.ts";
import { runScheduled } from "../../src/scheduled.ts";
import { buildServices } from "../../src/services.ts";
import type { Fault } from "./plan.ts";
import { CHAOS_HEADER, FLUSH_PATH, installTaps } from "./taps.ts";

export { PostRoom } from "../../durable-objects/post-room.ts";
export { UserRoom } from "../../durable-objects/user-room.ts";

const app = createApp();
let taps: ReturnType<typeof installTaps<WorkerBindings>> | undefined;

async function flush(env: WorkerBindings, context: ExecutionContext): Promise<Response> {
  const settings = readConfig(env);
  if (!settings.ok) throw new Error("bad settings");
  const log = createLogger({ chaos: true });
  const { background, effects } = createBackgroundQueue((promise) => context.waitUntil(promise), log);
  const services = buildServices(settings.config, {
    env,
    meter: createMeter(),
    log,
    background,
    effects,
    now: () => new Date(),
  });
  services.redis.relax();
  return Response.json({ views: await services.flushViews() });
}

export default {
  fetch(request, env, context) {
    const header = request.headers.get(CHAOS_HEADER);
    if (header === null) return app.fetch(request, env, context);
    const { fault, isolate } = JSON.parse(header) as { fault: Fault | null; isolate: string };
    taps ??= installTaps({ env });
    const tapped = taps.tap(fault, isolate);
    // The connection breaks under whoever waits for a Worker that died.
    const died = tapped.died.then(() => Promise.reject(new Error("the Worker died")));
    const answer =
      new URL(request.url).pathname === FLUSH_PATH
        ? flush(tapped.env, context)
        : app.fetch(request, tapped.env, context);
    return Promise.race([answer, died]);
  },
  scheduled: (controller, env, context) => runScheduled(controller.cron, env, context),
} satisfies ExportedHandler<WorkerBindings>;
