import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, it, vi } from "vitest";
import { FLOOD_FRAMES_MAX, PING } from "../../src/realtime/events.ts";
import { returnToPresent, stopClock, travel } from "../support/clock.ts";
import { linesOf, withoutOthers } from "../support/log-lines.ts";
import {
  accessToken,
  commentAdded,
  enterPost,
  enterUser,
  freshId,
  knockAtPost,
  rooms,
  socketOf,
  until,
} from "../support/sockets.ts";

afterEach(returnToPresent);

/** Replaces a setting of one object until it is evicted. */
async function withSetting(postId: number, name: string, value: string): Promise<void> {
  await runInDurableObject(rooms.post(postId), (instance) => {
    const holder = instance as unknown as { env: Record<string, unknown> };
    holder.env = { ...holder.env, [name]: value };
  });
}

describe("frames of clients", () => {
  it("answers a ping without waking the object", async ({ expect }) => {
    const postId = freshId();
    const { socket } = await enterPost(postId);
    await evictDurableObject(rooms.post(postId));
    let woken = 0;
    socket.raw.send(PING);
    expect(await socket.next("pong")).toEqual({ type: "pong" });
    await runInDurableObject(rooms.post(postId), (_, state) => {
      for (const each of state.getWebSockets()) {
        if (state.getWebSocketAutoResponseTimestamp(each)) woken += 1;
      }
    });
    expect(woken).toBe(1);
  });

  it("answers what it cannot read with an error and lets the socket be", async ({ expect }) => {
    const postId = freshId();
    const { socket } = await enterPost(postId);
    const bystander = await enterPost(postId);
    await socket.next("presence");
    const bad: [string | ArrayBuffer, string][] = [
      ["", "invalid_frame"],
      ["not json", "invalid_frame"],
      ["null", "invalid_frame"],
      ["42", "invalid_frame"],
      ["[]", "invalid_frame"],
      ["{}", "invalid_frame"],
      ['{"type":7}', "invalid_frame"],
      ['{"type":"auth"}', "invalid_frame"],
      ['{"type":"auth","token":7}', "invalid_frame"],
      ['{"type":"auth","token":""}', "invalid_frame"],
      ['{"type":"typing","room":"post:1"}', "invalid_frame"],
      ['{"type":"__proto__"}', "unknown_type"],
      ['{"type":"comment_added","data":{}}', "unknown_type"],
      ["[".repeat(4_000), "invalid_frame"],
      [new Uint8Array([123, 125]).buffer, "binary_frame"],
      [new ArrayBuffer(0), "binary_frame"],
      ['{"type":"auth","token":"a.b.c"}', "unauthenticated"],
    ];
    for (const [frame, code] of bad) {
      socket.raw.send(frame);
      expect(await socket.next(), JSON.stringify(frame).slice(0, 50)).toEqual({ type: "error", code });
    }
    await socket.settle();
    await rooms.post(postId).publish([commentAdded(postId, 1)]);
    await socket.next("comment_added");
    await bystander.socket.next("comment_added");
    expect(bystander.socket.frames.map(({ type }) => type)).toEqual(["ready", "comment_added"]);
  });

  it("closes with 1009 for a frame over 4 KiB, counted in bytes", async ({ expect }) => {
    const postId = freshId();
    for (const [frame, fits] of [
      [`"${"a".repeat(4_094)}"`, true],
      [`"${"a".repeat(4_095)}"`, false],
      [`"${"한".repeat(1_364)}"`, true],
      [`"${"한".repeat(1_365)}"`, false],
    ] as const) {
      const { socket } = await enterPost(postId);
      socket.raw.send(frame);
      if (fits) expect(await socket.next("error")).toEqual({ type: "error", code: "invalid_frame" });
      else expect(await socket.untilClosed()).toMatchObject({ code: 1009 });
    }
    const { socket } = await enterPost(postId);
    socket.raw.send(new ArrayBuffer(4_097));
    expect(await socket.untilClosed()).toMatchObject({ code: 1009 });
  });

  it("closes with 4429 at the 51st frame in ten seconds, across an eviction, and pings do not count", async ({
    expect,
  }) => {
    const postId = freshId();
    const flooder = await enterPost(postId);
    const bystander = await enterPost(postId);
    stopClock();
    for (let frame = 1; frame <= FLOOD_FRAMES_MAX; frame += 1) {
      flooder.socket.raw.send("x");
      flooder.socket.raw.send(PING);
    }
    await until(
      "the answers",
      () => flooder.socket.frames.filter(({ type }) => type === "error").length === 50,
    );
    await evictDurableObject(rooms.post(postId));
    flooder.socket.raw.send(PING);
    await flooder.socket.next("pong");
    expect(flooder.socket.closed).toBeUndefined();
    flooder.socket.raw.send("x");
    expect(await flooder.socket.untilClosed()).toMatchObject({ code: 4429 });
    await bystander.socket.settle();
  });

  it("forgives frames after ten seconds", async ({ expect }) => {
    const { socket } = await enterPost(freshId());
    for (let frame = 1; frame < FLOOD_FRAMES_MAX; frame += 1) socket.raw.send("x");
    await socket.settle();
    travel(10_001);
    for (let frame = 1; frame < FLOOD_FRAMES_MAX; frame += 1) socket.raw.send("x");
    await socket.settle();
    expect(socket.closed).toBeUndefined();
  });

  it("keeps what went wrong inside from the client", async ({ expect }) => {
    const log = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const sent: string[] = [];
    const broken = {
      readyState: WebSocket.OPEN,
      deserializeAttachment: () => {
        throw new Error("a secret");
      },
      send: (frame: string) => sent.push(frame),
    } as unknown as WebSocket;
    const postId = freshId();
    await runInDurableObject(rooms.post(postId), (instance) =>
      instance.webSocketMessage(broken, '{"type":"typing"}'),
    );
    expect(sent).toEqual(['{"type":"error","code":"internal"}']);
    expect(withoutOthers(linesOf(log.mock.calls), { room: `post:${postId}` })).toHaveLength(1);
  });

  it("does not let a socket that fails keep events from the others", async ({ expect }) => {
    const postId = freshId();
    const seats = [await enterPost(postId), await enterPost(postId), await enterPost(postId)];
    await runInDurableObject(rooms.post(postId), (instance, state) => {
      vi.spyOn(state, "getWebSockets").mockReturnValue([
        {
          readyState: WebSocket.OPEN,
          send: () => {
            throw new Error("dead");
          },
        } as unknown as WebSocket,
        ...state.getWebSockets(),
      ]);
      instance.publish([commentAdded(postId, 1)]);
    });
    for (const { socket } of seats) expect((await socket.next("comment_added")).seq).toBe(1);
  });

  it("knows no typing in a user's room", async ({ expect }) => {
    const { socket } = await enterUser(freshId());
    socket.send({ type: "typing" });
    expect(await socket.next()).toEqual({ type: "error", code: "unknown_type" });
  });

  it("answers a client's close with the client's code, or with none", async ({ expect }) => {
    const postId = freshId();
    const { socket } = await enterPost(postId);
    const silent = await enterPost(postId);
    socket.raw.close(4000, "bye");
    silent.socket.raw.close();
    expect(await socket.untilClosed()).toEqual({ code: 4000, reason: "bye" });
    expect((await silent.socket.untilClosed()).code).toBe(1005);
  });
});

