/**
 * Redis for one request. Every command that is queued before the event loop turns travels in one pipeline, that is
 * in one HTTP call: the limiter's, the session check's and the cache's together.
 * @module
 */
import { Redis } from "@upstash/redis/cloudflare";
import type { Meter } from "../common/meter.ts";
import { DONE, type Outcome, UNAVAILABLE } from "../common/retry.ts";

type Pipeline = ReturnType<Redis["pipeline"]>;
type Waiting = { resolve: (result: unknown) => void; reject: (error: Error) => void };

/** Redis could not be reached, did not answer in time, or is in no state to do its work. */
export class RedisUnavailableError extends Error {
  override readonly name = "RedisUnavailableError";
}

/**
 * For an effect that may fail while Redis is away: rethrows everything else. What was to be forgotten is announced again
 * by a sweep, and requests ask the database meanwhile.
 */
export function ignoreOutage(error: unknown): void {
  if (!(error instanceof RedisUnavailableError)) throw error;
}

/** How an effect on Redis went: `unavailable` while Redis is away. Rejects with everything else. */
export function outcomeOf(effect: Promise<unknown>): Promise<Outcome> {
  return effect.then(
    () => DONE,
    (error: unknown) => {
      ignoreOutage(error);
      return UNAVAILABLE;
    },
  );
}

export type RedisClient = {
  /** Queues one command: `enqueue` must add exactly one to the pipeline. Rejects with `RedisUnavailableError` or the command's error. */
  run: <T>(enqueue: (pipeline: Pipeline) => unknown) => Promise<T>;
  /** Runs a script by its hash, once more by its text where Redis does not know it yet (one call more, once). */
  script: <T>(script: Script, keys: string[], args: (string | number)[]) => Promise<T>;
  /** Sends what is queued now instead of at the end of the turn. */
  flush: () => void;
  /**
   * From now on nobody waits for an answer: calls take their time, and neither heed nor open the breaker, so that a Redis
   * that is too slow for requests still hears of effects.
   */
  relax: () => void;
};

/** A Lua script with its SHA-1, which is made on first use. */
export type Script = { text: string; sha1?: string };

/** How long an isolate leaves Redis alone after a failure, so that an outage costs its time-out once, not per request. */
const BREAKER_OPEN_MS = 2_000;

/**
 * Errors that are about Redis's own state and not about the command: it is full (evicting nothing), read-only, starting,
 * over a limit of its plan, or wants other credentials. Such a Redis may still read what others cannot write, so it is
 * taken for away as a whole: no answer is made of what it still says.
 */
const OUT_OF_ORDER =
  /^(?:OOM|READONLY|LOADING|MISCONF|MASTERDOWN|NOREPLICAS|CLUSTERDOWN|TRYAGAIN|BUSY|NOAUTH|WRONGPASS|NOPERM)\b|(?:limit|quota) exceeded/;

/** Longest wait for a call when nobody waits for an answer. */
const RELAXED_TIMEOUT_MS = 3_000;

/** Memory of the isolate: until when Redis, by its address, is taken for dead. */
const deadUntil = new Map<string, number>();

/** @param timeoutMs longest wait for one call */
export function createRedis(
  { url, token, timeoutMs }: { url: string; token: string; timeoutMs: number },
  meter: Meter,
): RedisClient {
  let relaxed = false;
  const redis = new Redis({
    url,
    token,
    retry: false,
    enableTelemetry: false,
    enableAutoPipelining: false,
    readYourWrites: false,
    automaticDeserialization: false,
    // Everything in this Redis is UTF-8. Base64 is slower to read, and its decoder drops a byte order mark in front of a text.
    responseEncoding: false,
    // As a function: with a plain signal the SDK answers an abort with a made-up result instead of throwing.
    signal: () => AbortSignal.timeout(relaxed ? Math.max(timeoutMs, RELAXED_TIMEOUT_MS) : timeoutMs),
  });
  let pipeline: Pipeline | undefined;
  let waiting: Waiting[] = [];

  function run<T>(enqueue: (pipeline: Pipeline) => unknown): Promise<T> {
    if (!pipeline) {
      pipeline = redis.pipeline();
      setTimeout(flush, 0);
    }
    enqueue(pipeline);
    return new Promise<T>((resolve, reject) => {
      waiting.push({ resolve: resolve as (result: unknown) => void, reject });
    });
  }

  function flush(): void {
    if (!pipeline) return;
    const batch = pipeline;
    const waiters = waiting;
    pipeline = undefined;
    waiting = [];
    void send(batch, waiters);
  }

  async function send(batch: Pipeline, waiters: Waiting[]): Promise<void> {
    const heedsBreaker = !relaxed;
    try {
      if (heedsBreaker && (deadUntil.get(url) ?? 0) > Date.now())
        throw new Error("Redis failed a moment ago");
      const results = await meter.measure(
        "redis",
        () => batch.exec({ keepErrors: true }) as Promise<{ result: unknown; error?: string }[]>,
      );
      const outOfOrder = results.find(({ error }) => error !== undefined && OUT_OF_ORDER.test(error));
      if (outOfOrder) throw new Error(outOfOrder.error);
      if (heedsBreaker) deadUntil.delete(url);
      for (const [index, waiter] of waiters.entries()) {
        const result = results[index];
        if (result?.error !== undefined) waiter.reject(new Error(result.error));
        else waiter.resolve(result?.result);
      }
    } catch (cause) {
      if (heedsBreaker && (!deadUntil.has(url) || (deadUntil.get(url) ?? 0) <= Date.now()))
        deadUntil.set(url, Date.now() + BREAKER_OPEN_MS);
      for (const waiter of waiters)
        waiter.reject(new RedisUnavailableError("Redis is not available", { cause }));
    }
  }

  async function evaluate<T>(
    script: Script,
    sha1: string,
    keys: string[],
    args: (string | number)[],
  ): Promise<T> {
    try {
      return await run<T>((pipe) => pipe.evalsha(sha1, keys, args));
    } catch (error) {
      if (!(error instanceof Error) || !error.message.includes("NOSCRIPT")) throw error;
      return run<T>((pipe) => pipe.eval(script.text, keys, args));
    }
  }

  function script<T>(script: Script, keys: string[], args: (string | number)[]): Promise<T> {
    // Without a wait when the hash is known, so that the command joins what is queued already.
    if (script.sha1 !== undefined) return evaluate(script, script.sha1, keys, args);
    return sha1Hex(script.text).then((sha1) => {
      script.sha1 = sha1;
      return evaluate(script, sha1, keys, args);
    });
  }

  return {
    run,
    script,
    flush,
    relax() {
      relaxed = true;
    },
  };
}

async function sha1Hex(text: string): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-1", new TextEncoder().encode(text))).toHex();
}
