/**
 * Counts and times the upstream calls of one request, for `Server-Timing` and the log line.
 * @module
 */

export type Upstream = "db" | "redis" | "qstash";
export type UpstreamUse = { calls: number; durationMs: number };

export type Meter = {
  /** Times one call. Overlapping calls each add their own time. */
  measure: <T>(upstream: Upstream, call: () => Promise<T>) => Promise<T>;
  /** What was used so far; an upstream without a call is absent. */
  used: () => Partial<Record<Upstream, UpstreamUse>>;
};

export function createMeter(now: () => number = () => performance.now()): Meter {
  const used: Partial<Record<Upstream, UpstreamUse>> = {};
  return {
    async measure(upstream, call) {
      const use = (used[upstream] ??= { calls: 0, durationMs: 0 });
      use.calls += 1;
      const startedAt = now();
      try {
        return await call();
      } finally {
        use.durationMs += now() - startedAt;
      }
    },
    used: () => used,
  };
}

/** The value of `Server-Timing` (W3C Server Timing): one entry for each upstream used; `desc` is its number of calls. */
export function serverTiming(meter: Meter): string {
  return Object.entries(meter.used())
    .map(([name, use]) => `${name};dur=${use.durationMs.toFixed(1)};desc="${use.calls}"`)
    .join(", ");
}