describe("the life of a socket", () => {
  it("ends with its token, with 4401, across an eviction", async ({ expect }) => {
    const postId = freshId();
    const userId = freshId();
    stopClock();
    const soon = await enterPost(postId, { expiresAt: Date.now() + 5_000 });
    const later = await enterPost(postId, { expiresAt: Date.now() + 60_000 });
    const own = await enterUser(userId, { expiresAt: Date.now() + 5_000 });
    await evictDurableObject(rooms.post(postId));
    await evictDurableObject(rooms.user(userId));
    travel(6_000);
    await runDurableObjectAlarm(rooms.post(postId));
    await runDurableObjectAlarm(rooms.user(userId));
    expect(await soon.socket.untilClosed()).toMatchObject({ code: 4401 });
    expect(await own.socket.untilClosed()).toMatchObject({ code: 4401 });
    await later.socket.settle();
    travel(60_000);
    await runDurableObjectAlarm(rooms.post(postId));
    expect(await later.socket.untilClosed()).toMatchObject({ code: 4401 });
  });

  it("ends by itself when the time has come", async ({ expect }) => {
    const { socket } = await enterPost(freshId(), { expiresAt: Date.now() + 8_000 });
    expect(await socket.untilClosed()).toMatchObject({ code: 4401 });
  });

  it("goes on with a fresh token of the same user, also of another session", async ({ expect }) => {
    const userId = freshId();
    const postId = freshId();
    stopClock();
    const seats = [
      await enterPost(postId, { userId, expiresAt: Date.now() + 5_000 }),
      await enterUser(userId, { expiresAt: Date.now() + 5_000 }),
    ];
    for (const { socket } of seats) {
      socket.send({ type: "auth", token: await accessToken({ userId }) });
      await socket.settle();
    }
    travel(6_000);
    await runDurableObjectAlarm(rooms.post(postId));
    await runDurableObjectAlarm(rooms.user(userId));
    for (const { socket } of seats) {
      await socket.settle();
      expect(socket.closed).toBeUndefined();
    }
    travel(900_000);
    await runDurableObjectAlarm(rooms.post(postId));
    expect(await seats[0]?.socket.untilClosed()).toMatchObject({ code: 4401 });
  });

  it("is not made longer by a token that has expired, or is not good", async ({ expect }) => {
    const userId = freshId();
    const postId = freshId();
    stopClock();
    const { socket } = await enterPost(postId, { userId, expiresAt: Date.now() + 5_000 });
    const stale = await accessToken({ userId }, new Date(Date.now() - 3_600_000));
    socket.send({ type: "auth", token: stale });
    expect(await socket.next("error")).toEqual({ type: "error", code: "token_expired" });
    const good = await accessToken({ userId });
    const signature = good.lastIndexOf(".") + 1;
    const other = good[signature] === "A" ? "B" : "A";
    socket.send({ type: "auth", token: good.slice(0, signature) + other + good.slice(signature + 1) });
    expect(await socket.next("error")).toEqual({ type: "error", code: "unauthenticated" });
    travel(6_000);
    await runDurableObjectAlarm(rooms.post(postId));
    expect(await socket.untilClosed()).toMatchObject({ code: 4401 });
  });

  it("is not made shorter by a token that ends sooner", async ({ expect }) => {
    const userId = freshId();
    const postId = freshId();
    const { socket } = await enterPost(postId, { userId });
    const sooner = await enterPost(postId, { expiresAt: Date.now() + 500_000 });
    socket.send({ type: "auth", token: await accessToken({ userId }, new Date(Date.now() - 600_000)) });
    await socket.settle();
    travel(600_000);
    await runDurableObjectAlarm(rooms.post(postId));
    expect(await sooner.socket.untilClosed()).toMatchObject({ code: 4401 });
    await socket.settle();
    expect(socket.closed).toBeUndefined();
  });

  it("ends with 4403 when it brings somebody else's token", async ({ expect }) => {
    const postId = freshId();
    const { socket } = await enterPost(postId);
    const bystander = await enterPost(postId);
    socket.send({ type: "auth", token: await accessToken({ userId: freshId() }) });
    expect(await socket.untilClosed()).toMatchObject({ code: 4403 });
    await bystander.socket.settle();
  });

  it("does not begin with a token that has just run out", async ({ expect }) => {
    expect((await knockAtPost(freshId(), { expiresAt: Date.now() - 1 })).status).toBe(401);
  });
});

