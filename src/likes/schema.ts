/**
 * Wire shapes of likes.
 * @module
 */
import { z } from "@hono/zod-openapi";

export const likeSchema = z
  .object({ liked: z.boolean(), likeCount: z.int().meta({ description: "After the change" }) })
  .meta({ id: "Like" });
