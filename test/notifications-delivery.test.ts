/** That nothing is lost and nothing told twice, whoever dies and whatever comes at once. */
import { eq, inArray } from "drizzle-orm";
import { describe, inject, it } from "vitest";
import { createMeter, type Meter } from "../src/common/meter.ts";
import { createDb } from "../src/db/client.ts";
import { notificationActors, notifications } from "../src/db/schema/notifications.ts";
import { db } from "./support/database.ts";
import { deliver } from "./support/jobs.ts";
import {
  actorsOf,
  ahead,
  commentBy,
  createWorker,
  discrepancies,
  likesOf,
  newTarget,
  people,
  RecordedRooms,
  rowsOf,
  setLike,
  syncOf,
  unreadOf,
} from "./support/notifications.ts";
import { enterUser } from "./support/sockets.ts";

const DATABASE_URL = inject("cloud").settings["DATABASE_URL"] ?? "";

const MINUTE_MS = 60_000;

/** Runs `work` on every item, `width` at a time. */
async function inBatches<T>(items: readonly T[], width: number, work: (item: T) => Promise<unknown>) {
  for (let at = 0; at < items.length; at += width) {
    await Promise.all(items.slice(at, at + width).map(work));
  }
}

const like = (id: number) => ({ source: "like" as const, id });

describe("a storm", () => {
  it("of 1,000 likes is one notification with an exact count, and five frames at most", async ({
    expect,
  }) => {
    const { reader, target } = await newTarget();
    const { socket } = await enterUser(reader.id);
    const likes = await likesOf(target, await people(1_000));

    await inBatches(likes, 50, async (id) => {
      expect(await deliver(syncOf("like", id))).toBe(204);
    });
    await socket.settle();

    expect(await unreadOf(reader.id)).toMatchObject([{ actorCount: 1_000, isRead: false }]);
    expect(await rowsOf(reader.id)).toHaveLength(1);
    const burst = socket.events().length;
    expect(burst).toBeGreaterThan(0);
    expect(burst).toBeLessThanOrEqual(5);
  });

  it("ends with an exact frame, when its time has come", async ({ expect }) => {
    const { reader, target } = await newTarget();
    const rooms = new RecordedRooms();
    const { service } = createWorker({ now: ahead(), rooms });
    const likes = await likesOf(target, await people(100));
    await inBatches(likes, 10, (id) => service.sync(like(id)));
    const burst = rooms.eventsOf(reader.id).length;
    expect(burst).toBeLessThanOrEqual(3);
    await createWorker({ now: ahead(MINUTE_MS), rooms }).announcer.announce(reader.id);
    expect(rooms.eventsOf(reader.id).slice(burst)).toMatchObject([
      { type: "notify_user", data: { notification: { actorCount: 100 }, unreadCount: 1 } },
    ]);
    expect(await discrepancies(reader, rooms)).toEqual([]);
  });

  it("whose end is taken back before its time has come ends right also for whoever read it meanwhile", async ({
    expect,
  }) => {
    const { reader, target } = await newTarget();
    const rooms = new RecordedRooms();
    const { service } = createWorker({ now: ahead(), rooms });
    const [first = 0, second = 0, third = 0, held = 0] = await likesOf(target, await people(4));
    for (const id of [first, second, third]) await service.sync(like(id));
    const told = rooms.eventsOf(reader.id);
    expect(told.map(({ type }) => type)).toEqual(Array(3).fill("notify_user"));

    await service.sync(like(held));
    expect(rooms.eventsOf(reader.id)).toEqual(told);
    expect(await service.list(reader, { limit: 1 }, true)).toMatchObject({ items: [{ actorCount: 4 }] });
    await setLike(held, false);
    await service.sync(like(held));
    await createWorker({ now: ahead(MINUTE_MS), rooms }).announcer.announce(reader.id);
    expect(rooms.eventsOf(reader.id).slice(told.length)).toMatchObject([
      { type: "notify_user", data: { notification: { actorCount: 3 }, unreadCount: 1 } },
    ]);
    expect(await discrepancies(reader, rooms)).toEqual([]);
  });

  it("that goes on for an hour is told of five times in any ten minutes, also when it is read now and then", async ({
    expect,
  }) => {
    const { reader, target } = await newTarget();
    const likes = await likesOf(target, await people(120));
    const rooms = new RecordedRooms();
    const told: number[] = [];
    const start = ahead().getTime();
    for (const [index, id] of likes.entries()) {
      const at = start + index * 30_000;
      const { service, settled } = createWorker({ now: new Date(at), rooms });
      const before = rooms.eventsOf(reader.id).filter(({ type }) => type === "notify_user").length;
      await service.sync(like(id));
      const after = rooms.eventsOf(reader.id).filter(({ type }) => type === "notify_user").length;
      for (let frame = before; frame < after; frame += 1) told.push(at);
      const [row] = await unreadOf(reader.id);
      if (row && index % 25 === 24) await service.markRead(reader, row.id);
      await settled();
    }
    for (const at of told) {
      expect(told.filter((other) => other >= at && other < at + 600_000).length).toBeLessThanOrEqual(5);
    }
    expect(told.length).toBeGreaterThan(20);
    const rows = await rowsOf(reader.id);
    expect(rows.map(({ actorCount }) => actorCount)).toEqual([25, 25, 25, 25, 20]);
  });

  it("on many targets at once ends with the right count in the last frame", async ({ expect }) => {
    const { reader, target } = await newTarget();
    const targets = [target];
    for (let count = 1; count < 12; count += 1) targets.push((await newTarget(reader)).target);
    const fans = await people(4);
    const likes = (await Promise.all(targets.map((each) => likesOf(each, fans)))).flat();
    const rooms = new RecordedRooms();
    const { service } = createWorker({ rooms });
    await inBatches(likes, 48, (id) => service.sync(like(id)));
    const events = rooms.eventsOf(reader.id);
    expect(events.at(-1)?.data.unreadCount).toBe(12);
    const rows = await unreadOf(reader.id);
    expect(rows.map(({ actorCount }) => actorCount)).toEqual(Array<number>(12).fill(4));
  });
});

