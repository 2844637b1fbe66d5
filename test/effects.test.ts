/** That the effects of a write arrive exactly once, also when a Worker, Redis or a room died on the way. */
import {
  createExecutionContext,
  createScheduledController,
  evictDurableObject,
  runInDurableObject,
  waitOnExecutionContext,
} from "cloudflare:test";
import { env } from "cloudflare:workers";
import { eq, sql } from "drizzle-orm";
import { describe, it } from "vitest";
import { keys } from "../src/cache/keys.ts";
import { comments } from "../src/db/schema/comments.ts";
import { likes } from "../src/db/schema/likes.ts";
import { posts } from "../src/db/schema/posts.ts";
import worker from "../src/index.ts";
import type { EventFrame } from "../src/realtime/events.ts";
import { anonymous, signedIn } from "./support/client.ts";
import { CLOSED_PORT, db, redis } from "./support/database.ts";
import { publisher, servicesOf } from "./support/effects.ts";
import { type Account, bodyOf } from "./support/factories.ts";
import { waitUntil } from "./support/patience.ts";
import { join } from "./support/rooms.ts";
import { freshId, rooms, type TestSocket, until } from "./support/sockets.ts";
import {
  type Comment,
  comment,
  commentRow,
  like,
  newPost,
  postRow,
  readPost,
  settledComment,
  settledRows,
  thread,
  unlike,
} from "./support/threads.ts";

const NO_REDIS = { UPSTASH_REDIS_REST_URL: `http://${CLOSED_PORT}` };
const withoutRedis = ({ session }: Account) => signedIn(session, { settings: NO_REDIS });

const outline = (events: readonly EventFrame[]) =>
  events.map(({ type, data }) => [type, "id" in data ? data.id : "targetId" in data ? data.targetId : 0]);

/** A post with nothing due, and a socket in its room. */
async function watchedPost() {
  const { id, author } = await newPost();
  await settledRows(() => postRow(id));
  const { socket } = await join(`post:${id}`, author.session.accessToken);
  return { id, author, socket };
}

/** Waits until a read finds the post cached. */
async function cached(id: number): Promise<void> {
  await waitUntil(async () => {
    await readPost(id);
    return (await redis.run<string | null>((pipe) => pipe.hget(keys.post(id), "c"))) !== null;
  });
}

/** Sweeps what is due of the post three times, twice at once. */
async function sweep(postId: number): Promise<void> {
  const services = servicesOf(postId);
  const once = () => Promise.all([services.posts.sweep(), services.comments.sweep(), services.likes.sweep()]);
  await Promise.all([once(), once()]);
  await once();
  await services.settle();
}

/** What the room was told, once everything that was sent has come. */
async function told(socket: TestSocket): Promise<EventFrame[]> {
  await socket.settle();
  return socket.events();
}

/** A moment ago: due, but not yet for the sweeps of other files. */
const aMomentAgo = () => new Date(Date.now() - 1_000);

/** A comment whose Worker died right after the statement that wrote it. */
async function orphan(postId: number, author: Account, fields: Partial<typeof comments.$inferInsert> = {}) {
  const at = aMomentAgo();
  const values = {
    postId,
    authorId: author.id,
    content: "c",
    effectsDueAt: at,
    createdAt: at,
    updatedAt: at,
  };
  const { insertId } = await db.insert(comments).values({ ...values, ...fields });
  return Number(insertId);
}

