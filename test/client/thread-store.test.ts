/** The pure parts of the client package's rooms: what a consumer reads from, and a thread's state. */
import * as fc from "fast-check";
import { describe, it } from "vitest";
import type { Comment, EventFrame, Post, RoomComment } from "../../client/src/client.ts";
import { createFeed } from "../../client/src/feed.ts";
import { ThreadStore } from "../../client/src/thread-store.ts";

const AT = "2026-11-23T05:10:00.000Z";
const LATER = "2026-11-23T05:11:00.000Z";
const author = { id: 1, username: "mina" };

const post: Post = {
  id: 7,
  board: { id: 1, name: "Board", slug: "board" },
  author,
  title: "Title",
  content: "Content",
  viewCount: 10,
  likeCount: 2,
  commentCount: 1,
  version: 3,
  createdAt: AT,
  updatedAt: AT,
  likedByMe: false,
};

function comment(id: number, change: Partial<Comment> = {}): Comment {
  return {
    id,
    postId: 7,
    author,
    content: `number ${id}`,
    likeCount: 0,
    version: 1,
    createdAt: AT,
    updatedAt: AT,
    deletedAt: null,
    likedByMe: false,
    ...change,
  };
}

function told(whole: Comment): RoomComment {
  const { likedByMe: _, ...rest } = whole;
  return rest;
}

type CommentFrameType = "comment_added" | "comment_updated" | "comment_deleted";

function frame(type: CommentFrameType, data: Comment): EventFrame {
  return { type, room: "post:7", seq: 1, at: AT, data: told(data) };
}

const deleted = (id: number) => comment(id, { content: null, author: null, deletedAt: LATER, version: 2 });

