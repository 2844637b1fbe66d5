/**
 * Queries of the rooms' paths.
 * @module
 */
import { z } from "@hono/zod-openapi";
import { POLL_WAIT_MAX_SECONDS } from "./events.ts";

/** Where the client stands in the log; both or none. Empty values stand for none. */
export const positionQuerySchema = z.object({
  epoch: z
    .string()
    .regex(/^[\w-]{0,64}$/, "is not an epoch")
    .optional()
    .meta({ description: "The room's epoch, from `ready`; needed with `after`" }),
  after: z.coerce
    .number("must be a number")
    .int()
    .min(0)
    .max(Number.MAX_SAFE_INTEGER)
    .optional()
    .openapi({ type: "integer", minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
    .meta({ description: "`seq` of the last event that the client has" }),
});
export type PositionQuery = z.infer<typeof positionQuerySchema>;

export const pollQuerySchema = positionQuerySchema.extend({
  wait: z.coerce
    .number("must be a number")
    .int()
    .min(0)
    .max(POLL_WAIT_MAX_SECONDS)
    .default(POLL_WAIT_MAX_SECONDS)
    .openapi({
      type: "integer",
      minimum: 0,
      maximum: POLL_WAIT_MAX_SECONDS,
      default: POLL_WAIT_MAX_SECONDS,
    })
    .meta({ description: "Longest wait for the first event, in seconds" }),
});
