/**
 * When seeded rows were made and which of them attract others: steady growth over a year, most attention for what is
 * new, and a few things that everybody talks about.
 * @module
 */
import { QUARTER_MS } from "../../src/common/time-zone.ts";
import type { Random } from "./random.ts";

/** Rows in the order of their creation. */
export type Series = {
  count: number;
  id: (index: number) => number;
  /** Milliseconds since the epoch. */
  createdAt: (index: number) => number;
};

/** `count` rows with consecutive ids, spread evenly between two moments. */
export function evenSeries(firstId: number, count: number, fromMs: number, toMs: number): Series {
  const step = (toMs - fromMs) / (count + 1);
  return {
    count,
    id: (index) => firstId + index,
    createdAt: (index) => Math.floor(fromMs + step * (index + 1)),
  };
}

/** Rows that exist already. @param rows in the order of their creation */
export function existingSeries(rows: readonly { id: number; createdAt: Date }[]): Series {
  const ids = Float64Array.from(rows, (row) => row.id);
  const times = Float64Array.from(rows, (row) => row.createdAt.getTime());
  return { count: rows.length, id: (index) => ids[index] ?? 0, createdAt: (index) => times[index] ?? 0 };
}

/** One in a hundred rows is a talking point, one in ten thousand a sensation. */
const TALKING_POINT = 100;
const SENSATION = 10_000;
const SENSATION_SHARE = 0.1;
const TALKING_POINT_SHARE = 0.5;

/**
 * Chooses, for moments that only move forward, which existing row of `series` is answered or liked.
 * @returns indexes; the first row stands in for a moment before it
 */
export function attention(series: Series, random: Random): (atMs: number) => number {
  let existing = 1;
  return (atMs) => {
    while (existing < series.count && series.createdAt(existing) <= atMs) existing += 1;
    const index = existing - 1 - Math.floor(existing * random.next() ** 3);
    const share = random.next();
    if (share < SENSATION_SHARE) return index - (index % SENSATION);
    if (share < TALKING_POINT_SHARE) return index - (index % TALKING_POINT);
    return index;
  };
}

/** Those who write. */
export type People = Series & {
  /** Whether they join one by one during the year; otherwise all are there from the beginning. */
  growing: boolean;
};

/** Who writes at a moment that lies `progress` (0 to 1) through the year: the first to join write most. @returns an id */
export function authorAt(people: People, progress: number, random: Random): number {
  const present = people.growing ? Math.max(1, Math.floor(people.count * progress)) : people.count;
  return people.id(Math.floor(present * random.next() ** 2));
}

/** A `datetime(3)` as the inside of a quoted SQL literal. */
export function sqlInstant(ms: number): string {
  return new Date(ms).toISOString().slice(0, 23).replace("T", " ");
}

/** The start of the quarter of an hour in which `ms` lies; both milliseconds since the epoch. */
export function startOfQuarter(ms: number): number {
  return Math.floor(ms / QUARTER_MS) * QUARTER_MS;
}