describe("a thread's state", () => {
  it("does not go back to an older version, nor back from a deletion", ({ expect }) => {
    const store = new ThreadStore(
      post,
      [comment(1, { version: 3, content: "third" }), deleted(2)],
      true,
      100,
    );
    expect(store.apply(frame("comment_updated", comment(1, { version: 2, content: "second" })))).toBe(false);
    expect(store.apply(frame("comment_updated", comment(2, { version: 9 })))).toBe(false);
    expect(store.apply(frame("comment_added", comment(2)))).toBe(false);
    const { likedByMe: _, ...older } = post;
    const data = { ...older, version: 2, title: "Older" };
    expect(store.apply({ type: "post_updated", room: "post:7", seq: 1, at: AT, data })).toBe(false);
    expect(store.comments.map(({ content }) => content)).toEqual(["third", null]);
    expect(store.post.title).toBe("Title");
    expect(store.apply(frame("comment_deleted", deleted(1)))).toBe(true);
    expect(store.post.commentCount).toBe(0);
  });

  it("keeps what no frame tells: one's own likes, and the views", ({ expect }) => {
    const store = new ThreadStore(post, [comment(1)], true, 100);
    store.applyLike({ target: { type: "comment", id: 1 }, like: { liked: true, likeCount: 1 } });
    store.applyLike({ target: { type: "post", id: 7 }, like: { liked: true, likeCount: 3 } });
    store.apply(frame("comment_updated", comment(1, { version: 2 })));
    const { likedByMe: _, ...next } = post;
    store.apply({
      type: "post_updated",
      room: "post:7",
      seq: 2,
      at: AT,
      data: { ...next, version: 4, viewCount: 4 },
    });
    expect(store.comments[0]?.likedByMe).toBe(true);
    expect(store.post).toMatchObject({ likedByMe: true, viewCount: 10, version: 4, likeCount: 2 });
  });

  it("keeps a like of one's own that was answered before its comment was told", ({ expect }) => {
    const store = new ThreadStore(post, [], true, 100);
    const like = (id: number, liked: boolean) =>
      store.applyLike({ target: { type: "comment", id }, like: { liked, likeCount: Number(liked) } });
    expect([like(1, true), like(2, true), like(2, false)]).toEqual([false, false, false]);
    for (const id of [1, 2, 3]) store.apply(frame("comment_added", comment(id)));
    expect(store.comments.map(({ likedByMe }) => likedByMe)).toEqual([true, false, false]);
    // Whether the post is liked could not be read: that the comment is new is known all the same.
    const unsure = new ThreadStore({ ...post, likedByMe: null }, [], true, 100);
    unsure.apply(frame("comment_added", comment(1)));
    expect(unsure.comments[0]?.likedByMe).toBe(false);
  });

  it("lists comments by their ids, whatever the order in which they were told", ({ expect }) => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 50 })), (ids) => {
        const store = new ThreadStore(post, [], true, 100);
        for (const id of [...ids, ...ids]) store.apply(frame("comment_added", comment(id)));
        expect(store.comments.map(({ id }) => id)).toEqual(ids.toSorted((a, b) => a - b));
        expect(store.post.commentCount).toBe(ids.length);
      }),
    );
  });

  it("is the same for every read that the frames were applied to, however much of them it had seen", ({
    expect,
  }) => {
    // What one comment goes through, and what a read sees that took place after so many steps.
    const life = [
      [],
      [comment(1)],
      [comment(1, { version: 2, content: "edited" })],
      [comment(1, { version: 3, content: "again" })],
      [{ ...deleted(1), version: 4 }],
    ];
    const frames = [
      frame("comment_added", comment(1)),
      frame("comment_updated", comment(1, { version: 2, content: "edited" })),
      frame("comment_updated", comment(1, { version: 3, content: "again" })),
      frame("comment_deleted", { ...deleted(1), version: 4 }),
    ];
    for (const seen of life) {
      for (let first = 0; first <= life.indexOf(seen); first += 1) {
        const store = new ThreadStore(post, seen, true, 100);
        const versions: number[] = [];
        for (const next of frames.slice(first)) {
          store.apply(next);
          versions.push(store.comments[0]?.version ?? 0);
        }
        expect(store.comments).toEqual(life.at(-1));
        expect(versions).toEqual(versions.toSorted((a, b) => a - b));
      }
    }
  });

  it("is bounded, and keeps the count that it had", ({ expect }) => {
    const store = new ThreadStore({ ...post, commentCount: 0 }, [comment(1), comment(2)], true, 2);
    store.apply(frame("comment_added", comment(3)));
    expect(store.complete).toBe(false);
    expect(store.comments).toHaveLength(2);
    expect(store.post.commentCount).toBe(2);
    expect(store.recount(3)).toBe(true);
    expect(store.post.commentCount).toBe(3);
    // The count of a frame may be older.
    const { likedByMe: _, ...data } = { ...post, version: post.version + 1, commentCount: 2 };
    expect(store.apply({ type: "post_updated", room: "post:7", seq: 1, at: AT, data })).toBe(true);
    expect(store.post.commentCount).toBe(3);
  });
});

describe("what a consumer reads from", () => {
  it("gives everything in order, then ends", async ({ expect }) => {
    const feed = createFeed<number>(
      3,
      () => -1,
      () => undefined,
    );
    for (const value of [1, 2, 3]) feed.push(value);
    feed.end();
    feed.push(4);
    expect(await Array.fromAsync(feed)).toEqual([1, 2, 3]);
  });

  it("gives one value in place of all that wait when there are too many", async ({ expect }) => {
    const feed = createFeed<number>(
      3,
      () => -1,
      () => undefined,
    );
    for (const value of [1, 2, 3, 4, 5]) feed.push(value);
    feed.end();
    expect(await Array.fromAsync(feed)).toEqual([-1, 5]);
  });

  it("throws once after what was left, to whoever waits, and tells when it is left", async ({ expect }) => {
    let left = 0;
    const feed = createFeed<number>(
      3,
      () => -1,
      () => (left += 1),
    );
    const waiting = feed.next();
    feed.push(1);
    expect(await waiting).toEqual({ value: 1, done: false });
    const failing = feed.next();
    feed.end(new Error("over"));
    await expect(failing).rejects.toThrow("over");
    expect((await feed.next()).done).toBe(true);
    await feed.return?.();
    expect(left).toBe(1);
  });

  it("serves several calls of next() that wait side by side", async ({ expect }) => {
    const feed = createFeed<number>(
      3,
      () => -1,
      () => undefined,
    );
    const both = Promise.all([feed.next(), feed.next()]);
    feed.push(1);
    feed.push(2);
    expect((await both).map(({ value }) => value)).toEqual([1, 2]);
  });
});
