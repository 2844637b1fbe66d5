/**
 * Sweeps: they find effects that stayed due, because a Worker died or somebody was away for long, and make up for them.
 * @module
 */
import { delay } from "./delay.ts";
import type { Outcome } from "./retry.ts";

/**
 * Effects that have been due for this long are a sweep's: about as long as a Worker may work on after its response.
 * With a sweep every 20 s (`SWEEP_SECONDS`), what a Worker left behind is looked at 50 s later at the latest.
 */
export const OVERDUE_MS = 30_000;
/**
 * What has been due for longer than this is late: nobody does it. That is six times as long as it takes when all goes
 * well (50 s), so a cron trigger that was skipped, a deployment, or somebody who was away for a minute or two wakes no
 * operator; cron that has stopped does, and so does the backlog of a longer outage until it is worked off.
 */
export const LATE_MS = 5 * 60_000;
/** Rows of one sweep. */
export const SWEEP_LIMIT = 500;
/** Which rows come first: those that have been due for longest, or for the shortest time. */
export type SweepOrder = "oldest" | "newest";
/** Rows that are worked off side by side. */
const AT_ONCE = 20;

/** What came due before this time is a sweep's. */
export function overdueSince(now: Date): Date {
  return new Date(now.getTime() - OVERDUE_MS);
}

/** What has been due since before this time is late. */
export function lateSince(now: Date): Date {
  return new Date(now.getTime() - LATE_MS);
}

/**
 * What a sweep works off: the oldest rows. Of a longer backlog half of them are the newest, and come first: what keeps the
 * oldest, such as a queue that is away, must not keep everything from what comes behind them. While more rows than that
 * come due between two sweeps, some of them wait all the same. One statement; two where there is a backlog.
 * @param list rows that are overdue, at most so many
 */
export async function listForSweep<Row>(
  list: (order: SweepOrder, limit: number) => Promise<Row[]>,
): Promise<Row[]> {
  const oldest = await list("oldest", SWEEP_LIMIT);
  if (oldest.length < SWEEP_LIMIT) return oldest;
  const half = SWEEP_LIMIT / 2;
  return [...(await list("newest", half)), ...oldest.slice(0, half)];
}

/**
 * Works off what a sweep found, some rows side by side. A row that fails stays due and holds up no other.
 * @returns how many rows are done
 * @throws the first failure, when all rows have had their turn
 */
export async function workOff<Row>(
  rows: readonly Row[],
  work: (row: Row) => Promise<Outcome>,
): Promise<number> {
  let next = 0;
  let done = 0;
  const failures: unknown[] = [];
  async function worker(): Promise<void> {
    for (let row = rows[next++]; row !== undefined; row = rows[next++]) {
      try {
        if ((await work(row)).status === "done") done += 1;
      } catch (error) {
        failures.push(error);
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  if (failures.length > 0) {
    throw new Error(`${failures.length} of ${rows.length} rows failed`, { cause: failures[0] });
  }
  return done;
}

/** Runs now and every `everyMs` until `spanMs` are over; a run that takes long delays the next. */
export async function repeat(run: () => Promise<void>, everyMs: number, spanMs: number): Promise<void> {
  const startedAt = Date.now();
  for (let due = 0; due < spanMs; due += everyMs) {
    const waitMs = startedAt + due - Date.now();
    if (waitMs > 0) await delay(waitMs);
    await run();
  }
}
