/** Popular posts: the order, and how long it is kept. */
import { createExecutionContext, createScheduledController, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { eq } from "drizzle-orm";
import { afterEach, describe, it } from "vitest";
import { keys } from "../src/cache/keys.ts";
import { posts } from "../src/db/schema/posts.ts";
import worker from "../src/index.ts";
import { anonymous, type Page, type PostSummary, signedIn } from "./support/client.ts";
import { returnToPresent, stretchTimers } from "./support/clock.ts";
import { CLOSED_PORT, db, redis } from "./support/database.ts";
import { type Account, board, bodyOf, post, registerUser, unique } from "./support/factories.ts";
import { waitUntil } from "./support/patience.ts";
import { statements, type UpstreamCall, watchUpstreams } from "./support/upstreams.ts";

afterEach(returnToPresent);

type State = Partial<{ viewCount: number; likeCount: number; commentCount: number; createdAt: Date }>;

async function writeAs(author: Account, boardId: number, state: State = {}): Promise<number> {
  const { id } = await post(author, { boardId });
  if (Object.keys(state).length > 0) await db.update(posts).set(state).where(eq(posts.id, id));
  return id;
}

const hoursAgo = (hours: number) => new Date(Date.now() - hours * 3_600_000);

async function popular(boardId: number, query = ""): Promise<number[]> {
  const { body } = await anonymous().get<Page<PostSummary>>(`/api/posts/popular?boardId=${boardId}${query}`);
  return body.items.map(({ id }) => id);
}

/** Until when a ranking may be served; 0: there is none. */
async function keptUntil(boardId: number): Promise<number> {
  return Number(await redis.run<string | null>((pipe) => pipe.hget(keys.popular(boardId), "e")));
}

/** Leaves a ranking in Redis that was computed some time ago. */
async function keepRanking(boardId: number, ids: number[], ageMs: number): Promise<void> {
  const at = Date.now() - ageMs;
  await redis.run((pipe) => pipe.hset(keys.popular(boardId), { i: ids.join(","), t: at, e: at + 120_000 }));
}

/** Makes a board's ranking be computed anew at the next request. */
const forget = (boardId: number) => redis.run((pipe) => pipe.del(keys.popular(boardId)));

describe("GET /posts/popular", () => {
  it("ranks comments over likes over views", async ({ expect }) => {
    const author = await registerUser();
    const { id: boardId } = await board();
    const ids = {
      nothing: await writeAs(author, boardId),
      views: await writeAs(author, boardId, { viewCount: 4 }),
      comment: await writeAs(author, boardId, { commentCount: 1 }),
      like: await writeAs(author, boardId, { likeCount: 1 }),
      all: await writeAs(author, boardId, { viewCount: 3, likeCount: 3, commentCount: 3 }),
    };
    expect(await popular(boardId)).toEqual([ids.all, ids.comment, ids.like, ids.views, ids.nothing]);
  });

  it("lets posts decay with time", async ({ expect }) => {
    const author = await registerUser();
    const { id: boardId } = await board();
    const lastWeek = await writeAs(author, boardId, { likeCount: 10, createdAt: hoursAgo(7 * 24) });
    const today = await writeAs(author, boardId, { likeCount: 1 });
    const yesterday = await writeAs(author, boardId, { likeCount: 10, createdAt: hoursAgo(24) });
    const beloved = await writeAs(author, boardId, { likeCount: 10_000, createdAt: hoursAgo(7 * 24) });
    expect(await popular(boardId)).toEqual([beloved, today, yesterday, lastWeek]);
  });

  it("puts the newer post first where scores are equal, and takes no future for an advantage", async ({
    expect,
  }) => {
    const author = await registerUser();
    const { id: boardId } = await board();
    const older = await writeAs(author, boardId, { createdAt: hoursAgo(-2) });
    const newer = await writeAs(author, boardId, { createdAt: hoursAgo(-1) });
    expect(await popular(boardId)).toEqual([newer, older]);
  });

  it("shows as many as are asked for, of one board or of all", async ({ expect }) => {
    const author = await registerUser();
    const [one, other] = [await board(), await board()];
    const ids: number[] = [];
    for (let likeCount = 0; likeCount < 4; likeCount += 1)
      ids.unshift(await writeAs(author, one.id, { likeCount }));
    await writeAs(author, other.id);
    expect(await popular(one.id, "&limit=3")).toEqual(ids.slice(0, 3));
    expect(await popular(one.id)).toEqual(ids);
    expect(await popular(Number.MAX_SAFE_INTEGER)).toEqual([]);
    const { status, body } = await anonymous().get<Page<PostSummary>>("/api/posts/popular?limit=100");
    expect([status, body.nextCursor]).toEqual([200, null]);
    expect(body.items.length).toBeLessThanOrEqual(100);
  });

  it("says whether the reader likes a post, to a signed-in one", async ({ expect }) => {
    const author = await registerUser();
    const { id: boardId } = await board();
    await writeAs(author, boardId);
    const path = `/api/posts/popular?boardId=${boardId}`;
    expect((await anonymous().get<Page<PostSummary>>(path)).body.items[0]?.likedByMe).toBeNull();
    expect((await author.client.get<Page<PostSummary>>(path)).body.items[0]?.likedByMe).toBe(false);
  });

  it("keeps a ranking for two minutes at most, and shows posts as they are meanwhile", async ({ expect }) => {
    const author = await registerUser();
    const { id: boardId } = await board();
    const [first, second] = [await writeAs(author, boardId), await writeAs(author, boardId)];
    expect(await popular(boardId)).toEqual([second, first]);
    await waitUntil(async () => (await keptUntil(boardId)) > 0);
    expect((await keptUntil(boardId)) - Date.now()).toBeLessThanOrEqual(120_000);

    const third = await writeAs(author, boardId, { likeCount: 9 });
    const title = unique("Renamed ");
    bodyOf(await author.client.patch(`/api/posts/${first}`, { title }), 200);
    bodyOf(await author.client.delete<string>(`/api/posts/${second}`), 204);
    const { body } = await anonymous().get<Page<PostSummary>>(`/api/posts/popular?boardId=${boardId}`);
    expect(body.items).toMatchObject([{ id: first, title }]);

    await forget(boardId);
    expect(await popular(boardId)).toEqual([third, first]);
  });

  it("renews a ranking of over a minute behind the answer", async ({ expect }) => {
    const author = await registerUser();
    const { id: boardId } = await board();
    const [low, high] = [await writeAs(author, boardId), await writeAs(author, boardId, { likeCount: 1 })];
    await keepRanking(boardId, [low, high], 61_000);
    expect(await popular(boardId)).toEqual([low, high]);
    await waitUntil(async () => (await popular(boardId))[0] === high);
  });

  it.for(["limit=0", "limit=101", "limit=x", "boardId=0", "boardId=x"])(
    "refuses %s by name",
    async (query, { expect }) => {
      const { status, body } = await anonymous().get(`/api/posts/popular?${query}`);
      expect([status, body.code]).toEqual([422, "validation_failed"]);
      expect(body.errors?.[0]?.path).toBe(query.split("=")[0]);
    },
  );
});

describe("a ranking that is not cached", () => {
  /** Statements that compute rankings. */
  const rankings = (calls: UpstreamCall[]) => statements(calls).filter((text) => text.includes("pow("));

  it("is computed once for 200 readers at the same time", async ({ expect }) => {
    const author = await registerUser();
    const { id: boardId } = await board();
    const id = await writeAs(author, boardId);
    // Nobody gives up waiting for another's ranking because the machine stalls for seconds.
    stretchTimers(10);
    const watch = watchUpstreams();
    const { answer, calls } = await watch.during(() =>
      Promise.all(Array.from({ length: 200 }, () => popular(boardId))),
    );
    expect(answer.filter((ids) => ids.length !== 1 || ids[0] !== id)).toEqual([]);
    expect(rankings(calls)).toHaveLength(1);
  });

  it("is computed by the next reader when the one who was at it failed", async ({ expect }) => {
    const author = await registerUser();
    const { id: boardId } = await board();
    const id = await writeAs(author, boardId);
    const failing = anonymous({ settings: { DATABASE_URL: `http://lf:lf@${CLOSED_PORT}` } });
    expect((await failing.get(`/api/posts/popular?boardId=${boardId}`)).status).toBe(503);
    await failing.settled();
    expect(await popular(boardId)).toEqual([id]);
  });

  it("is computed by whoever waited for somebody who never was done", async ({ expect }) => {
    const author = await registerUser();
    const { id: boardId } = await board();
    const id = await writeAs(author, boardId);
    await redis.run((pipe) => pipe.set(keys.popularLock(boardId), "1", { px: 60_000 }));
    expect(await popular(boardId)).toEqual([id]);
  });
});

describe("the schedule", () => {
  it("computes the rankings that were asked for lately, all in one statement", async ({ expect }) => {
    const author = await registerUser();
    const boards = await Promise.all(Array.from({ length: 3 }, () => board()));
    const newest = new Map<number, number>();
    for (const { id } of boards) {
      await writeAs(author, id, { likeCount: 1 });
      await popular(id);
      await waitUntil(async () => (await keptUntil(id)) > 0);
      newest.set(id, await writeAs(author, id, { likeCount: 9 }));
    }
    const unread = await board();
    await writeAs(author, unread.id);
    const watch = watchUpstreams(0);
    const context = createExecutionContext();
    const { calls } = await watch.during(async () => {
      await worker.scheduled(createScheduledController({ cron: "* * * * *" }), env, context);
      await waitOnExecutionContext(context);
    });
    for (const { id } of boards) expect((await popular(id))[0]).toBe(newest.get(id));
    expect(await keptUntil(unread.id)).toBe(0);
    const sent = statements(calls).filter((text) => text.includes("pow("));
    // 20 rankings to a statement: other tests ask for theirs too.
    expect(sent.length).toBeLessThanOrEqual(11);
    expect(sent.some((text) => text.includes("union all"))).toBe(true);
  });
});

describe("while the database is away", () => {
  it("a kept ranking is served, for 120 seconds and no longer", async ({ expect }) => {
    const author = await registerUser();
    const { id: boardId } = await board();
    const id = await writeAs(author, boardId);
    const path = `/api/posts/popular?boardId=${boardId}`;
    const settings = { DATABASE_URL: `http://lf:lf@${CLOSED_PORT}` };
    const readers = [anonymous({ settings }), signedIn(author.session, { settings })];
    await waitUntil(async () => {
      await popular(boardId);
      return (await redis.run<number>((pipe) => pipe.hexists(keys.post(id), "s"))) === 1;
    });
    for (const ageMs of [0, 61_000, 119_000]) {
      for (const reader of readers) {
        // The last has a second left, which a busy machine may miss.
        await expect
          .poll(async () => {
            await keepRanking(boardId, [id], ageMs);
            const { status, body } = await reader.get<Page<PostSummary>>(path);
            return [status, body.items?.map((item) => [item.id, item.likedByMe])];
          })
          .toEqual([200, [[id, null]]]);
      }
    }
    await keepRanking(boardId, [id], 121_000);
    for (const reader of readers) expect((await reader.get(path)).status).toBe(503);
  });
});
