/**
 * How many upstream calls a request waited for one after the other.
 * @module
 */

/** Times are milliseconds of one clock, or of clocks that agree within the slack; `endedAt` is absent while it runs. */
export type TimedCall = { startedAt: number; endedAt?: number | null | undefined };

/**
 * The length of the longest chain of calls of which each began when the one before had ended.
 * @param slackMs how much a call may seem to begin before the end of the one it waited for, where the two were timed by
 * different programs; below the shortest call's duration, else calls side by side are taken for a chain
 */
export function roundTrips(calls: readonly TimedCall[], slackMs = 0): number {
  const depths = new Map<TimedCall, number>();
  for (const call of [...calls].sort((a, b) => a.startedAt - b.startedAt)) {
    const before = calls.filter(
      (other) => other !== call && (other.endedAt ?? Infinity) <= call.startedAt + slackMs,
    );
    depths.set(call, 1 + Math.max(0, ...before.map((other) => depths.get(other) ?? 0)));
  }
  return Math.max(0, ...depths.values());
}
