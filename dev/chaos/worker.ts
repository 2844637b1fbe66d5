/**
 * The Worker with taps, for `npm run chaos`: what befalls a request stands in one of its headers.
 * @module
 */
import { createApp } from "../../src/app.ts";
import { runScheduled } from "../../src/scheduled.ts";
import type { Fault } from "./plan.ts";
import { CHAOS_HEADER, installTaps } from "./taps.ts";

export { PostRoom } from "../../durable-objects/post-room.ts";
export { UserRoom } from "../../durable-objects/user-room.ts";

const app = createApp();
let taps: ReturnType<typeof installTaps<WorkerBindings>> | undefined;

export default {
  fetch(request, env, context) {
    const header = request.headers.get(CHAOS_HEADER);
    if (header === null) return app.fetch(request, env, context);
    const { fault, isolate } = JSON.parse(header) as { fault: Fault | null; isolate: string };
    taps ??= installTaps({ env });
    const tapped = taps.tap(fault, isolate);
    // The connection breaks under whoever waits for a Worker that died.
    const died = tapped.died.then(() => Promise.reject(new Error("the Worker died")));
    return Promise.race([app.fetch(request, tapped.env, context), died]);
  },
  scheduled: (controller, env, context) => runScheduled(controller.cron, env, context),
} satisfies ExportedHandler<WorkerBindings>;