describe("a Worker that died after the statement of", () => {
  it("a comment: it is counted and told once", async ({ expect }) => {
    const { id, author, socket } = await watchedPost();
    const ids = [await orphan(id, author), await orphan(id, author)];
    expect((await readPost(id)).commentCount).toBe(2);
    await sweep(id);
    for (const each of ids) {
      expect(await commentRow(each)).toMatchObject({ counted: true, effectsDueAt: null });
    }
    expect([(await postRow(id)).commentCount, (await readPost(id)).commentCount]).toEqual([2, 2]);
    expect(new Set(outline(await told(socket)))).toEqual(new Set(ids.map((each) => ["comment_added", each])));
    expect(socket.events()).toHaveLength(2);
  });

  it("a comment that was edited since: both are told, in order", async ({ expect }) => {
    const { id, author, socket } = await watchedPost();
    const commentId = await orphan(id, author, { content: "edited", version: 2, revision: 2 });
    await sweep(id);
    expect(outline(await told(socket))).toEqual([
      ["comment_added", commentId],
      ["comment_updated", commentId],
    ]);
    expect((await readPost(id)).commentCount).toBe(1);
  });

  it("a comment of two days ago that was edited: only the edit is told", async ({ expect }) => {
    const { id, author, socket } = await watchedPost();
    const createdAt = new Date(Date.now() - 48 * 3_600_000);
    const commentId = await orphan(id, author, { createdAt, content: "edited", version: 2, revision: 2 });
    await sweep(id);
    expect(outline(await told(socket))).toEqual([["comment_updated", commentId]]);
  });

  it("a comment that was deleted before it was counted: it never counts", async ({ expect }) => {
    const { id, author, socket } = await watchedPost();
    await cached(id);
    const commentId = await orphan(id, author);
    bodyOf(await author.client.delete<string>(`/api/comments/${commentId}`), 204);
    await settledComment(commentId);
    await sweep(id);
    expect(outline(await told(socket))).toEqual([["comment_deleted", commentId]]);
    expect([(await postRow(id)).commentCount, (await readPost(id)).commentCount]).toEqual([0, 0]);
  });

  it("a deletion: nobody goes on reading the old count from the cache", async ({ expect }) => {
    const { id, author, socket } = await watchedPost();
    const { id: commentId } = await comment(author, id);
    await settledComment(commentId);
    await cached(id);
    // What the statement of a deletion does.
    const at = aMomentAgo();
    await db.execute(sql`
      update ${comments} join ${posts} on ${posts.id} = ${comments.postId}
      set ${posts.commentCount} = 0, ${posts.revision} = ${posts.revision} + 1, ${comments.content} = '',
        ${comments.deletedAt} = ${comments.createdAt}, ${comments.revision} = ${comments.revision} + 1
      where ${comments.id} = ${commentId}`);
    await db.update(comments).set({ effectsDueAt: at }).where(eq(comments.id, commentId));
    await sweep(id);
    expect((await readPost(id)).commentCount).toBe(0);
    expect(outline(await told(socket))).toEqual([
      ["comment_added", commentId],
      ["comment_deleted", commentId],
    ]);
  });

  it.for(["post", "comment"] as const)("a like of a %s: its count is told once", async (type, { expect }) => {
    const { id, author, socket } = await watchedPost();
    const { id: commentId } = await comment(author, id);
    await settledComment(commentId);
    await socket.next("comment_added");
    await cached(id);
    const [table, targetId] = type === "post" ? [posts, id] : [comments, commentId];
    await db
      .update(table)
      .set({ likeCount: 1, revision: sql`${table.revision} + 1` })
      .where(eq(table.id, targetId));
    const at = aMomentAgo();
    const row = { userId: freshId(), targetType: type, targetId, postId: id, active: true };
    await db.insert(likes).values({ ...row, createdAt: at, updatedAt: at, effectsDueAt: at });
    await sweep(id);
    expect((await told(socket)).slice(1).map(({ type, data }) => [type, data])).toEqual([
      [`${type}_liked`, { targetId, likeCount: 1 }],
    ]);
    const { likeCount } = type === "post" ? await readPost(id) : ((await thread(id))[0] ?? { likeCount: -1 });
    expect(likeCount).toBe(1);
    const [stored] = await db.select().from(likes).where(eq(likes.userId, row.userId));
    expect(stored?.effectsDueAt).toBeNull();
  });

  it("an edit of a post: it is told once", async ({ expect }) => {
    const { id, socket } = await watchedPost();
    await cached(id);
    await db
      .update(posts)
      .set({ title: "edited", version: 2, revision: sql`${posts.revision} + 1`, effectsDueAt: aMomentAgo() })
      .where(eq(posts.id, id));
    await sweep(id);
    expect(await readPost(id)).toMatchObject({ title: "edited", version: 2 });
    expect((await told(socket)).map(({ type, data }) => [type, "title" in data && data.title])).toEqual([
      ["post_updated", "edited"],
    ]);
    expect((await postRow(id)).effectsDueAt).toBeNull();
  });

  it("the deletion of a post: the room hears of it and closes", async ({ expect }) => {
    const { id, socket } = await watchedPost();
    await cached(id);
    const at = aMomentAgo();
    await db.update(posts).set({ deletedAt: at, effectsDueAt: at }).where(eq(posts.id, id));
    await sweep(id);
    expect((await anonymous().get(`/api/posts/${id}`)).status).toBe(404);
    expect([(await socket.untilClosed()).code, outline(socket.events())]).toEqual([
      4404,
      [["post_deleted", id]],
    ]);
  });

  it("a comment: the trigger of every minute makes up for it", async ({ expect }) => {
    const { id, author } = await newPost();
    const anHourAgo = new Date(Date.now() - 3_600_000);
    const ids = [await orphan(id, author, { effectsDueAt: anHourAgo }), await orphan(id, author)];
    const context = createExecutionContext();
    await worker.scheduled(createScheduledController({ cron: "* * * * *" }), env, context);
    await waitOnExecutionContext(context);
    const rows = await Promise.all(ids.map(commentRow));
    // What is only a moment old is still being worked on.
    expect(rows.map(({ counted, effectsDueAt }) => [counted, effectsDueAt !== null])).toEqual([
      [true, false],
      [false, true],
    ]);
    expect((await readPost(id)).commentCount).toBe(2);
    await sweep(id);
  });
});

