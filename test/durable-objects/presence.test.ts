import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, describe, it } from "vitest";
import { returnToPresent, stopClock, travel } from "../support/clock.ts";
import { enterPost, freshId, rooms, until } from "../support/sockets.ts";

afterEach(returnToPresent);

/** Lets the room's due work be done. */
async function wake(postId: number): Promise<void> {
  await runDurableObjectAlarm(rooms.post(postId));
}

describe("presence", () => {
  it("counts people, not sockets", async ({ expect }) => {
    const postId = freshId();
    const userId = freshId();
    const first = await enterPost(postId, { userId });
    const second = await enterPost(postId, { userId });
    const other = await enterPost(postId);
    expect([first, second, other].map(({ ready }) => ready.viewers)).toEqual([1, 1, 2]);
    expect(await first.socket.next("presence")).toMatchObject({
      room: `post:${postId}`,
      data: { viewers: 2 },
    });
  });

  it("tells everybody at most once a second, and the last count for sure", async ({ expect }) => {
    const postId = freshId();
    const { socket } = await enterPost(postId);
    const counts = () =>
      socket.frames.flatMap((frame) => (frame.type === "presence" ? [frame.data.viewers] : []));
    stopClock();
    for (let others = 0; others < 20; others += 1) await enterPost(postId);
    travel(999);
    await wake(postId);
    await socket.settle();
    expect(counts()).toEqual([2]);
    // By itself, as soon as the second is over.
    returnToPresent();
    await until("the last count", () => counts().length > 1);
    expect(counts()).toEqual([2, 21]);
  });

  it("does not see a reconnect within ten seconds, even across an eviction", async ({ expect }) => {
    const postId = freshId();
    const userId = freshId();
    const watcher = await enterPost(postId);
    const { socket } = await enterPost(postId, { userId });
    await watcher.socket.next("presence");
    stopClock();
    socket.close();
    await socket.untilClosed();
    await watcher.socket.settle();
    await evictDurableObject(rooms.post(postId));
    travel(9_999);
    await wake(postId);
    // Whoever comes meanwhile is told of them too.
    const passer = await enterPost(postId);
    expect(passer.ready.viewers).toBe(3);
    await watcher.socket.next("presence");
    const back = await enterPost(postId, { userId });
    travel(9_000);
    await wake(postId);
    await watcher.socket.settle();
    expect(back.ready.viewers).toBe(3);
    expect(watcher.socket.frames.filter(({ type }) => type === "presence")).toHaveLength(2);
  });

  it("counts somebody out who stays away for ten seconds, even across an eviction", async ({ expect }) => {
    const postId = freshId();
    const watcher = await enterPost(postId);
    const { socket } = await enterPost(postId);
    await watcher.socket.next("presence");
    socket.close();
    await socket.untilClosed();
    await watcher.socket.settle();
    await evictDurableObject(rooms.post(postId));
    travel(10_500);
    await wake(postId);
    expect(await watcher.socket.next("presence")).toMatchObject({ data: { viewers: 1 } });
  });

  it("counts somebody until the last of several sockets is gone", async ({ expect }) => {
    const postId = freshId();
    const userId = freshId();
    const watcher = await enterPost(postId);
    const one = await enterPost(postId, { userId });
    const two = await enterPost(postId, { userId });
    one.socket.close();
    await one.socket.untilClosed();
    travel(11_000);
    await wake(postId);
    expect((await enterPost(postId, { userId })).ready.viewers).toBe(2);
    two.socket.close();
    await two.socket.untilClosed();
    await watcher.socket.settle();
    expect(watcher.socket.frames.filter(({ type }) => type === "presence")).toHaveLength(1);
  });
});

describe("typing", () => {
  it("tells the others who types, once in a while, without a place in the log", async ({ expect }) => {
    const postId = freshId();
    const userId = freshId();
    const typist = await enterPost(postId, { userId, username: "미나" });
    const same = await enterPost(postId, { userId });
    const other = await enterPost(postId);
    stopClock();
    for (let times = 0; times < 5; times += 1) typist.socket.send({ type: "typing" });
    await typist.socket.settle();
    expect(await other.socket.next("typing")).toEqual({
      type: "typing",
      room: `post:${postId}`,
      at: expect.any(String),
      data: { user: { id: userId, username: "미나" } },
    });
    travel(2_500);
    typist.socket.send({ type: "typing" });
    await other.socket.next("typing");
    for (const { socket } of [typist, same, other]) await socket.settle();
    expect(other.socket.frames.filter(({ type }) => type === "typing")).toHaveLength(2);
    for (const { socket } of [typist, same]) {
      expect(socket.frames.filter(({ type }) => type === "typing")).toEqual([]);
    }
    expect((await enterPost(postId)).ready.seq).toBe(0);
  });
});
