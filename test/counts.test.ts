/** Stored counts that have drifted are repaired, whatever happens at the same moment, and everybody hears of it. */
import { eq, sql } from "drizzle-orm";
import { describe, it, vi } from "vitest";
import { keys } from "../src/cache/keys.ts";
import { createLogger } from "../src/common/logger.ts";
import {
  type CheckedRow,
  type CountedTable,
  type CountsRepository,
  createCountsRepository,
  type Place,
} from "../src/counts/repository.ts";
import { createCountsService } from "../src/counts/service.ts";
import { boards } from "../src/db/schema/boards.ts";
import { comments } from "../src/db/schema/comments.ts";
import { countChecks } from "../src/db/schema/counts.ts";
import { posts } from "../src/db/schema/posts.ts";
import { createPostCache } from "../src/posts/cache.ts";
import { db, redis } from "./support/database.ts";
import { publisher } from "./support/effects.ts";
import { board, post, registerUser } from "./support/factories.ts";
import { waitUntil } from "./support/patience.ts";
import { join } from "./support/rooms.ts";
import { until } from "./support/sockets.ts";
import {
  comment,
  commentRow,
  like,
  newPost,
  postRow,
  readPost,
  settledComment,
  settledComments,
  settledLikes,
  settledRows,
  unlike,
} from "./support/threads.ts";

const real = createCountsRepository(db);

type Scope = Partial<Record<CountedTable, number[]>>;

/**
 * A check of these rows alone, so that other files of tests may leave things as they like; its place is its own.
 * @param exchanged parts of its repository and of what it tells
 */
function checkOf(
  scope: Scope,
  exchanged: Partial<CountsRepository> = {},
  told: Partial<Parameters<typeof createCountsService>[0]> = {},
) {
  const places = new Map<CountedTable, Place>();
  const log = createLogger();
  const warn = vi.spyOn(log, "warn").mockImplementation(() => undefined);
  const service = createCountsService({
    repository: {
      ...real,
      place: async (table) => places.get(table) ?? { afterId: 0, untold: [] },
      setPlace: async (table, place) => void places.set(table, place),
      async check(table, afterId) {
        const ids = (scope[table] ?? []).filter((id) => id > afterId).sort((a, b) => a - b);
        const rows = await Promise.all(ids.map((id) => real.check(table, id - 1, 1)));
        return rows.flat().filter(({ id }) => ids.includes(id));
      },
      ...exchanged,
    },
    cache: createPostCache(redis),
    rooms: publisher,
    log,
    now: () => new Date(),
    ...told,
  });
  return { check: () => service.check(), places, warnings: () => warn.mock.calls };
}

/** A post with a comment and a like of each; nothing of it is due. */
async function scene() {
  const { id: boardId } = await board();
  const author = await registerUser();
  const { id } = await post(author, { boardId });
  const { id: commentId } = await comment(author, id);
  await like(author.client, { type: "post", id });
  await like(author.client, { type: "comment", id: commentId });
  await settledRows(() => postRow(id));
  await settledComment(commentId);
  await settledLikes(id);
  const { socket } = await join(`post:${id}`, author.session.accessToken);
  return { boardId, author, id, commentId, socket };
}

async function storedPosts(boardId: number) {
  const [row] = await db.select().from(boards).where(eq(boards.id, boardId));
  return row;
}

describe("a count that has drifted", () => {
  it("is repaired, in the row, in the cache and in the room", async ({ expect }) => {
    const { id, commentId, boardId, socket } = await scene();
    await db.update(posts).set({ likeCount: 41, commentCount: 0 }).where(eq(posts.id, id));
    await db.update(comments).set({ likeCount: 7 }).where(eq(comments.id, commentId));
    await db.update(boards).set({ postCount: 12 }).where(eq(boards.id, boardId));
    await waitUntil(async () => {
      await readPost(id);
      return (await redis.run<string | null>((pipe) => pipe.hget(keys.post(id), "c"))) !== null;
    });
    const before = await postRow(id);

    const { check, warnings } = checkOf({ posts: [id], comments: [commentId], boards: [boardId] });
    expect(await check()).toBe(3);

    expect(await postRow(id)).toMatchObject({
      likeCount: 1,
      commentCount: 1,
      revision: before.revision + 1,
      version: before.version,
    });
    expect(await commentRow(commentId)).toMatchObject({ likeCount: 1 });
    expect(await storedPosts(boardId)).toMatchObject({
      postCount: 1,
      // The sweep takes cached names and counts of the board away.
      effectsDueAt: expect.any(Date) as Date,
    });
    expect(await readPost(id)).toMatchObject({ likeCount: 1, commentCount: 1 });
    const told = await until("both counts", () => {
      const events = socket.events();
      return events.length === 2 && new Map<string, unknown>(events.map(({ type, data }) => [type, data]));
    });
    expect(told.get("comment_liked")).toEqual({ targetId: commentId, likeCount: 1 });
    expect(told.get("post_liked")).toEqual({ targetId: id, likeCount: 1 });
    expect(warnings().map(([, fields]) => fields)).toEqual(
      expect.arrayContaining([
        { table: "posts", rows: 1, by: 41 },
        { table: "comments", rows: 1, by: 6 },
        { table: "boards", rows: 1, by: 11 },
      ]),
    );
    expect(await check()).toBe(0);
  });

  it("is none where something is only not counted yet, or deleted", async ({ expect }) => {
    const { id, commentId, boardId, author } = await scene();
    const at = new Date();
    const row = { postId: id, authorId: author.id, content: "c", createdAt: at, updatedAt: at };
    await db.insert(comments).values({ ...row, effectsDueAt: at });
    await db.insert(comments).values({ ...row, counted: true, deletedAt: at });
    await db.insert(posts).values({
      boardId,
      authorId: author.id,
      title: "t",
      content: "c",
      excerpt: "c",
      effectsDueAt: at,
      createdAt: at,
      updatedAt: at,
    });
    const { check } = checkOf({ posts: [id], comments: [commentId], boards: [boardId] });
    expect(await check()).toBe(0);
  });
});

