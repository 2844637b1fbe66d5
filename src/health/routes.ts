/**
 * `/api/health`.
 * @module
 */
import { createRoute, z } from "@hono/zod-openapi";
import { AppError } from "../common/errors.ts";
import { jsonResponse, newRouter, problems } from "../http/openapi.ts";
import { publicRead } from "../http/routes.ts";

const checkSchema = z.enum(["ok", "down"]);
const healthSchema = z
  .object({
    status: z.enum(["ok", "degraded"]),
    checks: z.object({
      db: checkSchema,
      redis: checkSchema,
      qstash: checkSchema,
      effects: z.enum(["ok", "late"]).meta({
        description:
          "`late`: what is done behind an answer (rooms, counts, notifications) has waited for over 5 minutes",
      }),
    }),
  })
  .meta({ id: "Health" });

const health = createRoute({
  method: "get",
  path: "/",
  tags: ["Operation"],
  summary: "Whether the service and its parts work, and late work is done",
  middleware: publicRead,
  responses: { 200: jsonResponse(healthSchema, "It works, if perhaps degraded"), ...problems() },
});

export const healthRoutes = newRouter().openapi(health, async (c) => {
  const health = await c.var.services.health.check();
  if (health.status === "down") {
    throw new AppError("unavailable", "The database cannot be reached", { headers: { "retry-after": "5" } });
  }
  c.header("cache-control", "no-store");
  return c.json(health, 200);
});
