/** Popular posts: the order, and how long it is kept. */
import { eq } from "drizzle-orm";
import { describe, it, vi } from "vitest";
import { keys } from "../src/cache/keys.ts";
import { posts } from "../src/db/schema/posts.ts";
import { anonymous, type Page, type PostSummary } from "./support/client.ts";
import { db, redis } from "./support/database.ts";
import { type Account, board, bodyOf, post, registerUser, unique } from "./support/factories.ts";

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
    const ttlSeconds = await redis.run<number>((pipe) => pipe.ttl(keys.popular(boardId)));
    expect(ttlSeconds).toBeGreaterThan(0);
    expect(ttlSeconds).toBeLessThanOrEqual(120);

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
    const stale = JSON.stringify({ ids: [low, high], at: Date.now() - 61_000 });
    await redis.run((pipe) => pipe.set(keys.popular(boardId), stale, { ex: 60 }));
    expect(await popular(boardId)).toEqual([low, high]);
    await vi.waitUntil(async () => (await popular(boardId))[0] === high);
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
