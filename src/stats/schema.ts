/**
 * Wire shapes of statistics.
 * @module
 */
import { z } from "@hono/zod-openapi";
import { isTimeZone } from "../common/time-zone.ts";

const dateSchema = z.iso.date("must be a date such as 2026-11-23");
/** Nothing is older than 1970, and the day after the last one must have four digits of a year too. */
const queryDateSchema = dateSchema.refine((date) => date >= "1970-01-01" && date <= "9998-12-31", {
  message: "must be between 1970-01-01 and 9998-12-31",
});
const count = z.int();

export const dailyQuerySchema = z.object({
  from: queryDateSchema.optional().meta({ description: "First day; default: 29 days before `to`" }),
  to: queryDateSchema.optional().meta({ description: "Last day; default: today" }),
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
