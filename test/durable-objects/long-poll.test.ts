import { afterEach, describe, it } from "vitest";
import { evictDurableObject } from "cloudflare:test";
import type { PolledFrame, Position } from "../../src/realtime/events.ts";
import { returnToPresent, travel } from "../support/clock.ts";
import { checkPolledFrames } from "../support/frame-check.ts";
import type { PollAnswer, PollRequest } from "../../src/realtime/poll.ts";
import { commentAdded, freshId, notified, rooms } from "../support/sockets.ts";

afterEach(returnToPresent);

function request(changes: Partial<PollRequest> = {}): PollRequest {
  return {
    userId: freshId(),
    sessionId: freshId(),
    epoch: 1,
    position: null,
    waiter: crypto.randomUUID(),
    waitMs: 0,
    ...changes,
  };
}

function framesOf(answer: PollAnswer): PolledFrame[] {
  if (answer.status !== "ok") throw new Error(answer.status);
  return [...checkPolledFrames(answer.frames.map((frame): unknown => JSON.parse(frame)))];
}

/** Where a room's log stands now. */
async function here(postId: number): Promise<Position> {
  const [ready] = framesOf(await rooms.post(postId).events(request()));
  if (ready?.type !== "ready") throw new Error("no ready");
  return { epoch: ready.epoch, after: ready.seq };
}

/** Whether a promise settles within a few turns. */
async function settles(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol("pending");
  const later = new Promise((resolve) => setTimeout(() => resolve(pending), 100));
  return (await Promise.race([promise, later])) !== pending;
}

describe("a long poll", () => {
  it("tells a newcomer at once where the log stands", async ({ expect }) => {
    const postId = freshId();
    await rooms.post(postId).publish([commentAdded(postId, 1)]);
    const frames = framesOf(await rooms.post(postId).events(request({ waitMs: 25_000 })));
    expect(frames).toEqual([
      {
        type: "ready",
        room: `post:${postId}`,
        epoch: expect.any(String),
        seq: 1,
        resume: "fresh",
        viewers: 0,
      },
    ]);
  });

  it("answers at once with what was missed, the same frames as over a socket", async ({ expect }) => {
    const postId = freshId();
    const position = await here(postId);
    await rooms.post(postId).publish([commentAdded(postId, 1), commentAdded(postId, 2)]);
    await evictDurableObject(rooms.post(postId));
    const frames = framesOf(await rooms.post(postId).events(request({ position, waitMs: 25_000 })));
    expect(frames).toMatchObject([
      { type: "ready", resume: "replayed", seq: 2 },
      { type: "comment_added", seq: 1, data: { id: 1 } },
      { type: "comment_added", seq: 2 },
    ]);
  });

  it("waits for the next event where there is none yet", async ({ expect }) => {
    const postId = freshId();
    const position = await here(postId);
    const polls = Array.from({ length: 5 }, () =>
      rooms.post(postId).events(request({ position, waitMs: 25_000 })),
    );
    expect(await settles(Promise.race(polls))).toBe(false);
    await rooms.post(postId).publish([commentAdded(postId, 1)]);
    for (const answer of await Promise.all(polls)) {
      expect(framesOf(answer)).toMatchObject([{ type: "ready", seq: 1 }, { seq: 1 }]);
    }
  });

  it("answers with `ready` alone when it is stopped, and loses nothing by it", async ({ expect }) => {
    const postId = freshId();
    const position = await here(postId);
    const waiting = request({ position, waitMs: 25_000 });
    const poll = rooms.post(postId).events(waiting);
    expect(await settles(poll)).toBe(false);
    await rooms.post(postId).stopWaiting(waiting.waiter);
    expect(framesOf(await poll)).toMatchObject([{ type: "ready", resume: "replayed", seq: 0 }]);
    await rooms.post(postId).publish([commentAdded(postId, 1)]);
    const next = await rooms.post(postId).events(request({ position, waitMs: 25_000 }));
    expect(framesOf(next)).toHaveLength(2);
  });

  it("lets a client resync at once whose position is in another log", async ({ expect }) => {
    const postId = freshId();
    const answer = await rooms
      .post(postId)
      .events(request({ position: { epoch: "another", after: 3 }, waitMs: 25_000 }));
    expect(framesOf(answer)).toMatchObject([{ type: "ready", resume: "resync", seq: 0 }]);
  });

  it("cuts a long log into pieces without loss", async ({ expect }) => {
    const postId = freshId();
    let position = await here(postId);
    const long = "가".repeat(5_000);
    for (let id = 1; id <= 300; id += 1) {
      const event = commentAdded(postId, id);
      if (event.type === "comment_added") event.data.content = long;
      await rooms.post(postId).publish([event]);
    }
    const seqs: number[] = [];
    let answers = 0;
    while (seqs.length < 300) {
      const [, ...events] = framesOf(await rooms.post(postId).events(request({ position, waitMs: 0 })));
      expect(events.length).toBeGreaterThan(0);
      for (const event of events) {
        if (event.type !== "ready") seqs.push(event.seq);
      }
      position = { ...position, after: seqs.at(-1) ?? 0 };
      answers += 1;
    }
    expect(seqs).toEqual(Array.from({ length: 300 }, (_, index) => index + 1));
    expect(answers).toBeGreaterThan(1);
  });

  it("waits for twenty of one user at most; abandoned ones do not count for ever", async ({ expect }) => {
    const postId = freshId();
    const userId = freshId();
    const position = await here(postId);
    const ask = () => rooms.post(postId).events(request({ position, userId, waitMs: 25_000 }));
    const polls = Array.from({ length: 20 }, ask);
    expect(await settles(Promise.race(polls))).toBe(false);
    await ask();
    travel(28_000);
    const later = ask();
    await Promise.all(polls);
    expect(await settles(later)).toBe(false);
    await rooms.post(postId).publish([commentAdded(postId, 1)]);
    await later;
  });

  it("tells of a post's deletion, and then that it is gone", async ({ expect }) => {
    const postId = freshId();
    const position = await here(postId);
    const poll = rooms.post(postId).events(request({ position, waitMs: 25_000 }));
    await settles(poll);
    await rooms.post(postId).publish([{ key: "post_deleted", type: "post_deleted", data: { id: postId } }]);
    expect(framesOf(await poll)).toMatchObject([{ type: "ready" }, { type: "post_deleted", seq: 1 }]);
    expect(await rooms.post(postId).events(request())).toEqual({ status: "gone" });
    expect(
      await rooms.post(postId).events(request({ position: { ...position, after: 1 }, waitMs: 25_000 })),
    ).toEqual({ status: "gone" });
  });

  it("ends in a user's room when the session does", async ({ expect }) => {
    const userId = freshId();
    const first = framesOf(await rooms.user(userId).events(request({ userId })));
    expect(first).toMatchObject([{ type: "ready", room: `user:${userId}`, viewers: 1 }]);
    const [ready] = first;
    const position = { epoch: ready?.type === "ready" ? ready.epoch : "", after: 0 };
    const mine = rooms.user(userId).events(request({ userId, sessionId: 1, position, waitMs: 25_000 }));
    await settles(mine);
    await rooms.user(userId).endSessions({ sessionId: 1 });
    expect(await mine).toEqual({ status: "ended" });
    await rooms.user(userId).publish([notified(1)]);
    expect(await rooms.user(userId).events(request({ userId, sessionId: 1, position }))).toEqual({
      status: "ended",
    });
    expect(framesOf(await rooms.user(userId).events(request({ userId, position })))).toHaveLength(2);
  });
});
