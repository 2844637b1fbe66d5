/**
 * `/api/stats`.
 * @module
 */
import { createRoute } from "@hono/zod-openapi";
import { jsonResponse, newRouter, problems } from "../http/openapi.ts";
import { publicRead } from "../http/routes.ts";
import { dailyQuerySchema, dailyStatsSchema } from "./schema.ts";

const daily = createRoute({
  method: "get",
  path: "/daily",
  tags: ["Statistics"],
  summary: "What was created on each day",
  description: "Counted every 15 minutes. Days without anything are 0; 366 days at most.",
  middleware: publicRead,
  request: { query: dailyQuerySchema },
  responses: { 200: jsonResponse(dailyStatsSchema, "One item for each day"), ...problems(422) },
});

export const statsRoutes = newRouter().openapi(daily, async (c) => {
  return c.json(await c.var.services.stats.daily(c.req.valid("query")), 200);
});
