/**
 * What a request costs, by what the gateways saw: statements, and calls that waited for one another.
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import { roundTrips } from "./round-trips.ts";
import type { CallRecord } from "./server.ts";

const UPSTREAMS = ["db", "redis", "qstash"] as const;
type Upstream = (typeof UPSTREAMS)[number];

/** An answer as far as it is needed here. */
export type Answered = { status: number; headers: { get: (name: string) => string | null } };

export type Cost = {
  /** The longest chain of calls that waited for one another between request and answer. */
  roundTrips: number;
  statements: number;
  /** Each call that the answer waited for, for messages: `db select …`. */
  calls: string[];
};

export type CostMeter = {
  /**
   * Sends a request when nothing of an earlier one is under way. Resolve `send` when the answer's head has arrived.
   * @param before makes what the request needs; none of it counts
   * @throws when the answer is no success, or when its `Server-Timing` tells of other calls than the gateways saw
   */
  measure: (send: () => Promise<Answered>, before?: () => Promise<unknown>) => Promise<Cost>;
  /** Resolves when no gateway has had a call for a while: the work behind earlier answers is done. */
  quiet: () => Promise<void>;
  /** Changes the delay; only with a delay is `measure` exact. */
  delay: (ms: number) => Promise<void>;
};

/** Longer than the pauses between the calls of one request and of the work behind it. */
const QUIET_MS = 120;
const QUIET_WITHIN_MS = 30_000;
/** A program that was kept waiting by the machine, or work that came late, spoils one try, not all. */
const TRIES = 5;

/**
 * Reads the records of gateways that nothing else uses meanwhile. The delay is what tells calls side by side from calls
 * one after the other, and those that the answer waited for from those behind it.
 * @param gateways base URLs
 * @param delayMs added to each call
 */
export async function createCostMeter(
  gateways: Record<Upstream, string>,
  delayMs: number,
): Promise<CostMeter> {
  const slackMs = delayMs / 2;
  const all = async (method: string, path: string, body?: unknown) => {
    await Promise.all(UPSTREAMS.map((name) => control(gateways[name], method, path, body)));
  };
  const records = () =>
    Promise.all(
      UPSTREAMS.map(async (upstream) => {
        const { calls } = await control<{ calls: CallRecord[] }>(gateways[upstream], "GET", "calls");
        return calls.map((call) => ({ ...call, upstream }));
      }),
    ).then((lists) => lists.flat());

  async function quiet(): Promise<void> {
    const giveUpAt = Date.now() + QUIET_WITHIN_MS;
    for (;;) {
      const calls = await records();
      const last = Math.max(0, ...calls.map(({ endedAt }) => endedAt ?? Infinity));
      if (clock() - last > QUIET_MS) return;
      if (Date.now() > giveUpAt) throw new Error("the gateways do not become quiet");
      await sleep(20);
    }
  }

  async function attempt(send: () => Promise<Answered>): Promise<Cost | string> {
    await quiet();
    await all("DELETE", "calls");
    const answer = await send();
    const arrivedAt = clock();
    if (answer.status >= 300) throw new Error(`answered ${answer.status}`);
    // Work behind the answer takes the delay at least.
    const calls = (await records()).filter(
      ({ endedAt }) => endedAt !== null && endedAt <= arrivedAt + slackMs,
    );
    const told = answer.headers.get("server-timing") ?? "";
    for (const upstream of UPSTREAMS) {
      const seen = calls.filter((call) => call.upstream === upstream).length;
      const count = Number(new RegExp(`\\b${upstream};[^,]*desc="(\\d+)"`).exec(told)?.[1] ?? 0);
      if (count !== seen) return `Server-Timing tells of ${count} of ${seen} calls to ${upstream}`;
    }
    return {
      roundTrips: roundTrips(calls, slackMs),
      statements: calls.filter(({ upstream }) => upstream === "db").length,
      calls: calls.map(({ upstream, label }) => `${upstream} ${label}`),
    };
  }

  const delay = (ms: number) => all("PUT", "delay", { ms });
  await delay(delayMs);
  return {
    quiet,
    delay,
    async measure(send, before) {
      for (let count = 1; ; count += 1) {
        if (before) {
          await quiet();
          await before();
        }
        const outcome = await attempt(send);
        if (typeof outcome !== "string") return outcome;
        if (count === TRIES) throw new Error(outcome);
      }
    },
  };
}

/** As the gateways have it. */
function clock(): number {
  return performance.timeOrigin + performance.now();
}

async function control<Body>(url: string, method: string, path: string, body?: unknown): Promise<Body> {
  const response = await fetch(`${url}/_local/${path}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${method} ${url}/_local/${path}: ${response.status}`);
  return (await response.json()) as Body;
}
