/** A short run of `npm run load`: mixed traffic with sockets that come and go. How memory behaves takes the long one. */
import { randomInt } from "node:crypto";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, it } from "vitest";
import { dueDifferences, endHoldingBack } from "../dev/load/due.ts";
import type { Api } from "../dev/load/api.ts";
import { floorsOf, growthOf } from "../dev/load/memory.ts";
import { createRoomRecord } from "../dev/load/room-record.ts";
import { runLoad } from "../dev/load/run.ts";
import { sendTraffic } from "../dev/load/traffic.ts";
import { tableDifferences } from "../dev/load/truth.ts";
import { createRandom } from "../dev/seed/random.ts";
import { createMeter } from "../src/common/meter.ts";
import { createDb, type Db } from "../src/db/client.ts";
import { boards } from "../src/db/schema/boards.ts";
import { comments } from "../src/db/schema/comments.ts";
import { notifications } from "../src/db/schema/notifications.ts";
import { posts } from "../src/db/schema/posts.ts";
import { type OwnCloud, startOwnCloud } from "./support/node/own-cloud.ts";

// Sweeps tell of whatever is due in a database, each in its own rooms: those of other files have no business here.
let cloud: OwnCloud;
let databaseUrl: string;
let db: Db;
let boardId: number;

const person = { id: 1, email: "", password: "", accessToken: "" };

beforeAll(async () => {
  // One sweep each time that the trigger is fired, so that nobody waits for the next.
  cloud = await startOwnCloud({ RATE_LIMIT_SCALE: "0", SWEEP_SECONDS: "60" });
  const { databaseUser, databasePassword } = cloud.secrets;
  databaseUrl = `http://${databaseUser}:${databasePassword}@${new URL(cloud.planetscaleUrl).host}`;
  db = createDb(databaseUrl, createMeter());
  const board = { name: "Load", slug: "load", description: "", createdAt: new Date() };
  const [row] = await db.insert(boards).values(board).$returningId();
  boardId = row?.id ?? 0;
});
afterAll(async () => {
  await cloud.close();
});

describe("mixed traffic", () => {
  it(
    "is answered without an error, and every socket has every event in order",
    { timeout: 240_000 },
    async ({ expect }) => {
      const seed = randomInt(1, 2 ** 31);
      const { tally, visits, events, faults } = await runLoad({
        url: cloud.worker.url,
        cronUrl: cloud.worker.url,
        databaseUrl,
        boardId,
        seconds: 12,
        sockets: 60,
        lanes: 8,
        people: 20,
        posts: 5,
        seed,
        signal: new AbortController().signal,
        log: () => {},
      });
      expect(faults, `seed ${seed}`).toEqual([]);
      expect(Object.keys(tally).length).toBeGreaterThan(5);
      // Everybody came twice at least: at first, and to stay.
      expect(visits).toBeGreaterThanOrEqual(120);
      expect(events).toBeGreaterThan(0);
    },
  );
});

describe("lanes", () => {
  it.for([429, 503])("come no sooner than they are told to by a %i", async (status, { expect }) => {
    const stop = new AbortController();
    let sent = 0;
    const api: Api = {
      send: async () => {
        sent += 1;
        await new Promise(setImmediate);
        if (sent < 3) return { status: 200, text: "{}", retryAfterSeconds: 0 };
        // A lane that came back at once would have done so by then.
        setTimeout(() => stop.abort(), 100);
        return { status, text: "", retryAfterSeconds: 3_600 };
      },
      call: () => Promise.reject(new Error("not asked for")),
      close: () => undefined,
    };
    const world = { people: [person], boardId, postIds: [1], comments: new Map<number, number>() };
    const faults: string[] = [];
    const random = createRandom(1);
    await sendTraffic({ api, world, random, lanes: 1 }, stop.signal, (what) => faults.push(what));
    expect(sent).toBe(3);
    expect(faults).toHaveLength(status === 429 ? 0 : 1);
  });
});