describe("a room that cannot be reached", () => {
  it("is told by the sweep when it is back, once", async ({ expect }) => {
    const { reader, target } = await newTarget();
    const [first = 0, second = 0] = await likesOf(target, await people(2));
    const rooms = new RecordedRooms();
    const { service } = createWorker({ rooms });
    const sweep = (minutes: number) =>
      createWorker({ now: ahead(minutes * MINUTE_MS), rooms, reader }).service.sweep();

    rooms.failing = "before";
    await service.sync(like(first));
    expect(await unreadOf(reader.id)).toMatchObject([{ actorCount: 1 }]);
    await sweep(1);
    rooms.failing = "no";
    expect(await sweep(2)).toBe(1);
    expect(await sweep(3)).toBe(0);
    expect(rooms.eventsOf(reader.id)).toHaveLength(1);

    rooms.failing = "after";
    await service.sync(like(second));
    rooms.failing = "no";
    expect(await sweep(4)).toBe(1);
    expect(await sweep(5)).toBe(0);
    expect(rooms.eventsOf(reader.id)).toMatchObject([
      { data: { notification: { actorCount: 1 } } },
      { data: { notification: { actorCount: 2 } } },
    ]);
  });

  it("hears of a reading when it is back", async ({ expect }) => {
    const { reader, target } = await newTarget();
    const likes = await likesOf(target, await people(1));
    const rooms = new RecordedRooms();
    const { service, announcer, settled } = createWorker({ rooms });
    await service.sync(like(likes[0] ?? 0));
    const [row] = await unreadOf(reader.id);
    rooms.failing = "before";
    await service.markRead(reader, row?.id ?? 0);
    await settled();
    rooms.failing = "no";
    await announcer.announce(reader.id);
    await announcer.announce(reader.id);
    expect(rooms.eventsOf(reader.id).slice(1)).toMatchObject([
      { type: "notification_read", data: { ids: [row?.id], unreadCount: 0 } },
    ]);
  });
});

describe("a Worker that dies", () => {
  /** A database that is gone after so many statements: `lost` tells whether the last one was done. */
  function mortal(statements: number, lost: "request" | "answer") {
    const meter = createMeter();
    let left = statements;
    const measure: Meter["measure"] = async (upstream, call) => {
      left -= 1;
      if (left < 0) throw new Error("dead");
      if (left > 0 || lost === "request") return meter.measure(upstream, call);
      await meter.measure(upstream, call);
      throw new Error("dead");
    };
    return { db: createDb(DATABASE_URL, { ...meter, measure }), survived: () => left > 0 };
  }

  it.for(["request", "answer"] as const)(
    "in the middle of a job, at any statement (its %s lost), leaves nothing undone and nothing twice",
    async (lost, { expect }) => {
      let statements = 1;
      for (; ; statements += 1) {
        const { reader, target } = await newTarget();
        const [id = 0] = await likesOf(target, await people(1));
        const rooms = new RecordedRooms();
        const dying = mortal(statements, lost);
        await createWorker({ rooms, database: dying.db })
          .service.sync(like(id))
          .catch(() => undefined);
        // QStash delivers again, after the lease of the dead has run out.
        await createWorker({ now: ahead(MINUTE_MS), rooms }).service.sync(like(id));
        expect([statements, await rowsOf(reader.id)]).toMatchObject([
          statements,
          [{ actorCount: 1, isRead: false, withdrawnAt: null, effectsDueAt: null }],
        ]);
        expect([statements, rooms.eventsOf(reader.id)]).toMatchObject([
          statements,
          [{ type: "notify_user", data: { unreadCount: 1 } }],
        ]);
        if (dying.survived()) break;
      }
      expect(statements).toBeGreaterThan(8);
    },
  );

  it("while a reading is told, at any statement, leaves the telling to the sweep", async ({ expect }) => {
    for (let statements = 2; ; statements += 1) {
      const { reader, target } = await newTarget();
      const [id = 0] = await likesOf(target, await people(1));
      const rooms = new RecordedRooms();
      await createWorker({ rooms }).service.sync(like(id));
      const [row] = await unreadOf(reader.id);
      const dying = mortal(statements, "answer");
      const { service, settled } = createWorker({ rooms, database: dying.db });
      await service.markAllRead(reader, row?.id ?? 0).catch(() => undefined);
      await settled();
      await createWorker({ now: ahead(MINUTE_MS), rooms }).announcer.announce(reader.id);
      expect([statements, ...rooms.eventsOf(reader.id).slice(1)]).toMatchObject([
        statements,
        { type: "notification_read", data: { upTo: row?.id, unreadCount: 0 } },
      ]);
      expect(await rowsOf(reader.id)).toMatchObject([{ isRead: true, effectsDueAt: null }]);
      if (dying.survived()) break;
    }
  });
});

