/** What the health check says while parts are away, and while late work is not done. */
import { createExecutionContext, createScheduledController, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { eq } from "drizzle-orm";
import { afterEach, beforeEach, describe, inject, it, onTestFinished, vi } from "vitest";
import { LATE_MS } from "../src/common/sweep.ts";
import { posts } from "../src/db/schema/posts.ts";
import worker from "../src/index.ts";
import { anonymous } from "./support/client.ts";
import { returnToPresent, stretchTimers } from "./support/clock.ts";
import { CLOSED_PORT, db } from "./support/database.ts";
import { newPost } from "./support/threads.ts";

const NO_REDIS = { UPSTASH_REDIS_REST_URL: `http://${CLOSED_PORT}` };
const NO_DATABASE = { DATABASE_URL: `http://lf:lf@${CLOSED_PORT}` };
const NO_QSTASH = { QSTASH_URL: `http://${CLOSED_PORT}` };
const WELL = { db: "ok", redis: "ok", qstash: "ok", effects: "ok" };
/** The machine may be busy, and other files of tests may have left much that is late. */
const PATIENT = { timeout: 120_000 };

// A check that comes back late finds more away than there is.
beforeEach(() => {
  stretchTimers(10);
});
afterEach(returnToPresent);

const health = (settings: Record<string, string> = {}) => anonymous({ settings }).get("/api/health");

/** What cron does every minute, also for what other files of tests, whose database this is, have left undone. */
async function runEveryMinute(): Promise<void> {
  const context = createExecutionContext();
  await worker.scheduled(createScheduledController({ cron: "* * * * *" }), env, context);
  await waitOnExecutionContext(context);
}

describe("GET /health", () => {
  it("is ok while all parts answer and nothing is late", async ({ expect }) => {
    await expect
      .poll(async () => {
        await runEveryMinute();
        const { status, body, headers } = await health();
        return [status, body, headers.get("cache-control")];
      }, PATIENT)
      .toEqual([200, { status: "ok", checks: WELL }, "no-store"]);
  });

  it("is degraded while something has been due for long, until a sweep has done it", async ({ expect }) => {
    const { id } = await newPost();
    await expect
      .poll(async () => {
        // Each time: work behind an earlier answer may settle it.
        const effectsDueAt = new Date(Date.now() - LATE_MS - 1_000);
        await db.update(posts).set({ effectsDueAt }).where(eq(posts.id, id));
        const { status, body } = await health();
        return [status, body];
      }, PATIENT)
      .toEqual([200, { status: "degraded", checks: { ...WELL, effects: "late" } }]);
    await expect
      .poll(async () => {
        await runEveryMinute();
        return (await health()).body;
      }, PATIENT)
      .toEqual({ status: "ok", checks: WELL });
    const rows = await db.select({ due: posts.effectsDueAt }).from(posts).where(eq(posts.id, id));
    expect(rows).toEqual([{ due: null }]);
  });

  it("is degraded, not 503, while the database is behind the code", async ({ expect }) => {
    const realFetch = globalThis.fetch;
    const spy = vi.spyOn(globalThis, "fetch").mockImplementation((input, init) => {
      const { origin } = new URL(input instanceof Request ? input.url : input);
      const older =
        origin === inject("cloud").planetscale && typeof init?.body === "string"
          ? { ...init, body: init.body.replaceAll("effects_due_at", "not_there_yet") }
          : init;
      return realFetch(input, older);
    });
    onTestFinished(() => {
      spy.mockRestore();
    });
    const { status, body } = await health();
    expect([status, body]).toEqual([200, { status: "degraded", checks: { ...WELL, effects: "late" } }]);
  });

  it("is degraded while Redis or QStash is away, and says which", async ({ expect }) => {
    const noRedis = await health(NO_REDIS);
    expect(noRedis.status).toBe(200);
    expect(noRedis.body).toMatchObject({
      status: "degraded",
      checks: { db: "ok", redis: "down", qstash: "ok" },
    });
    const noQstash = await health(NO_QSTASH);
    expect(noQstash.status).toBe(200);
    expect(noQstash.body).toMatchObject({
      status: "degraded",
      checks: { db: "ok", redis: "ok", qstash: "down" },
    });
  });

  it("is degraded when a token is wrong", async ({ expect }) => {
    expect((await health({ QSTASH_TOKEN: "wrong" })).body).toMatchObject({ checks: { qstash: "down" } });
    expect((await health({ UPSTASH_REDIS_REST_TOKEN: "wrong" })).body).toMatchObject({
      checks: { redis: "down" },
    });
  });

  it("is 503 while the database is away or refuses the password", async ({ expect }) => {
    const wrongPassword = { DATABASE_URL: env.DATABASE_URL.replace(/:[^:@]+@/, ":wrong@") };
    for (const settings of [NO_DATABASE, wrongPassword, { ...NO_DATABASE, ...NO_REDIS, ...NO_QSTASH }]) {
      const { status, body, headers } = await health(settings);
      expect([status, body.code]).toEqual([503, "unavailable"]);
      expect(headers.get("retry-after")).toMatch(/^\d+$/);
    }
  });
});