describe("a room that could not be reached", () => {
  /** Makes calls of the room's method fail until `mend`. */
  async function broken(postId: number, method: "publish" | "publishCount") {
    await runInDurableObject(rooms.post(postId), (instance) => {
      Object.defineProperty(instance, method, { value: undefined });
    });
    return { mend: () => evictDurableObject(rooms.post(postId)) };
  }

  it("leaves a comment due, which is told once it can be", async ({ expect }) => {
    const { id, author, socket } = await watchedPost();
    await cached(id);
    const { mend } = await broken(id, "publish");
    const { id: commentId } = await comment(author, id);
    await waitUntil(async () => (await commentRow(commentId)).counted);
    await sweep(id);
    expect((await commentRow(commentId)).effectsDueAt).not.toBeNull();
    expect([(await readPost(id)).commentCount, (await thread(id)).length]).toEqual([1, 1]);
    await mend();
    await sweep(id);
    expect((await commentRow(commentId)).effectsDueAt).toBeNull();
    expect(outline(await told(socket))).toEqual([["comment_added", commentId]]);
    expect((await readPost(id)).commentCount).toBe(1);
  });

  it("leaves the edit of a post due, and hears of its last state alone", async ({ expect }) => {
    const { id, author, socket } = await watchedPost();
    const { mend } = await broken(id, "publish");
    for (const title of ["one", "two"]) bodyOf(await author.client.patch(`/api/posts/${id}`, { title }), 200);
    await sweep(id);
    expect((await postRow(id)).effectsDueAt).not.toBeNull();
    await mend();
    await sweep(id);
    expect((await told(socket)).map(({ type, data }) => [type, "title" in data && data.title])).toEqual([
      ["post_updated", "two"],
    ]);
    expect((await postRow(id)).effectsDueAt).toBeNull();
  });

  it("leaves likes due, and hears of the last count", async ({ expect }) => {
    const { id, author, socket } = await watchedPost();
    const due = async () =>
      (await db.select().from(likes).where(eq(likes.postId, id))).filter((row) => row.effectsDueAt !== null);
    const { mend } = await broken(id, "publishCount");
    await like(author.client, { type: "post", id });
    await sweep(id);
    expect(await due()).toHaveLength(1);
    await unlike(author.client, { type: "post", id });
    await like(author.client, { type: "post", id });
    await mend();
    await sweep(id);
    const last = () => socket.events().at(-1);
    await until("the last count", () => {
      const event = last();
      return event?.type === "post_liked" && event.data.likeCount === 1;
    });
    await waitUntil(async () => (await due()).length === 0);
    expect(last()?.data).toEqual({ targetId: id, likeCount: 1 });
  });
});

