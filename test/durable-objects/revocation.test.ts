import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, it, vi } from "vitest";
import type { EndedSessions } from "../../src/realtime/events.ts";
import { returnToPresent, stopClock, travel } from "../support/clock.ts";
import { waitUntil } from "../support/patience.ts";
import {
  accessToken,
  enterPost,
  enterUser,
  freshId,
  knockAtPost,
  rooms,
  socketOf,
  ticket,
} from "../support/sockets.ts";
import { ticketRequest } from "../../src/realtime/ticket.ts";

afterEach(returnToPresent);

/** Makes calls of a method fail until the object is evicted: methods that hide behind own properties are not callable. */
async function breakMethod(stub: Parameters<typeof evictDurableObject>[0], name: string): Promise<void> {
  await runInDurableObject(stub, (instance) => {
    Object.defineProperty(instance, name, { value: undefined });
  });
}

/** The rows of a user's object that say where the user's sockets are. */
async function whereabouts(userId: number): Promise<number> {
  return runInDurableObject(rooms.user(userId), (_, { storage }) =>
    Number(storage.sql.exec("select count(*) as sockets from whereabouts").one()["sockets"]),
  );
}

describe("ending sessions", () => {
  const cases: [string, EndedSessions, { sessionId: number; epoch: number; ends: boolean }[]][] = [
    [
      "one session",
      { sessionId: 1 },
      [
        { sessionId: 1, epoch: 1, ends: true },
        { sessionId: 2, epoch: 1, ends: false },
      ],
    ],
    [
      "all sessions",
      { epoch: 2 },
      [
        { sessionId: 1, epoch: 1, ends: true },
        { sessionId: 2, epoch: 1, ends: true },
        { sessionId: 3, epoch: 2, ends: false },
      ],
    ],
    [
      "all sessions but one",
      { epoch: 2, keptSessionId: 2 },
      [
        { sessionId: 1, epoch: 1, ends: true },
        { sessionId: 2, epoch: 1, ends: false },
      ],
    ],
    ["the account", { erased: true }, [{ sessionId: 1, epoch: 1, ends: true }]],
  ];
  for (const [what, ended, sessions] of cases) {
    it(`closes the sockets of ${what} in every room with 4401, across evictions, and no others`, async ({
      expect,
    }) => {
      const userId = freshId();
      const posts = [freshId(), freshId(), freshId()];
      const stranger = await enterPost(posts[0] ?? 0, { sessionId: 1 });
      const seats = [];
      for (const { sessionId, epoch, ends } of sessions) {
        for (const postId of posts) {
          seats.push({ ...(await enterPost(postId, { userId, sessionId, epoch })), ends });
        }
        seats.push({ ...(await enterUser(userId, { sessionId, epoch })), ends });
      }
      for (const postId of posts) await evictDurableObject(rooms.post(postId));
      await evictDurableObject(rooms.user(userId));

      expect(await rooms.user(userId).endSessions(ended)).toEqual({ status: "done" });
      for (const { socket, ends } of seats) {
        if (ends) expect(await socket.untilClosed()).toMatchObject({ code: 4401 });
        else await socket.settle();
      }
      await stranger.socket.settle();
    });
  }

  it("refuses late arrivals of an ended session, in posts' rooms and in the user's own", async ({
    expect,
  }) => {
    const userId = freshId();
    const postId = freshId();
    await rooms.user(userId).endSessions({ sessionId: 1 });
    await rooms.user(userId).endSessions({ epoch: 5, keptSessionId: 2 });
    await evictDurableObject(rooms.user(userId));
    for (const late of [
      { sessionId: 1, epoch: 5 },
      { sessionId: 3, epoch: 4 },
    ]) {
      expect((await knockAtPost(postId, { userId, ...late })).status).toBe(401);
      await expect(enterUser(userId, late)).rejects.toThrow("401");
    }
    await enterPost(postId, { userId, sessionId: 2, epoch: 4 });
    await enterUser(userId, { sessionId: 3, epoch: 5 });
  });

  it("is not undone by an older ending that arrives late", async ({ expect }) => {
    const userId = freshId();
    await rooms.user(userId).endSessions({ epoch: 5 });
    await rooms.user(userId).endSessions({ epoch: 4, keptSessionId: 2 });
    expect((await knockAtPost(freshId(), { userId, sessionId: 2, epoch: 3 })).status).toBe(401);
  });

  it("forgets an ended session no sooner than its tokens do", async ({ expect }) => {
    const userId = freshId();
    stopClock();
    await rooms.user(userId).endSessions({ sessionId: 1 });
    travel(900_000);
    await rooms.user(userId).endSessions({ sessionId: 2 });
    await expect(enterUser(userId, { sessionId: 1 })).rejects.toThrow("401");
    travel(900_000);
    await rooms.user(userId).endSessions({ sessionId: 3 });
    const kept = await runInDurableObject(rooms.user(userId), (_, { storage }) =>
      storage.sql.exec("select id from ended_sessions").toArray(),
    );
    expect(kept).toEqual([{ id: 2 }, { id: 3 }]);
  });

  it("never lets a socket slip through that is entering at that moment", async ({ expect }) => {
    for (let round = 0; round < 15; round += 1) {
      const userId = freshId();
      const postId = freshId();
      const knocks = Array.from({ length: 6 }, () => knockAtPost(postId, { userId, sessionId: 1 }));
      const ending = rooms.user(userId).endSessions({ sessionId: 1 });
      const late = knockAtPost(postId, { userId, sessionId: 1 });
      await ending;
      for (const response of await Promise.all([...knocks, late])) {
        if (response.status === 401) continue;
        expect(await socketOf(response).untilClosed()).toMatchObject({ code: 4401 });
      }
    }
  });

  it("refuses a socket whose ending reaches the room before the word of the user's object", async ({
    expect,
  }) => {
    const userId = freshId();
    const statuses = await runInDurableObject(rooms.post(freshId()), async (instance) => {
      const knocks = [1, 2].map((sessionId) => instance.fetch(ticketRequest(ticket({ userId, sessionId }))));
      instance.endSessions(userId, { sessionIds: [1], epoch: 0, keptSessionId: null, erased: false });
      return (await Promise.all(knocks)).map(({ status }) => status);
    });
    expect(statuses).toEqual([401, 101]);
  });

  it("refuses a token of an ended session as a fresh one", async ({ expect }) => {
    const userId = freshId();
    const postId = freshId();
    stopClock();
    const { socket } = await enterPost(postId, { userId, sessionId: 2, expiresAt: Date.now() + 5_000 });
    const own = await enterUser(userId, { sessionId: 2, expiresAt: Date.now() + 5_000 });
    await rooms.user(userId).endSessions({ sessionId: 1 });
    for (const seat of [socket, own.socket]) {
      seat.send({ type: "auth", token: await accessToken({ userId, sessionId: 1 }) });
      expect(await seat.next("error")).toEqual({ type: "error", code: "unauthenticated" });
    }
    travel(6_000);
    await runDurableObjectAlarm(rooms.post(postId));
    expect(await socket.untilClosed()).toMatchObject({ code: 4401 });
  });

  it("follows a socket that went on under another session's token", async ({ expect }) => {
    const userId = freshId();
    const postId = freshId();
    stopClock();
    const { socket } = await enterPost(postId, { userId, sessionId: 1, expiresAt: Date.now() + 5_000 });
    socket.send({ type: "auth", token: await accessToken({ userId, sessionId: 2 }) });
    await socket.settle();
    await rooms.user(userId).endSessions({ sessionId: 1 });
    await socket.settle();
    await rooms.user(userId).endSessions({ sessionId: 2 });
    expect(await socket.untilClosed()).toMatchObject({ code: 4401 });
  });

  it("goes on telling a room that could not be reached", async ({ expect }) => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    const userId = freshId();
    const broken = freshId();
    const sound = freshId();
    const seats = [
      await enterPost(broken, { userId, sessionId: 1 }),
      await enterPost(sound, { userId, sessionId: 1 }),
    ];
    await breakMethod(rooms.post(broken), "endSessions");
    expect(await rooms.user(userId).endSessions({ sessionId: 1 })).toEqual({ status: "pending" });
    expect(await seats[1]?.socket.untilClosed()).toMatchObject({ code: 4401 });
    expect(seats[0]?.socket.closed).toBeUndefined();
    await evictDurableObject(rooms.post(broken));
    await evictDurableObject(rooms.user(userId));
    travel(1_500);
    await runDurableObjectAlarm(rooms.user(userId));
    expect(await seats[0]?.socket.untilClosed()).toMatchObject({ code: 4401 });
  });

  it("refuses an upgrade with 503 while the user's object cannot be asked", async ({ expect }) => {
    const userId = freshId();
    const postId = freshId();
    await enterUser(userId);
    await breakMethod(rooms.user(userId), "enter");
    expect((await knockAtPost(postId, { userId })).status).toBe(503);
    await evictDurableObject(rooms.user(userId));
    const { ready } = await enterPost(postId, { userId });
    expect(ready.viewers).toBe(1);
  });
});

