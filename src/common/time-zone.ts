/**
 * Days of a time zone, from the runtime's IANA data.
 * @module
 */

/** Statistics are kept per quarter of an hour: every offset in use since 1972 is a multiple of it. */
export const QUARTER_MS = 900_000;
const DAY_MS = 86_400_000;

/** From `startsAt` (milliseconds since the epoch) on, local time is ahead of UTC by `offsetMs`. */
export type OffsetSpan = { startsAt: number; offsetMs: number };

/** By zone in small letters: the runtime takes any case, and a client must not be able to fill this with spellings. */
const formats = new Map<string, Intl.DateTimeFormat>();

/** Whether the runtime knows the IANA zone. */
export function isTimeZone(name: string): boolean {
  // Offsets such as +09:00 are no zones.
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    formatOf(name);
    return true;
  } catch {
    return false;
  }
}

/** By how much local time is ahead of UTC at an instant. */
export function offsetAt(timeZone: string, instant: number): number {
  const parts = new Map(
    formatOf(timeZone)
      .formatToParts(instant)
      .map(({ type, value }) => [type, Number(value)]),
  );
  const part = (type: Intl.DateTimeFormatPartTypes) => parts.get(type) ?? 0;
  const local = Date.UTC(
    part("year"),
    part("month") - 1,
    part("day"),
    part("hour"),
    part("minute"),
    part("second"),
  );
  return local - Math.floor(instant / 1000) * 1000;
}

/**
 * The instant at which a local date begins. Where midnight does not exist (clocks go forward at it), the first instant
 * after it; where it exists twice, the earlier one.
 * @param date `YYYY-MM-DD`
 */
export function startOfDate(timeZone: string, date: string): number {
  const utc = Date.parse(`${date}T00:00:00Z`);
  const candidates = [offsetAt(timeZone, utc - DAY_MS / 2), offsetAt(timeZone, utc + DAY_MS / 2)].map(
    (offset) => utc - offset,
  );
  const exact = candidates.filter((instant) => instant + offsetAt(timeZone, instant) === utc);
  return exact.length > 0 ? Math.min(...exact) : Math.max(...candidates);
}

/** The local date of an instant, `YYYY-MM-DD`. */
export function dateAt(timeZone: string, instant: number): string {
  return new Date(instant + offsetAt(timeZone, instant)).toISOString().slice(0, 10);
}

/** The date `days` after another. */
export function addDays(date: string, days: number): string {
  return new Date(Date.parse(`${date}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);
}

/** Days from one date to another. */
export function daysBetween(from: string, to: string): number {
  return Math.round((Date.parse(`${to}T00:00:00Z`) - Date.parse(`${from}T00:00:00Z`)) / DAY_MS);
}

/** The spans of constant offset that cover `[from, to)`; the first begins at `from`. Transitions are exact to a quarter of an hour. */
export function offsetSpans(timeZone: string, from: number, to: number): OffsetSpan[] {
  const spans: OffsetSpan[] = [{ startsAt: from, offsetMs: offsetAt(timeZone, from) }];
  for (let day = from; day < to; day += DAY_MS) {
    let current = spans.at(-1)?.offsetMs ?? 0;
    const next = Math.min(day + DAY_MS, to);
    if (offsetAt(timeZone, next) === current) continue;
    let low = Math.floor(day / QUARTER_MS);
    let high = Math.ceil(next / QUARTER_MS);
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (offsetAt(timeZone, middle * QUARTER_MS) === current) low = middle;
      else high = middle;
    }
    current = offsetAt(timeZone, high * QUARTER_MS);
    spans.push({ startsAt: high * QUARTER_MS, offsetMs: current });
  }
  return spans;
}

function formatOf(timeZone: string): Intl.DateTimeFormat {
  const key = timeZone.toLowerCase();
  let format = formats.get(key);
  if (!format) {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone,
      calendar: "gregory",
      numberingSystem: "latn",
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
    formats.set(key, format);
  }
  return format;
}