describe("reading while it happens", () => {
  it("leaves every like behind exactly one notification", async ({ expect }) => {
    const { reader, target } = await newTarget();
    const likes = await likesOf(target, await people(60));
    const rooms = new RecordedRooms();
    const { service, settled } = createWorker({ rooms });
    await inBatches(likes, 12, async (id) => {
      await Promise.all([
        service.sync(like(id)),
        service.sync(like(id)),
        id % 4 === 0 ? service.markAllRead(reader, Number.MAX_SAFE_INTEGER) : undefined,
      ]);
    });
    await settled();
    await createWorker({ now: ahead(15 * MINUTE_MS), rooms }).announcer.announce(reader.id);

    const rows = await rowsOf(reader.id);
    const actors = await actorsOf(rows);
    expect(actors.map(({ sourceId }) => sourceId).sort((a, b) => a - b)).toEqual(likes);
    for (const row of rows) {
      const behind = actors.filter(({ notificationId }) => notificationId === row.id).length;
      expect([row.id, row.withdrawnAt === null ? row.actorCount : 0]).toEqual([row.id, behind]);
    }
    expect(rooms.eventsOf(reader.id).at(-1)?.data.unreadCount).toBe((await unreadOf(reader.id)).length);
  });

  it("hundreds at once is one frame", async ({ expect }) => {
    const { reader } = await newTarget();
    const now = new Date();
    const rows = Array.from({ length: 350 }, (_, index) => ({
      userId: reader.id,
      type: "like" as const,
      targetType: "post" as const,
      targetId: index + 1,
      postId: index + 1,
      actorId: reader.id,
      dedupeKey: `like:post:${index + 1}:open`,
      createdAt: now,
      updatedAt: now,
    }));
    await db.insert(notifications).values(rows);
    const rooms = new RecordedRooms();
    const { service, settled } = createWorker({ rooms });
    const [, , third] = (await rowsOf(reader.id)).toReversed();
    expect(await service.markAllRead(reader, third?.id ?? 0)).toEqual({ unreadCount: 2 });
    await settled();
    expect(rooms.eventsOf(reader.id)).toMatchObject([
      { type: "notification_read", data: { upTo: third?.id, unreadCount: 2 } },
    ]);
    expect((await rowsOf(reader.id)).filter(({ effectsDueAt }) => effectsDueAt !== null)).toEqual([]);
  });
});

describe("housekeeping", () => {
  it("deletes what was read or withdrawn 90 days ago, with who was behind it, and nothing else", async ({
    expect,
  }) => {
    const { reader, target } = await newTarget();
    const others = [await newTarget(reader), await newTarget(reader), await newTarget(reader)];
    const [fan] = await people(1);
    if (!fan) throw new Error("nobody");
    const targets = [target, ...others.map((other) => other.target)];
    const likes = (await Promise.all(targets.map((each) => likesOf(each, [fan])))).flat();
    const { service, settled } = createWorker({ rooms: new RecordedRooms() });
    for (const id of likes) await service.sync(like(id));
    const comment = await commentBy(fan, target.id);
    await service.sync({ source: "comment", id: comment });
    const [readLongAgo, withdrawnLongAgo, readNow, unreadLongAgo, fresh] = await rowsOf(reader.id);
    await setLike(likes[1] ?? 0, false);
    await service.sync(like(likes[1] ?? 0));
    await service.markRead(reader, readLongAgo?.id ?? 0);
    await service.markRead(reader, readNow?.id ?? 0);
    await settled();
    const longAgo = new Date(Date.now() - 91 * 86_400_000);
    const old = [readLongAgo, withdrawnLongAgo, unreadLongAgo].map((row) => row?.id ?? 0);
    await db
      .update(notifications)
      .set({ updatedAt: longAgo, createdAt: longAgo })
      .where(inArray(notifications.id, old));
    await db
      .update(notifications)
      .set({ withdrawnAt: longAgo })
      .where(eq(notifications.id, withdrawnLongAgo?.id ?? 0));

    expect(await service.deleteOld()).toBeGreaterThanOrEqual(2);

    const kept = await rowsOf(reader.id);
    expect(kept.map(({ id }) => id)).toEqual([readNow?.id, unreadLongAgo?.id, fresh?.id]);
    const behind = await db
      .select({ id: notificationActors.notificationId })
      .from(notificationActors)
      .where(inArray(notificationActors.notificationId, old));
    expect(behind.map(({ id }) => id)).toEqual([unreadLongAgo?.id]);
  });
});
