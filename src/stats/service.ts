/**
 * Daily statistics, from rollups of a quarter of an hour each.
 * @module
 */
import { fieldError } from "../common/errors.ts";
import { addDays, dateAt, daysBetween, offsetSpans, QUARTER_MS, startOfDate } from "../common/time-zone.ts";
import type { StatsRepository } from "./repository.ts";
import type { DailyQuery, DailyStats } from "./schema.ts";

const DAYS_MAX = 366;
const DAYS_DEFAULT = 30;
/** Counted again at each run: rows are committed a little after the time that they carry. */
const OVERLAP_MS = 2 * 3_600_000;
/** One run counts at most so much; after a longer pause the next runs catch up. */
const RUN_MAX_MS = 31 * 86_400_000;

export type StatsService = ReturnType<typeof createStatsService>;

export function createStatsService({ repository, now }: { repository: StatsRepository; now: () => Date }) {
  return {
    /**
     * Posts, comments, likes and accounts made on each day, deleted ones included. One statement that reads the rollup only.
     * @throws AppError `validation_failed` for a range that is reversed or longer than 366 days
     */
    async daily({ from, to, timeZone }: DailyQuery): Promise<DailyStats> {
      const last = to ?? dateAt(timeZone, now().getTime());
      const first = from ?? addDays(last, 1 - DAYS_DEFAULT);
      const days = daysBetween(first, last) + 1;
      if (days < 1) throw fieldError("to", "must not be before from");
      if (days > DAYS_MAX) throw fieldError("to", `must be at most ${DAYS_MAX} days from from`);
      const start = startOfDate(timeZone, first);
      const end = startOfDate(timeZone, addDays(last, 1));
      const rows = await repository.daily(offsetSpans(timeZone, start, end), new Date(start), new Date(end));
      const byDate = new Map(rows.map((row) => [row.date, row]));
      const none = { posts: 0, comments: 0, likes: 0, users: 0 };
      return {
        items: Array.from({ length: days }, (_, index) => {
          const date = addDays(first, index);
          return { ...none, ...byDate.get(date), date };
        }),
      };
    },

    /** Counts what is new since the last run, and the last two hours again. Three statements at most. */
    async rollUp(): Promise<void> {
      const at = now();
      const last = await repository.lastBucket();
      const start = last ? last.getTime() - OVERLAP_MS : (await repository.firstActivity())?.getTime();
      if (start === undefined) return;
      const from = Math.floor(start / QUARTER_MS) * QUARTER_MS;
      const to = Math.min(Math.ceil(at.getTime() / QUARTER_MS) * QUARTER_MS, from + RUN_MAX_MS);
      await repository.rollUp(new Date(from), new Date(to), at);
    },
  };
}
