/**
 * Rate limits: @upstash/ratelimit on the request's Redis pipeline; while Redis is away, a window in the isolate's
 * memory takes its place (each isolate counts for itself then, so the limit is looser but never gone).
 * @module
 */
import { Ratelimit } from "@upstash/ratelimit";
import { type RedisClient, RedisUnavailableError } from "./client.ts";
import { keys } from "./keys.ts";

/** Requests per window at scale 1. Reads are per user or address; sign-ins also per account. */
export const POLICIES = {
  read: { quota: 600, windowSeconds: 60 },
  write: { quota: 60, windowSeconds: 60 },
  "sign-in": { quota: 20, windowSeconds: 60 },
  "sign-in-account": { quota: 10, windowSeconds: 600 },
  refresh: { quota: 120, windowSeconds: 60 },
  "sign-up": { quota: 10, windowSeconds: 600 },
  "unsigned-job": { quota: 60, windowSeconds: 60 },
} as const satisfies Record<string, { quota: number; windowSeconds: number }>;

export type PolicyName = keyof typeof POLICIES;

export type LimitResult = {
  policy: PolicyName;
  allowed: boolean;
  /** The quota in force, after scaling. */
  quota: number;
  windowSeconds: number;
  remaining: number;
  /** Until the window is over. */
  resetSeconds: number;
};

export type Limiter = {
  /** Counts one request. Null when limits are switched off. Never rejects. Queues one Redis command; sends none for who is known to be blocked. */
  check: (policy: PolicyName, identifier: string) => Promise<LimitResult | null>;
};

/** Memory of the isolate: who is blocked until when, kept by @upstash/ratelimit, and the windows counted without Redis. */
const blocked = new Map<string, number>();
const windows = new Map<string, { count: number; endsAt: number }>();
const WINDOWS_MAX = 10_000;

export function createLimiter(redis: RedisClient, scale: number, now: () => number): Limiter {
  return {
    async check(policy, identifier) {
      if (scale === 0) return null;
      const { windowSeconds } = POLICIES[policy];
      const quota = Math.max(1, Math.round(POLICIES[policy].quota * scale));
      const ratelimit = new Ratelimit({
        redis: onPipeline(redis),
        limiter: Ratelimit.slidingWindow(quota, `${windowSeconds} s`),
        prefix: keys.limit(policy),
        ephemeralCache: blocked,
        analytics: false,
        // The pipeline has its own time-out, after which the isolate counts; the library's would let everybody pass.
        timeout: 0,
      });
      let outcome: { success: boolean; remaining: number; reset: number };
      try {
        outcome = await ratelimit.limit(identifier);
      } catch (error) {
        if (!(error instanceof RedisUnavailableError)) throw error;
        outcome = countHere(`${policy}:${identifier}`, quota, windowSeconds, now());
      }
      return {
        policy,
        allowed: outcome.success,
        quota,
        windowSeconds,
        remaining: Math.max(0, outcome.remaining),
        resetSeconds: Math.max(1, Math.ceil((outcome.reset - now()) / 1000)),
      };
    },
  };
}

function countHere(key: string, quota: number, windowSeconds: number, now: number) {
  let window = windows.get(key);
  if (!window || window.endsAt <= now) {
    if (windows.size >= WINDOWS_MAX) windows.clear();
    window = { count: 0, endsAt: now + windowSeconds * 1000 };
    windows.set(key, window);
  }
  window.count += 1;
  return { success: window.count <= quota, remaining: quota - window.count, reset: window.endsAt };
}

/** The part of a Redis client that the sliding window uses, queued on the request's pipeline. */
function onPipeline(redis: RedisClient): ConstructorParameters<typeof Ratelimit>[0]["redis"] {
  const client = {
    evalsha: (sha: string, scriptKeys: string[], args: unknown[]) =>
      redis.run((pipeline) => pipeline.evalsha(sha, scriptKeys, args)).then(asNumbers),
    eval: (text: string, scriptKeys: string[], args: unknown[]) =>
      redis.run((pipeline) => pipeline.eval(text, scriptKeys, args)).then(asNumbers),
  };
  return client as unknown as ConstructorParameters<typeof Ratelimit>[0]["redis"];
}

/** The pipeline does not deserialise, so a number that Redis answers as text is made one again. */
function asNumbers(result: unknown): unknown {
  return Array.isArray(result) ? result.map(Number) : result;
}
