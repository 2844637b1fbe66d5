/** Work that is done again until it succeeds, and what sweeps make of many rows. */
import { describe, it, vi } from "vitest";
import { createBackgroundQueue } from "../../src/common/background.ts";
import { createLogger } from "../../src/common/logger.ts";
import { DONE, type Outcome, persist, UNAVAILABLE, within } from "../../src/common/retry.ts";
import {
  listForSweep,
  OVERDUE_MS,
  repeat,
  SWEEP_LIMIT,
  type SweepOrder,
  workOff,
} from "../../src/common/sweep.ts";
import { readConfig } from "../../src/env.ts";

const inAMinute = () => Date.now() + 60_000;

/** Work that fails as told, then succeeds; counts its attempts. */
function failing(...outcomes: ("rejects" | "unavailable")[]) {
  return vi.fn<() => Promise<Outcome>>(async () => {
    const outcome = outcomes.shift();
    if (outcome === "rejects") throw new Error("away");
    return outcome === "unavailable" ? UNAVAILABLE : DONE;
  });
}

describe("what a sweep takes", () => {
  /** Rows 0, 1, …, the oldest first. */
  const listOf = (count: number) => (order: SweepOrder, limit: number) => {
    const rows = Array.from({ length: count }, (_, index) => index);
    return Promise.resolve((order === "oldest" ? rows : rows.toReversed()).slice(0, limit));
  };

  it("is all there is, or the oldest and the newest of a long backlog", async ({ expect }) => {
    const few = await listForSweep(listOf(SWEEP_LIMIT - 1));
    expect([few.length, few.at(-1)]).toEqual([SWEEP_LIMIT - 1, SWEEP_LIMIT - 2]);
    const many = await listForSweep(listOf(10_000));
    expect(new Set(many).size).toBe(SWEEP_LIMIT);
    expect([many[0], many.at(-1)]).toEqual([9_999, SWEEP_LIMIT / 2 - 1]);
    expect(many).toContain(0);
    expect(new Set(await listForSweep(listOf(SWEEP_LIMIT))).size).toBe(SWEEP_LIMIT);
  });
});