describe("likes while a count is repaired", () => {
  it("are not undone: a row that changed since it was counted is counted anew", async ({ expect }) => {
    const { id, socket } = await scene();
    const fans = await Promise.all(Array.from({ length: 3 }, () => registerUser()));
    await db.update(posts).set({ likeCount: 100 }).where(eq(posts.id, id));
    const { check } = checkOf(
      { posts: [id] },
      {
        async repair(...args) {
          const fan = fans.pop();
          if (fan) await like(fan.client, { type: "post", id });
          return real.repair(...args);
        },
      },
    );
    expect(await check()).toBe(1);
    expect((await postRow(id)).likeCount).toBe(4);
    await waitUntil(() => {
      const last = socket.events().at(-1);
      return last?.type === "post_liked" && last.data.likeCount === 4;
    });
  });

  it("and comments, many at once, leave exact counts", async ({ expect }) => {
    const { id, author } = await scene();
    const fans = await Promise.all(Array.from({ length: 8 }, () => registerUser()));
    await db
      .update(posts)
      .set({ likeCount: sql`${posts.likeCount} + 20`, commentCount: sql`${posts.commentCount} + 30` })
      .where(eq(posts.id, id));
    let busy = true;
    const checking = (async () => {
      while (busy) await Promise.all([checkOf({ posts: [id] }).check(), checkOf({ posts: [id] }).check()]);
    })();
    await Promise.all(
      fans.map(async ({ client }, index) => {
        for (let round = 0; round < 4; round += 1) {
          await like(client, { type: "post", id });
          if (round < 3 || index % 2 === 0) await unlike(client, { type: "post", id });
          await comment(author, id);
        }
      }),
    );
    busy = false;
    await checking;
    await settledLikes(id);
    await settledComments(id);
    // A check finds a moment between two writes, or none. Its repair is whole, and takes nothing of what came meanwhile.
    const { likeCount, commentCount } = await postRow(id);
    expect([
      [5, 33],
      [5 + 20, 33 + 30],
    ]).toContainEqual([likeCount, commentCount]);
    await checkOf({ posts: [id] }).check();
    expect(await postRow(id)).toMatchObject({ likeCount: 5, commentCount: 33 });
    expect(await readPost(id)).toMatchObject({ likeCount: 5, commentCount: 33 });
  });
});

describe("the check", () => {
  const row = (id: number, stored = 0): CheckedRow => ({
    id,
    mark: 1,
    stored: { likes: stored, comments: 0, posts: 0 },
    counted: { likes: 0, comments: 0, posts: 0 },
  });
  const emptyBut = (rows: CheckedRow[]): CountsRepository["check"] => {
    return async (table, afterId, limit) =>
      table === "posts" ? rows.filter(({ id }) => id > afterId).slice(0, limit) : [];
  };

  it("goes on where it stopped, and begins anew at the end of a table", async ({ expect }) => {
    const seen: number[] = [];
    const rows = Array.from({ length: 25_000 }, (_, index) => row(index + 1));
    const check = emptyBut(rows);
    const { check: run, places } = checkOf(
      {},
      {
        async check(...args) {
          const chunk = await check(...args);
          seen.push(...chunk.map(({ id }) => id));
          return chunk;
        },
      },
    );
    await run();
    expect([seen.length, places.get("posts")]).toEqual([20_000, { afterId: 20_000, untold: [] }]);
    await run();
    expect([seen.length, places.get("posts")?.afterId]).toEqual([25_000, 0]);
    expect(new Set(seen).size).toBe(25_000);
  });

  it("tells of repairs whose Worker died before it could", async ({ expect }) => {
    const { id, socket } = await scene();
    await db.update(posts).set({ likeCount: 9 }).where(eq(posts.id, id));
    const dead: Partial<CountsRepository> = { find: () => Promise.reject(new Error("dead")) };
    const { places, check } = checkOf({ posts: [id] }, dead, { now: () => new Date(0) });
    await expect(check()).rejects.toThrow("dead");
    expect(places.get("posts")).toEqual({ afterId: 0, untold: [id] });
    const next = checkOf(
      { posts: [id] },
      { place: async (table) => places.get(table) ?? { afterId: 0, untold: [] } },
    );
    await next.check();
    expect((await socket.next("post_liked")).data).toEqual({ targetId: id, likeCount: 1 });
    expect(next.places.get("posts")?.untold).toEqual([]);
  });

  it("remembers its place in the database", async ({ expect }) => {
    const kept = await real.place("boards");
    await real.setPlace("boards", { afterId: 77, untold: [3, 4] });
    await real.setPlace("boards", { afterId: 78, untold: [5, 6] });
    expect(await real.place("boards")).toEqual({ afterId: 78, untold: [5, 6] });
    await real.setPlace("boards", kept);
    expect(
      (await db.select().from(countChecks).where(eq(countChecks.table, "boards")))[0]?.untold,
    ).toBeNull();
  });

  it("reads a chunk in the order of ids, without deleted rows", async ({ expect }) => {
    const { id: first } = await newPost();
    const { id: gone } = await newPost();
    const { id: second } = await newPost();
    await db.update(posts).set({ deletedAt: new Date() }).where(eq(posts.id, gone));
    const ids = (await real.check("posts", first - 1, 10)).map(({ id }) => id);
    expect(ids).toEqual([...ids].sort((a, b) => a - b));
    expect(ids.filter((id) => [first, gone, second].includes(id))).toEqual([first, second]);
  });
});
