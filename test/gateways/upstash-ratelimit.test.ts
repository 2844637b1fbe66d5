/** All limiter algorithms of @upstash/ratelimit, whose scripts carry a flag that stock Redis does not know. */
import { Ratelimit } from "@upstash/ratelimit";
import { Redis } from "@upstash/redis/cloudflare";
import { describe, inject, it } from "vitest";
import { waitUntil } from "../support/patience.ts";

const { settings } = inject("cloud");
const redis = new Redis({
  url: settings.UPSTASH_REDIS_REST_URL ?? "",
  token: settings.UPSTASH_REDIS_REST_TOKEN ?? "",
});

/** Windows of a day, so that no test meets the end of one. */
const LONG = [
  { name: "fixedWindow", limiter: Ratelimit.fixedWindow(3, "1 d") },
  { name: "slidingWindow", limiter: Ratelimit.slidingWindow(3, "1 d") },
  { name: "tokenBucket", limiter: Ratelimit.tokenBucket(3, "1 d", 3) },
];
const SHORT = [
  { name: "fixedWindow", limiter: Ratelimit.fixedWindow(1, "1 s") },
  { name: "slidingWindow", limiter: Ratelimit.slidingWindow(1, "1 s") },
  { name: "tokenBucket", limiter: Ratelimit.tokenBucket(1, "1 s", 1) },
];

type Limiter = (typeof LONG)[number]["limiter"];

function ratelimit(limiter: Limiter): Ratelimit {
  return new Ratelimit({ redis, limiter, prefix: `t:${crypto.randomUUID()}`, ephemeralCache: false });
}

async function successes(limit: Ratelimit, identifier: string, count: number): Promise<boolean[]> {
  const results: boolean[] = [];
  for (let index = 0; index < count; index += 1) results.push((await limit.limit(identifier)).success);
  return results;
}

describe.for(LONG)("$name", ({ limiter }) => {
  it("lets the limit through and blocks what comes after", async ({ expect }) => {
    const limit = ratelimit(limiter);
    expect(await successes(limit, "a", 5)).toEqual([true, true, true, false, false]);
  });

  it("counts each identifier apart", async ({ expect }) => {
    const limit = ratelimit(limiter);
    await successes(limit, "a", 4);
    expect(await successes(limit, "사용자 🙂", 1)).toEqual([true]);
  });

  it("says what remains, with and without using a token", async ({ expect }) => {
    const limit = ratelimit(limiter);
    expect((await limit.getRemaining("a")).remaining).toBe(3);
    expect(await limit.limit("a")).toMatchObject({ success: true, limit: 3, remaining: 2 });
    expect((await limit.getRemaining("a")).remaining).toBe(2);
    await successes(limit, "a", 4);
    expect((await limit.getRemaining("a")).remaining).toBe(0);
  });

  it("takes several tokens at once", async ({ expect }) => {
    const limit = ratelimit(limiter);
    expect(await limit.limit("a", { rate: 2 })).toMatchObject({ success: true, remaining: 1 });
    expect((await limit.limit("a", { rate: 2 })).success).toBe(false);
  });

  it("forgets what was used on reset", async ({ expect }) => {
    const limit = ratelimit(limiter);
    await successes(limit, "a", 4);
    await limit.resetUsedTokens("a");
    expect((await limit.getRemaining("a")).remaining).toBe(3);
    expect(await successes(limit, "a", 1)).toEqual([true]);
  });

  it("lets exactly the limit through when 20 come at once", async ({ expect }) => {
    const limit = ratelimit(limiter);
    const results = await Promise.all(Array.from({ length: 20 }, async () => limit.limit("a")));
    expect(results.filter(({ success }) => success)).toHaveLength(3);
  });
});

describe.for(SHORT)("$name", ({ limiter }) => {
  it("lets through again later", async ({ expect }) => {
    const limit = ratelimit(limiter);
    await waitUntil(async () => !(await limit.limit("a")).success, { interval: 0 });
    expect(await limit.blockUntilReady("a", 10_000)).toMatchObject({ success: true });
  });
});

describe("a limiter", () => {
  it("applies a limit set while it runs", async ({ expect }) => {
    const limit = new Ratelimit({
      redis,
      limiter: Ratelimit.fixedWindow(5, "1 d"),
      prefix: `t:${crypto.randomUUID()}`,
      ephemeralCache: false,
      dynamicLimits: true,
    });
    await limit.setDynamicLimit({ limit: 1 });
    expect(await successes(limit, "a", 2)).toEqual([true, false]);
  });
});