describe("a full room", () => {
  it("turns the 21st socket of one user away with 4503, and nobody else", async ({ expect }) => {
    const postId = freshId();
    const userId = freshId();
    const seats = await Promise.all(Array.from({ length: 20 }, () => enterPost(postId, { userId })));
    const extra = socketOf(await knockAtPost(postId, { userId }));
    expect(await extra.untilClosed()).toMatchObject({ code: 4503 });
    expect(extra.frames).toEqual([]);
    await enterPost(postId);
    seats[0]?.socket.close();
    await seats[0]?.socket.untilClosed();
    await seats[1]?.socket.settle();
    await enterPost(postId, { userId });
  });

  it("holds the cap when many knock at once", async ({ expect }) => {
    const postId = freshId();
    const userId = freshId();
    const answers = await Promise.all(Array.from({ length: 40 }, () => knockAtPost(postId, { userId })));
    const sockets = answers.map(socketOf);
    await until("all answers", () => sockets.every((socket) => socket.closed || socket.frames.length > 0));
    expect(sockets.filter((socket) => socket.frames[0]?.type === "ready")).toHaveLength(20);
    expect(sockets.filter((socket) => socket.closed?.code === 4503)).toHaveLength(20);
  });

  it("turns everybody away with 4503 at the room's cap", async ({ expect }) => {
    const postId = freshId();
    await enterPost(postId);
    await withSetting(postId, "ROOM_SOCKETS_MAX", "2");
    await enterPost(postId);
    expect(await socketOf(await knockAtPost(postId)).untilClosed()).toMatchObject({ code: 4503 });
  });

  it("caps a user's own room too", async ({ expect }) => {
    const userId = freshId();
    for (let seat = 0; seat < 20; seat += 1) await enterUser(userId);
    await expect(enterUser(userId)).rejects.toThrow("4503");
  });
});