describe("what the tables must say", () => {
  const [author, guest] = [1_000_001, 1_000_002];
  const now = new Date();

  /** A post of the author with a comment of the guest, of which the author is told so many times. */
  async function commented(times: number, row: Partial<typeof notifications.$inferInsert> = {}) {
    const written = { content: "c", counted: true, createdAt: now, updatedAt: now };
    const post = { ...written, boardId, authorId: author, title: "t", excerpt: "c", commentCount: 1 };
    const [{ id: postId } = { id: 0 }] = await db.insert(posts).values(post).$returningId();
    const comment = { ...written, postId, authorId: guest };
    const [{ id: commentId } = { id: 0 }] = await db.insert(comments).values(comment).$returningId();
    for (let time = 1; time <= times; time += 1) {
      const target = { type: "comment", targetType: "post", targetId: postId, postId } as const;
      await db.insert(notifications).values({
        ...target,
        userId: author,
        actorId: guest,
        dedupeKey: `comment:post:${postId}:${time}`,
        createdAt: now,
        updatedAt: now,
        ...row,
      });
    }
    return tableDifferences(db, {
      people: [],
      boardId,
      postIds: [postId],
      comments: new Map([[commentId, 1]]),
    });
  }

  it("finds a notification that is lost, one too many, and one about too few people", async ({ expect }) => {
    expect(await commented(1)).toEqual([]);
    expect((await commented(0)).join()).toContain("0 in the tables instead of 1");
    expect((await commented(2)).join()).toContain("told twice");
    expect((await commented(1, { actorCount: 2 })).join()).toContain("2 in the tables instead of 1");
    expect((await commented(1, { withdrawnAt: now })).join()).toContain("0 in the tables instead of 1");
  });

  it("finds what is due, and brings only what is held back forward", async ({ expect }) => {
    expect(await dueDifferences(db)).toEqual([]);
    const [overdueSince, heldUntil] = [-60_000, 600_000].map((ms) => new Date(Date.now() + ms));
    await commented(1, { effectsDueAt: overdueSince });
    await commented(1, { effectsDueAt: heldUntil });
    await db.update(boards).set({ effectsDueAt: now }).where(eq(boards.id, boardId));
    expect(await dueDifferences(db)).toEqual([
      "boards: effects of 1 rows are still due",
      "notifications: effects of 2 rows are still due",
    ]);
    expect(await endHoldingBack(db)).toBe(1);
    expect(await endHoldingBack(db)).toBe(0);
  });
});

