import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, it } from "vitest";
import { returnToPresent, stopClock, travel } from "../support/clock.ts";
import { waitUntil } from "../support/patience.ts";
import { commentAdded, enterPost, enterUser, freshId, notified, rooms } from "../support/sockets.ts";

afterEach(returnToPresent);

const DAY_MS = 86_400_000;

describe("the log of a room", () => {
  it("gives 200 concurrent publications 200 consecutive numbers, and everybody the same order", async ({
    expect,
  }) => {
    const postId = freshId();
    const before = await enterPost(postId);
    const publications = Array.from({ length: 200 }, (_, index) =>
      rooms.post(postId).publish([commentAdded(postId, index + 1)]),
    );
    const during = await enterPost(postId, { position: { epoch: before.ready.epoch, after: 0 } });
    const outcomes = await Promise.all(publications);

    const seqs = outcomes.flatMap((outcome) => (outcome.status === "stored" ? outcome.seqs : []));
    expect(seqs.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, index) => index + 1));
    for (const { socket } of [before, during]) {
      await waitUntil(() => socket.events().length === 200);
      expect(socket.events().map(({ seq }) => seq)).toEqual(
        Array.from({ length: 200 }, (_, index) => index + 1),
      );
    }
    expect(before.socket.events()).toEqual(during.socket.events());
  });

  it("goes on counting after an eviction, and sleeping sockets still hear", async ({ expect }) => {
    const postId = freshId();
    const { socket, ready } = await enterPost(postId);
    await rooms.post(postId).publish([commentAdded(postId, 1)]);
    await evictDurableObject(rooms.post(postId));
    await rooms.post(postId).publish([commentAdded(postId, 2)]);

    expect((await socket.next("comment_added")).seq).toBe(1);
    expect(await socket.next("comment_added")).toMatchObject({ seq: 2, room: `post:${postId}` });
    const again = await enterPost(postId);
    expect(again.ready).toMatchObject({ epoch: ready.epoch, seq: 2, resume: "fresh" });
  });

  it("keeps one event for a key, however often and whenever it is published", async ({ expect }) => {
    const postId = freshId();
    const { socket } = await enterPost(postId);
    const stub = rooms.post(postId);
    const once = await Promise.all(
      Array.from({ length: 5 }, () => stub.publish([commentAdded(postId, 7), commentAdded(postId, 8)])),
    );
    await evictDurableObject(stub);
    const later = await rooms.post(postId).publish([commentAdded(postId, 8), commentAdded(postId, 9)]);

    for (const outcome of once) expect(outcome).toEqual({ status: "stored", seqs: [1, 2] });
    expect(later).toEqual({ status: "stored", seqs: [2, 3] });
    await waitUntil(() => socket.events().length >= 3);
    expect(socket.events().map(({ data }) => "id" in data && data.id)).toEqual([7, 8, 9]);
  });

  it("stores nothing of a publication that fails in the middle, and sends nothing", async ({ expect }) => {
    const postId = freshId();
    const { socket } = await enterPost(postId);
    const cyclic: Record<string, unknown> = {};
    cyclic["self"] = cyclic;
    await runInDurableObject(rooms.post(postId), (instance) => {
      const bad = { ...commentAdded(postId, 2), data: cyclic } as unknown as ReturnType<typeof commentAdded>;
      expect(() => instance.publish([commentAdded(postId, 1), bad])).toThrow();
    });
    await rooms.post(postId).publish([commentAdded(postId, 3)]);

    expect(await socket.next("comment_added")).toMatchObject({ seq: 1, data: { id: 3 } });
    expect(socket.events()).toHaveLength(1);
  });

  it("keeps everything younger than a day, and 500 events of what is older", async ({ expect }) => {
    const postId = freshId();
    stopClock();
    const { ready, socket } = await enterPost(postId);
    socket.close();
    const publish = (first: number, count: number) =>
      rooms
        .post(postId)
        .publish(Array.from({ length: count }, (_, index) => commentAdded(postId, first + index)));
    await publish(1, 700);
    const whole = await enterPost(postId, { position: { epoch: ready.epoch, after: 0 } });
    expect(whole.ready).toMatchObject({ resume: "replayed", seq: 700 });
    await waitUntil(() => whole.socket.events().length === 700);

    travel(DAY_MS - 60_000);
    await publish(701, 1);
    await runDurableObjectAlarm(rooms.post(postId));
    const young = await enterPost(postId, { position: { epoch: ready.epoch, after: 0 } });
    expect(young.ready.resume).toBe("replayed");

    travel(120_000);
    await runDurableObjectAlarm(rooms.post(postId));
    const after = async (seq: number) => {
      const { ready: answer, socket: late } = await enterPost(postId, {
        position: { epoch: ready.epoch, after: seq },
      });
      late.close();
      return answer.resume;
    };
    expect(await after(0)).toBe("resync");
    expect(await after(200)).toBe("resync");
    expect(await after(201)).toBe("replayed");
    expect(
      await runInDurableObject(
        rooms.post(postId),
        (_, { storage }) => storage.sql.exec("select count(*) as kept from events").one()["kept"],
      ),
    ).toBe(500);
  });

  it("is another log with another epoch after it was wiped, and clients resync", async ({ expect }) => {
    const postId = freshId();
    const { ready } = await enterPost(postId);
    await rooms.post(postId).publish([commentAdded(postId, 1)]);
    await runInDurableObject(rooms.post(postId), (_, state) => state.storage.deleteAll());
    await evictDurableObject(rooms.post(postId), { webSockets: "close" });
    await rooms.post(postId).publish([commentAdded(postId, 2)]);

    const back = await enterPost(postId, { position: { epoch: ready.epoch, after: 1 } });
    expect(back.ready).toMatchObject({ resume: "resync", seq: 1 });
    expect(back.ready.epoch).not.toBe(ready.epoch);
    expect(back.socket.events()).toEqual([]);
  });

  it("works the same for a user's room", async ({ expect }) => {
    const userId = freshId();
    const { socket, ready } = await enterUser(userId);
    expect(ready).toMatchObject({ room: `user:${userId}`, seq: 0, resume: "fresh", viewers: 1 });
    await rooms.user(userId).publish([notified(1)]);
    await evictDurableObject(rooms.user(userId));
    await rooms
      .user(userId)
      .publish([
        notified(1),
        { key: "read:1", type: "notification_read", data: { upTo: 1, unreadCount: 0 } },
      ]);
    expect(await socket.next()).toMatchObject({ type: "notify_user", seq: 1, data: { unreadCount: 1 } });
    expect(await socket.next()).toMatchObject({ type: "notification_read", seq: 2, data: { upTo: 1 } });
    const again = await enterUser(userId, { position: { epoch: ready.epoch, after: 1 } });
    expect(again.ready.resume).toBe("replayed");
    expect((await again.socket.next("notification_read")).seq).toBe(2);
  });
});