describe("Redis that was away during", () => {
  it("a comment: once it is back, and what was missed is made up for, the count is right", async ({
    expect,
  }) => {
    const { id, author } = await watchedPost();
    await cached(id);
    const client = withoutRedis(author);
    const { id: commentId } = await comment({ client }, id);
    await client.settled();
    await sweep(id);
    expect((await readPost(id)).commentCount).toBe(1);
    expect((await commentRow(commentId)).effectsDueAt).toBeNull();
  });

  it("the deletion of a comment: likewise", async ({ expect }) => {
    const { id, author } = await watchedPost();
    const { id: commentId } = await comment(author, id);
    await settledComment(commentId);
    await cached(id);
    const client = withoutRedis(author);
    bodyOf(await client.delete<string>(`/api/comments/${commentId}`), 204);
    await client.settled();
    await sweep(id);
    expect((await readPost(id)).commentCount).toBe(0);
  });

  it("a like and an edit of a post: likewise", async ({ expect }) => {
    const { id, author } = await watchedPost();
    await cached(id);
    const client = withoutRedis(author);
    await like(client, { type: "post", id });
    await client.settled();
    await sweep(id);
    expect((await readPost(id)).likeCount).toBe(1);
    await cached(id);
    bodyOf(await client.patch(`/api/posts/${id}`, { title: "edited" }), 200);
    await client.settled();
    await sweep(id);
    expect((await readPost(id)).title).toBe("edited");
  });

  it("the deletion of a post: it is gone", async ({ expect }) => {
    const { id, author } = await watchedPost();
    await cached(id);
    const client = withoutRedis(author);
    bodyOf(await client.delete<string>(`/api/posts/${id}`), 204);
    await client.settled();
    await sweep(id);
    expect((await anonymous().get(`/api/posts/${id}`)).status).toBe(404);
  });
});

describe("effects that arrive late", () => {
  it("of a comment do not bring it back after its deletion was told", async ({ expect }) => {
    const { id, author, socket } = await watchedPost();
    const commentId = await orphan(id, author);
    const { late, arrive } = lateServices(id);
    const creation = late.comments.sweep();
    await arrive.called;
    bodyOf(await author.client.delete<string>(`/api/comments/${commentId}`), 204);
    await socket.next("comment_deleted");
    arrive.now();
    await creation;
    await sweep(id);
    expect((await told(socket)).at(-1)?.type).toBe("comment_deleted");
  });

  it("of an edit do not put an older text over a newer", async ({ expect }) => {
    const { id, author, socket } = await watchedPost();
    const { id: commentId } = await comment(author, id);
    await settledComment(commentId);
    const edit = async (content: string) =>
      bodyOf(await author.client.patch<Comment>(`/api/comments/${commentId}`, { content }), 200);
    await db
      .update(comments)
      .set({ content: "second", version: 2, revision: 2, effectsDueAt: aMomentAgo() })
      .where(eq(comments.id, commentId));
    const { late, arrive } = lateServices(id);
    const second = late.comments.sweep();
    await arrive.called;
    await edit("third");
    await socket.next("comment_updated");
    arrive.now();
    await second;
    await sweep(id);
    expect((await told(socket)).at(-1)?.data).toMatchObject({ content: "third", version: 3 });
  });

  it("of an edit do not put an older count over a newer", async ({ expect }) => {
    const { id, author, socket } = await watchedPost();
    await db
      .update(posts)
      .set({ title: "edited", version: 2, revision: sql`${posts.revision} + 1`, effectsDueAt: aMomentAgo() })
      .where(eq(posts.id, id));
    const { late, arrive } = lateServices(id);
    const edit = late.posts.sweep();
    await arrive.called;
    await like(author.client, { type: "post", id });
    await socket.next("post_liked");
    arrive.now();
    await edit;
    await sweep(id);
    const last = (await told(socket)).findLast(({ data }) => "likeCount" in data);
    expect(last?.data).toMatchObject({ likeCount: 1 });
  });

  /** Services whose first word to a post's room waits for `arrive.now`. */
  function lateServices(postId: number) {
    const called = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    let first = true;
    const late = servicesOf(postId, {
      async publishToPost(...told) {
        if (first) {
          first = false;
          called.resolve();
          await released.promise;
        }
        return publisher.publishToPost(...told);
      },
    });
    return { late, arrive: { called: called.promise, now: () => released.resolve() } };
  }
});
