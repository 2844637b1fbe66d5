/**
 * The Worker.
 * @module
 */
import { createApp } from "./app.ts";
import { runScheduled } from "./scheduled.ts";

export { PostRoom } from "../durable-objects/post-room.ts";
export { UserRoom } from "../durable-objects/user-room.ts";

const app = createApp();

export default {
  fetch: app.fetch,
  scheduled: (controller, env, context) => runScheduled(controller.cron, env, context),
} satisfies ExportedHandler<WorkerBindings>;