describe("a deleted post", () => {
  it("is announced, closes everybody with 4404 and stays closed across an eviction", async ({ expect }) => {
    const postId = freshId();
    const seats = [await enterPost(postId), await enterPost(postId)];
    // The second count is held: it comes too soon.
    stopClock();
    await rooms
      .post(postId)
      .publishCount({ type: "post_liked", targetId: postId, likeCount: 1, revision: 2 });
    await rooms
      .post(postId)
      .publishCount({ type: "post_liked", targetId: postId, likeCount: 2, revision: 3 });
    const deleted = { key: "post_deleted", type: "post_deleted", data: { id: postId } } as const;
    expect(await rooms.post(postId).publish([deleted])).toEqual({ status: "stored", seqs: [2] });
    for (const { socket } of seats) {
      expect(await socket.untilClosed()).toMatchObject({ code: 4404 });
      expect(socket.events().at(-1)).toMatchObject({ type: "post_deleted", seq: 2, data: { id: postId } });
    }
    await evictDurableObject(rooms.post(postId));
    expect((await knockAtPost(postId)).status).toBe(404);
    expect(await rooms.post(postId).publish([deleted])).toEqual({ status: "gone" });
    expect(await rooms.post(postId).publish([commentAdded(postId, 1)])).toEqual({ status: "gone" });
    expect(
      await rooms
        .post(postId)
        .publishCount({ type: "post_liked", targetId: postId, likeCount: 9, revision: 9 }),
    ).toEqual({ status: "gone" });
    travel(25 * 3_600_000);
    await runDurableObjectAlarm(rooms.post(postId));
    expect((await knockAtPost(postId)).status).toBe(404);
  });

  it("refuses who was on the way in", async ({ expect }) => {
    const postId = freshId();
    const knocks = Array.from({ length: 10 }, () => knockAtPost(postId));
    await rooms.post(postId).publish([{ key: "post_deleted", type: "post_deleted", data: { id: postId } }]);
    for (const response of await Promise.all(knocks)) {
      if (response.status === 101) expect((await socketOf(response).untilClosed()).code).toBe(4404);
      else expect(response.status).toBe(404);
    }
  });
});
