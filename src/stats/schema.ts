/**
 * Wire shapes of statistics.
 * @module
 */
import { z } from "@hono/zod-openapi";
import { isTimeZone } from "../common/time-zone.ts";

const dateSchema = z.iso.date("must be a date such as 2026-11-23");
const count = z.int();

export const dailyQuerySchema = z.object({
  from: dateSchema.optional().meta({ description: "First day; default: 29 days before `to`" }),
  to: dateSchema.optional().meta({ description: "Last day; default: today" }),
  timeZone: z
    .string()
    .max(64)
    .refine(isTimeZone, "must be an IANA time zone such as Asia/Seoul")
    .default("UTC")
    .meta({ description: "IANA time zone whose days are counted", example: "Asia/Seoul" }),
});
export type DailyQuery = z.infer<typeof dailyQuerySchema>;

export const dailyStatsSchema = z
  .object({
    items: z.array(z.object({ date: dateSchema, posts: count, comments: count, likes: count, users: count })),
  })
  .meta({ id: "DailyStats", description: "What was created on each day, oldest first" });
export type DailyStats = z.infer<typeof dailyStatsSchema>;
