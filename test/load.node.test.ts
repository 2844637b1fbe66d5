/** A short run of `npm run load`: mixed traffic with sockets that come and go. How memory behaves takes the long one. */
import { randomInt, randomUUID } from "node:crypto";
import mysql, { type ResultSetHeader } from "mysql2/promise";
import { afterAll, beforeAll, describe, inject, it } from "vitest";
import { floorsOf, growthOf } from "../dev/load/memory.ts";
import { createRoomRecord } from "../dev/load/room-record.ts";
import { runLoad } from "../dev/load/run.ts";
import { type LiveWorker, startLiveWorker } from "./support/node/live-worker.ts";

let worker: LiveWorker;
let boardId: number;

beforeAll(async () => {
  worker = await startLiveWorker();
  const database = await mysql.createConnection(inject("cloud").mysql);
  const [{ insertId }] = await database.query<ResultSetHeader>(
    "insert into boards (name, slug, description, created_at) values ('Load', ?, '', now(3))",
    [`load-${randomUUID()}`],
  );
  await database.end();
  boardId = insertId;
});
afterAll(async () => {
  await worker.close();
});

describe("mixed traffic", () => {
  it(
    "is answered without an error, and every socket has every event in order",
    { timeout: 240_000 },
    async ({ expect }) => {
      const seed = randomInt(1, 2 ** 31);
      const { tally, visits, events, faults } = await runLoad({
        url: worker.url,
        databaseUrl: inject("cloud").settings.DATABASE_URL ?? "",
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

describe("what is watched", () => {
  const person = { id: 1, email: "", password: "", accessToken: "" };
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