describe("the user's object", () => {
  it("knows every socket of its user in posts' rooms, and forgets it when it is gone", async ({ expect }) => {
    const userId = freshId();
    const postId = freshId();
    const one = await enterPost(postId, { userId });
    const two = await enterPost(postId, { userId });
    const other = await enterPost(freshId(), { userId });
    expect(await whereabouts(userId)).toBe(3);
    one.socket.close();
    other.socket.raw.send("x".repeat(5_000));
    await other.socket.untilClosed();
    await waitUntil(async () => (await whereabouts(userId)) === 1);
    await two.socket.settle();
  });

  it("forgets a socket whose room never said that it was gone, after its token has ended", async ({
    expect,
  }) => {
    const userId = freshId();
    const postId = freshId();
    await enterPost(postId, { userId });
    await evictDurableObject(rooms.post(postId), { webSockets: "close" });
    travel(1_000_000);
    await enterPost(freshId(), { userId });
    expect(await whereabouts(userId)).toBe(1);
  });

  it("turns away whoever is in 500 places already", async ({ expect }) => {
    const userId = freshId();
    const postId = freshId();
    const expiresAt = Date.now() + 60_000;
    await runInDurableObject(rooms.user(userId), (instance) => {
      for (let place = 0; place < 500; place += 1) {
        instance.enter({ id: `place-${place}`, postId: place + 1, sessionId: 1, epoch: 1, expiresAt });
      }
    });
    expect(await socketOf(await knockAtPost(postId, { userId })).untilClosed()).toMatchObject({ code: 4503 });
  });
});
