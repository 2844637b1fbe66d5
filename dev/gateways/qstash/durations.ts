/**
 * Durations as QStash writes them: `10s`, `1d10h30m`, `6m5s`.
 * @module
 */

const UNIT_MS: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

const PART = /(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)/y;

export const DAY_MS = 86_400_000;

/** Milliseconds of a duration with units, or undefined when the text is none. A bare number is none, except `0`. */
export function parseDurationMs(text: string): number | undefined {
  const trimmed = text.trim();
  if (trimmed === "0") return 0;
  if (trimmed === "") return undefined;
  let total = 0;
  let position = 0;
  while (position < trimmed.length) {
    PART.lastIndex = position;
    const [whole, amount, unit] = PART.exec(trimmed) ?? [];
    if (whole === undefined || unit === undefined) return undefined;
    total += Number(amount) * (UNIT_MS[unit] ?? 0);
    position += whole.length;
  }
  return total;
}

/** Milliseconds to wait by a `Retry-After` style value: seconds, a duration or an HTTP date. Undefined when it is neither. */
export function parseRetryAfterMs(value: string, nowMs: number): number | undefined {
  const trimmed = value.trim();
  if (/^\d+(\.\d+)?$/.test(trimmed)) return Number(trimmed) * 1000;
  const duration = parseDurationMs(trimmed);
  if (duration !== undefined) return duration;
  // Date.parse alone also takes "-5" and "June"; an HTTP date always names the day and ends in GMT.
  if (!/^[A-Za-z]{3,9},? .*GMT$/.test(trimmed)) return undefined;
  const date = Date.parse(trimmed);
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs);
}