describe("what is watched", () => {
  const event = (seq: number, likeCount: number) =>
    JSON.stringify({
      type: "post_liked",
      room: "post:1",
      seq,
      at: "2026-11-25T11:00:00.000Z",
      data: { targetId: 1, likeCount },
    });

  it("finds two events under one number, what is no event, and a gap", ({ expect }) => {
    const record = createRoomRecord("post:1", person);
    expect(record.take(1, event(1, 1))).toBeUndefined();
    expect(record.take(1, event(1, 1))).toBeUndefined();
    expect(record.take(1, event(1, 2))).toContain("number 1");
    expect(record.take(3, event(3, 3))).toBeUndefined();
    expect(record.last()).toBe(1);
    expect(record.take(2, event(2, 2))).toBeUndefined();
    expect(record.last()).toBe(3);
    expect(record.take(4, '{"type":"post_liked"}')).toContain("no event");
  });

  it("finds what is told twice under two numbers", ({ expect }) => {
    const record = createRoomRecord("post:1", person);
    const added = (seq: number) =>
      JSON.stringify({
        type: "comment_added",
        room: "post:1",
        seq,
        at: "2026-11-25T11:00:00.000Z",
        data: {
          id: 1,
          postId: 1,
          author: null,
          content: "x",
          likeCount: 0,
          version: 1,
          createdAt: "2026-11-25T11:00:00.000Z",
          updatedAt: "2026-11-25T11:00:00.000Z",
          deletedAt: null,
        },
      });
    expect(record.take(1, added(1))).toBeUndefined();
    expect(record.take(2, added(2))).toContain("tells again");
  });

  const notification = (id: number, actorCount: number) => ({
    id,
    type: "comment",
    targetType: "post",
    targetId: 1,
    postId: 1,
    actor: { id: 2, username: "mina" },
    actorCount,
    message: "mina commented on your post",
    isRead: false,
    createdAt: "2026-11-25T11:00:00.000Z",
  });

  it("finds a notification that is told again as it was, unless changes are held back", ({ expect }) => {
    const take = (...actorCounts: number[]) => {
      const record = createRoomRecord("user:1", person);
      return actorCounts.map((actorCount, index) => {
        const seq = index + 1;
        const [type, data] =
          actorCount === 0
            ? ["notification_read", { ids: [7], unreadCount: 0 }]
            : ["notify_user", { notification: notification(7, actorCount), unreadCount: 1 }];
        const at = "2026-11-25T11:00:00.000Z";
        return record.take(seq, JSON.stringify({ type, room: "user:1", seq, at, data }));
      });
    };
    const fine = undefined;
    const again = expect.stringContaining("tells the same again");
    expect(take(1, 1, 2, 2)).toEqual([fine, again, fine, fine]);
    expect(take(1, 2, 2)).toEqual([fine, fine, again]);
    expect(take(1, 0, 1, 1)).toEqual([fine, fine, fine, fine]);
  });

  it("finds a notification of which the room was not told, or something else", async ({ expect }) => {
    const restSays = (...items: unknown[]): Api => ({
      send: () => Promise.reject(new Error("not asked for")),
      call: async <Body>({ path }: { path: string }) =>
        (path.endsWith("unread-count") ? { unreadCount: items.length } : { items, nextCursor: null }) as Body,
      close: () => undefined,
    });
    const record = createRoomRecord("user:1", person);
    const data = { notification: notification(7, 1), unreadCount: 1 };
    const at = "2026-11-25T11:00:00.000Z";
    const frame = JSON.stringify({ type: "notify_user", room: "user:1", seq: 1, at, data });
    expect(record.take(1, frame)).toBeUndefined();
    expect(await record.differences(restSays(notification(7, 1)))).toEqual([]);
    expect((await record.differences(restSays(notification(7, 2)))).join()).toContain('"actorCount":2');
    const lost = await record.differences(restSays(notification(7, 1), notification(8, 1)));
    expect(lost.join()).toContain("2 unread, the events 1");
    expect(lost.join()).toContain('"id":8');
    expect((await record.differences(restSays())).join()).toContain("notification 7 is not in REST");
  });

  it.for([
    { name: "the same", perMinute: 0, noise: 10, grows: false },
    { name: "the same but for garbage", perMinute: 0, noise: 60, grows: false },
    { name: "10 MB more each minute", perMinute: 10, noise: 20, grows: true },
  ])("tells that memory grows: $name", ({ perMinute, noise, grows }, { expect }) => {
    const samples = Array.from({ length: 300 }, (_, index) => ({
      seconds: index * 2,
      megabytes: 200 + (index / 30) * perMinute + (index % 7) * (noise / 7),
    }));
    expect(growthOf(samples)?.grows).toBe(grows);
  });

  it("says nothing of memory after a short run", ({ expect }) => {
    expect(growthOf([{ seconds: 61, megabytes: 1 }])).toBeUndefined();
  });

  it("compares what is left when garbage is collected", ({ expect }) => {
    const sawtooth = Array.from({ length: 240 }, (_, index) => ({
      seconds: index,
      megabytes: 200 + (index % 40),
    }));
    expect(floorsOf(sawtooth)).toEqual([200, 200, 200, 200]);
  });
});