describe("persist", () => {
  it("does it again while it rejects or is unavailable, and no more when it is done", async ({ expect }) => {
    const work = failing("rejects", "unavailable");
    expect(await persist(work, inAMinute())).toEqual(DONE);
    expect(work).toHaveBeenCalledTimes(3);
  });

  it("makes one attempt when there is no time for another", async ({ expect }) => {
    const [rejecting, unavailable] = [failing("rejects"), failing("unavailable")];
    await expect(persist(rejecting, Date.now())).rejects.toThrow("away");
    expect(await persist(unavailable, 0)).toEqual(UNAVAILABLE);
    expect([rejecting.mock.calls.length, unavailable.mock.calls.length]).toEqual([1, 1]);
  });

  it("lets pauses grow, and no two of them are alike", async ({ expect }) => {
    vi.useFakeTimers();
    try {
      const pauses: number[] = [];
      for (let run = 0; run < 20; run += 1) {
        const startedAt = Date.now();
        const at: number[] = [];
        const outcome = persist(async () => {
          at.push(Date.now() - startedAt);
          return UNAVAILABLE;
        }, startedAt + 20_000);
        await vi.runAllTimersAsync();
        await outcome;
        expect(at.length).toBeGreaterThanOrEqual(5);
        expect(at.length).toBeLessThanOrEqual(8);
        expect(at.at(-1)).toBeLessThanOrEqual(20_000);
        pauses.push(at[1] ?? 0);
      }
      expect(Math.min(...pauses)).toBeGreaterThanOrEqual(150);
      expect(Math.max(...pauses)).toBeLessThanOrEqual(450);
      expect(new Set(pauses).size).toBeGreaterThan(10);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe("effects", () => {
  function queueOf(patienceMs: number) {
    const promises: Promise<unknown>[] = [];
    const log = createLogger();
    const warn = vi.spyOn(log, "warn").mockImplementation(() => undefined);
    const error = vi.spyOn(log, "error").mockImplementation(() => undefined);
    const queue = createBackgroundQueue((promise) => promises.push(promise), log, patienceMs);
    return { ...queue, warn, error, settled: () => Promise.all(promises) };
  }

  it("are begun after the response, and anew until they are done", async ({ expect }) => {
    const { effects, start, settled } = queueOf(60_000);
    const work = failing("unavailable", "rejects");
    effects("label", work);
    await Promise.resolve();
    expect(work).not.toHaveBeenCalled();
    start();
    await settled();
    expect(work).toHaveBeenCalledTimes(3);
  });

  it("that are not done in time are left to the sweep, which the log says", async ({ expect }) => {
    const { effects, start, settled, warn, error } = queueOf(0);
    const [unavailable, rejecting] = [failing("unavailable"), failing("rejects")];
    effects("unavailable", unavailable);
    effects("rejects", rejecting);
    start();
    await settled();
    expect(warn.mock.calls).toEqual([["effects are left to a sweep", { label: "unavailable" }]]);
    expect(error.mock.calls.map(([, , fields]) => fields)).toEqual([{ label: "rejects" }]);
    expect([unavailable.mock.calls.length, rejecting.mock.calls.length]).toEqual([1, 1]);
  });
});

describe("within", () => {
  it("gives the call's outcome, or gives up waiting", async ({ expect }) => {
    expect(await within(60_000, "It", Promise.resolve(7))).toBe(7);
    await expect(within(60_000, "It", Promise.reject(new Error("own")))).rejects.toThrow("own");
    await expect(within(1, "It", new Promise(() => undefined))).rejects.toThrow("It did not answer");
  });
});

describe("a sweep", () => {
  it("works off every row, whatever becomes of the others", async ({ expect }) => {
    const rows = Array.from({ length: 100 }, (_, index) => index);
    const seen: number[] = [];
    const sweep = workOff(rows, async (row) => {
      seen.push(row);
      if (row === 3) throw new Error("poison");
      return row === 4 ? UNAVAILABLE : DONE;
    });
    await expect(sweep).rejects.toThrow("1 of 100 rows failed");
    expect(seen.sort((a, b) => a - b)).toEqual(rows);
    expect(await workOff(rows, async (row) => (row === 4 ? UNAVAILABLE : DONE))).toBe(99);
  });

  it("has few rows under way at once", async ({ expect }) => {
    let [underWay, most] = [0, 0];
    await workOff(Array<number>(200).fill(1), async () => {
      underWay += 1;
      most = Math.max(most, underWay);
      await Promise.resolve();
      underWay -= 1;
      return DONE;
    });
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(20);
  });

  it("is repeated within its span", async ({ expect }) => {
    const run = vi.fn<() => Promise<void>>(() => Promise.resolve());
    await repeat(run, 5, 15);
    expect(run).toHaveBeenCalledTimes(3);
  });

  it("finds what a Worker left behind early enough to have it done within a minute", async ({ expect }) => {
    const settings = readConfig({
      ...Object.fromEntries(
        ["UPSTASH_REDIS_REST_TOKEN", "QSTASH_TOKEN", "QSTASH_CURRENT_SIGNING_KEY"].map((name) => [name, "x"]),
      ),
      QSTASH_NEXT_SIGNING_KEY: "x",
      PUBLIC_URL: "http://a",
      QSTASH_URL: "http://a",
      UPSTASH_REDIS_REST_URL: "http://a",
      DATABASE_URL: "http://a:a@a",
      JWT_KEYS: `k:${"x".repeat(32)}`,
    });
    if (!settings.ok) throw new Error(JSON.stringify(settings.problems));
    const { SWEEP_SECONDS, EFFECTS_PATIENCE_MS } = settings.config;
    const sweeps = vi.fn<() => Promise<void>>(() => Promise.resolve());
    await repeat(sweeps, SWEEP_SECONDS / 1_000, 60 / 1_000);
    // No gap between the last sweep of a minute and the first of the next is longer than the others.
    expect(sweeps.mock.calls.length * SWEEP_SECONDS).toBe(60);
    // Ten seconds are left for the effects themselves, the job and the notification.
    expect(OVERDUE_MS + SWEEP_SECONDS * 1_000 + 10_000).toBeLessThanOrEqual(60_000);
    // Nothing is swept that its Worker is still trying.
    expect(EFFECTS_PATIENCE_MS).toBeLessThan(OVERDUE_MS);
  });
});
