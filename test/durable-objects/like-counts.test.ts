import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, it } from "vitest";
import type { EventFrame, LikeCount } from "../../src/realtime/events.ts";
import { returnToPresent, stopClock, travel } from "../support/clock.ts";
import { commentAdded, enterPost, freshId, rooms, type TestSocket, until } from "../support/sockets.ts";

afterEach(returnToPresent);

function likes(targetId: number, likeCount: number, revision: number): LikeCount {
  return { type: "post_liked", targetId, likeCount, revision };
}

function counts(socket: TestSocket): { at: number; likeCount: number }[] {
  return socket
    .events()
    .flatMap((event: EventFrame) =>
      event.type === "post_liked" || event.type === "comment_liked"
        ? [{ at: Date.parse(event.at), likeCount: event.data.likeCount }]
        : [],
    );
}

/** The most frames that any second saw. */
function mostInASecond(frames: { at: number }[]): number {
  return Math.max(
    ...frames.map(({ at: from }) => frames.filter(({ at }) => at >= from && at < from + 1_000).length),
  );
}

describe("like counts", () => {
  it("sends the first at once, with its place in the log", async ({ expect }) => {
    const postId = freshId();
    const { socket } = await enterPost(postId);
    expect(await rooms.post(postId).publishCount(likes(postId, 1, 2))).toEqual({ status: "sent" });
    expect(await socket.next()).toMatchObject({
      type: "post_liked",
      seq: 1,
      data: { targetId: postId, likeCount: 1 },
    });
  });

  it("ignores an older revision, and the same one again, also after an eviction", async ({ expect }) => {
    const postId = freshId();
    const { socket } = await enterPost(postId);
    await rooms.post(postId).publishCount(likes(postId, 5, 9));
    await evictDurableObject(rooms.post(postId));
    travel(10_000);
    expect(await rooms.post(postId).publishCount(likes(postId, 4, 8))).toEqual({ status: "known" });
    expect(await rooms.post(postId).publishCount(likes(postId, 5, 9))).toEqual({ status: "known" });
    await rooms.post(postId).publishCount(likes(postId, 6, 10));
    await until("both", () => counts(socket).length === 2);
    expect(counts(socket).map(({ likeCount }) => likeCount)).toEqual([5, 6]);
  });

  it.for(["counts", "an event"])(
    "that are held are sent with the next %s also where the platform has given up the alarm",
    async (next, { expect }) => {
      const postId = freshId();
      const room = rooms.post(postId);
      const { socket } = await enterPost(postId);
      stopClock();
      await room.publish([commentAdded(postId, 1)]);
      await room.publishCount(likes(postId, 1, 2));
      expect(await room.publishCount(likes(postId, 2, 3))).toEqual({ status: "held" });
      await runInDurableObject(room, (_, { storage }) => storage.deleteAlarm());
      travel(60_000);
      if (next === "an event") await room.publish([commentAdded(postId, 2)]);
      else {
        await room.publishCount({ ...likes(postId, 1, 2), type: "comment_liked" });
        await room.publishCount({ ...likes(postId, 2, 3), type: "comment_liked" });
      }
      await until("what was held", () => counts(socket).some(({ likeCount }) => likeCount === 2));
      expect(counts(socket).map(({ likeCount }) => likeCount)).toEqual(
        next === "an event" ? [1, 2] : [1, 1, 2],
      );
    },
  );

  it("makes four frames a second of a storm, the last one exact, whatever order it comes in", async ({
    expect,
  }) => {
    const postId = freshId();
    const { socket } = await enterPost(postId);
    const storm = Array.from({ length: 2_000 }, (_, index) => likes(postId, index + 1, index + 2));
    // Neighbours overtake each other.
    for (let index = 0; index + 1 < storm.length; index += 3)
      storm.splice(index, 2, ...storm.slice(index, index + 2).toReversed());
    stopClock();
    for (let first = 0; first < storm.length; first += 100) {
      await Promise.all(
        storm.slice(first, first + 100).map((count) => rooms.post(postId).publishCount(count)),
      );
      travel(70);
      await runDurableObjectAlarm(rooms.post(postId));
    }
    returnToPresent();
    await until("the last count", () => counts(socket).at(-1)?.likeCount === 2_000);
    await socket.settle();
    const frames = counts(socket);
    expect(frames.at(-1)?.likeCount).toBe(2_000);
    expect(mostInASecond(frames)).toBeLessThanOrEqual(4);
    expect(frames.map(({ likeCount }) => likeCount)).toEqual(
      frames.map(({ likeCount }) => likeCount).toSorted((a, b) => a - b),
    );
  });

  it("sends what it held even if the object was evicted meanwhile", async ({ expect }) => {
    const postId = freshId();
    const { socket } = await enterPost(postId);
    stopClock();
    await rooms.post(postId).publishCount(likes(postId, 1, 2));
    expect(await rooms.post(postId).publishCount(likes(postId, 2, 3))).toEqual({ status: "held" });
    await evictDurableObject(rooms.post(postId));
    travel(1_000);
    await runDurableObjectAlarm(rooms.post(postId));
    await until("the held count", () => counts(socket).length === 2);
    expect(counts(socket).at(-1)?.likeCount).toBe(2);
  });

  it("tells a count that came back to what was told: somebody may have read what it was in between", async ({
    expect,
  }) => {
    const postId = freshId();
    const { socket } = await enterPost(postId);
    stopClock();
    await rooms.post(postId).publishCount(likes(postId, 3, 2));
    expect(await rooms.post(postId).publishCount(likes(postId, 4, 3))).toEqual({ status: "held" });
    expect(await rooms.post(postId).publishCount(likes(postId, 3, 4))).toEqual({ status: "held" });
    travel(1_000);
    await runDurableObjectAlarm(rooms.post(postId));
    await until("the held count", () => counts(socket).length === 2);
    expect(counts(socket).map(({ likeCount }) => likeCount)).toEqual([3, 3]);
  });

  it("keeps targets apart", async ({ expect }) => {
    const postId = freshId();
    const { socket } = await enterPost(postId);
    const outcomes = await Promise.all([
      rooms.post(postId).publishCount(likes(postId, 1, 2)),
      rooms.post(postId).publishCount({ ...likes(1, 1, 2), type: "comment_liked" }),
      rooms.post(postId).publishCount({ ...likes(2, 1, 2), type: "comment_liked" }),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(["sent", "sent", "sent"]);
    await until("three", () => counts(socket).length === 3);
  });

  it("replays counts to who comes back", async ({ expect }) => {
    const postId = freshId();
    const { socket, ready } = await enterPost(postId);
    socket.close();
    await rooms.post(postId).publishCount(likes(postId, 1, 2));
    const back = await enterPost(postId, { position: { epoch: ready.epoch, after: 0 } });
    expect(await back.socket.next("post_liked")).toMatchObject({ seq: 1, data: { likeCount: 1 } });
  });
});
