/** How statistics are counted: a forum of the test's own, in a database of its own, with a clock of its own. */
import { drizzle } from "drizzle-orm/planetscale-serverless";
import { Client } from "@planetscale/database";
import mysql, { type RowDataPacket } from "mysql2/promise";
import { afterAll, beforeAll, describe, inject, it } from "vitest";
import { migrate } from "../dev/cloud/migrate.ts";
import { startPlanetscaleGateway } from "../dev/gateways/planetscale/gateway.ts";
import type { Gateway } from "../dev/gateways/server.ts";
import { comments } from "../src/db/schema/comments.ts";
import { likes } from "../src/db/schema/likes.ts";
import { posts } from "../src/db/schema/posts.ts";
import { users } from "../src/db/schema/users.ts";
import { createStatsRepository } from "../src/stats/repository.ts";
import { createStatsService } from "../src/stats/service.ts";

const MINUTE_MS = 60_000;
const QUARTER_MS = 15 * MINUTE_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const TABLES = ["posts", "comments", "likes", "users"] as const;

const suite = new URL(inject("cloud").mysql);
const address = {
  host: suite.hostname,
  port: Number(suite.port),
  user: decodeURIComponent(suite.username),
  password: decodeURIComponent(suite.password),
};
const database = `${suite.pathname.slice(1)}_stats_${crypto.randomUUID().slice(0, 8)}`;
let gateway: Gateway;
let direct: mysql.Connection;
let statements = 0;
let url = "";

beforeAll(async () => {
  direct = await mysql.createConnection({ ...address, timezone: "Z" });
  await direct.query(`create database \`${database}\``);
  await direct.query(`use \`${database}\``);
  gateway = await startPlanetscaleGateway({
    port: 0,
    mysql: { ...address, database },
    username: "user",
    password: "secret",
  });
  url = gateway.url.replace("http://", "http://user:secret@");
  await migrate(url);
});

afterAll(async () => {
  await gateway.close();
  await direct.query(`drop database \`${database}\``);
  await direct.end();
});

/** An empty forum at a point in time that the test moves. */
async function forum(start: string) {
  for (const table of [...TABLES, "activity_rollups"]) await direct.query(`delete from \`${table}\``);
  const clock = { now: Date.parse(start) };
  const client = new Client({
    url,
    fetch: (input, init) => {
      statements += 1;
      return fetch(input, init);
    },
  });
  const service = createStatsService({
    repository: createStatsRepository(drizzle({ client })),
    now: () => new Date(clock.now),
  });
  return { clock, service };
}

let serial = 0;

/** Makes something at times (milliseconds since the epoch). */
async function make(table: (typeof TABLES)[number], ...times: number[]): Promise<void> {
  const db = drizzle({ client: new Client({ url }) });
  const rows = times.map((at) => {
    serial += 1;
    const time = new Date(at);
    return { userId: serial, content: "c", createdAt: time, updatedAt: time };
  });
  switch (table) {
    case "posts":
      await db
        .insert(posts)
        .values(rows.map((row) => ({ ...row, boardId: 1, authorId: 1, title: "t", excerpt: "c" })));
      break;
    case "comments":
      await db.insert(comments).values(rows.map((row) => ({ ...row, postId: 1, authorId: 1 })));
      break;
    case "likes":
      await db
        .insert(likes)
        .values(rows.map((row) => ({ ...row, targetType: "post" as const, targetId: 1, postId: 1 })));
      break;
    case "users":
      await db.insert(users).values(rows);
      break;
  }
}

/** What the rollups hold, `[bucket, posts, comments, likes, users]`, without rows of zeros. */
async function rollups(): Promise<unknown[]> {
  const [rows] = await direct.query<RowDataPacket[]>(
    "select bucket, posts, comments, likes, users from activity_rollups order by bucket",
  );
  return rows
    .map((row) => [(row["bucket"] as Date).toISOString(), ...TABLES.map((table) => Number(row[table]))])
    .filter(([, ...counts]) => counts.some((count) => count !== 0));
}

/** What all rollups hold together, and what the tables do. */
async function totals(): Promise<{ counted: Record<string, number>; made: Record<string, number> }> {
  const counted: Record<string, number> = {};
  const made: Record<string, number> = {};
  for (const table of TABLES) {
    const [rows] = await direct.query<RowDataPacket[]>(
      `select (select count(*) from \`${table}\`) as made, (select coalesce(sum(\`${table}\`), 0) from activity_rollups) as counted`,
    );
    made[table] = Number(rows[0]?.["made"]);
    counted[table] = Number(rows[0]?.["counted"]);
  }
  return { counted, made };
}

/** Runs the schedule every quarter of an hour up to a time. */
async function runUntil(
  { clock, service }: Awaited<ReturnType<typeof forum>>,
  until: number,
  step = QUARTER_MS,
): Promise<void> {
  for (; clock.now < until; clock.now += step) await service.rollUp();
  clock.now = until;
  await service.rollUp();
}

describe("the roll-up", () => {
  it("counts everything once, into the quarter of an hour that it was made in", async ({ expect }) => {
    const { clock, service } = await forum("2026-11-22T12:00:00.000Z");
    const at = (time: string) => Date.parse(`2026-11-22T${time}Z`);
    await make("users", at("10:00:00.000"));
    await make("users", at("10:14:59.999"));
    await make("posts", at("10:15:00.000"));
    await make("comments", at("11:59:59.999"));
    await make("likes", at("11:45:00.000"));
    await service.rollUp();
    const expected = [
      ["2026-11-22T10:00:00.000Z", 0, 0, 0, 2],
      ["2026-11-22T10:15:00.000Z", 1, 0, 0, 0],
      ["2026-11-22T11:45:00.000Z", 0, 1, 1, 0],
    ];
    expect(await rollups()).toEqual(expected);
    for (let run = 0; run < 3; run += 1) await service.rollUp();
    await Promise.all([service.rollUp(), service.rollUp()]);
    clock.now += 30 * MINUTE_MS;
    await service.rollUp();
    expect(await rollups()).toEqual(expected);
  });

  it("does nothing where there is nothing", async ({ expect }) => {
    const { service } = await forum("2026-11-22T12:00:00.000Z");
    await service.rollUp();
    expect(await rollups()).toEqual([]);
    expect((await service.daily({ from: "2026-11-22", to: "2026-11-22", timeZone: "UTC" })).items).toEqual([
      { date: "2026-11-22", posts: 0, comments: 0, likes: 0, users: 0 },
    ]);
  });

  it("counts what becomes visible late, within two hours of the time that it carries", async ({ expect }) => {
    const one = await forum("2026-11-22T12:00:00.000Z");
    const start = one.clock.now;
    await make("users", start - DAY_MS);
    await make("posts", start - MINUTE_MS);
    await runUntil(one, start + HOUR_MS);
    await make("comments", start - 30 * MINUTE_MS);
    await make("likes", start - 50 * MINUTE_MS);
    await runUntil(one, start + HOUR_MS + QUARTER_MS);
    const { counted, made } = await totals();
    expect(counted).toEqual(made);
  });

  it("counts the hours in which a quiet forum wakes up again, late ones included", async ({ expect }) => {
    const one = await forum("2026-11-01T12:00:00.000Z");
    await make("users", one.clock.now - MINUTE_MS);
    await one.service.rollUp();
    await runUntil(one, one.clock.now + 3 * DAY_MS, 6 * HOUR_MS);
    for (let count = 0; count < 8; count += 1) {
      await make("posts", one.clock.now - 2 * MINUTE_MS);
      await runUntil(one, one.clock.now + QUARTER_MS);
    }
    const { counted, made } = await totals();
    expect([counted, made["posts"]]).toEqual([made, 8]);
  });

  it.for([3, 30, 32, 100])(
    "catches up after a pause of %i days in which much happened",
    async (days, { expect }) => {
      const one = await forum("2026-01-01T00:00:00.000Z");
      const { clock, service } = one;
      await make("users", clock.now - MINUTE_MS);
      await service.rollUp();
      const evening = clock.now + DAY_MS - 5 * HOUR_MS;
      await make("comments", ...Array.from({ length: days }, (_, day) => evening + day * DAY_MS));
      clock.now += days * DAY_MS;
      for (let run = 0; run < 8; run += 1) await runUntil(one, clock.now + QUARTER_MS);
      const { counted, made } = await totals();
      expect(counted).toEqual(made);
    },
  );

  it.for([20, 31, 32, 45, 200])(
    "goes on after %i days in which nobody did anything",
    async (days, { expect }) => {
      const one = await forum("2026-01-01T00:00:00.000Z");
      const { clock } = one;
      await make("users", clock.now - MINUTE_MS);
      await one.service.rollUp();
      await runUntil(one, clock.now + days * DAY_MS, 5 * DAY_MS);
      await make("posts", clock.now - MINUTE_MS);
      for (let run = 0; run < 10; run += 1) await runUntil(one, clock.now + QUARTER_MS);
      const { counted, made } = await totals();
      expect(counted).toEqual(made);
    },
  );

  it("costs three statements at most", async ({ expect }) => {
    const { clock, service } = await forum("2026-11-22T12:00:00.000Z");
    await make("users", clock.now - DAY_MS);
    for (let run = 0; run < 3; run += 1) {
      statements = 0;
      await service.rollUp();
      expect(statements).toBeLessThanOrEqual(3);
      clock.now += QUARTER_MS;
    }
  });

  it("makes sums that are the tables', day by day, in any zone", async ({ expect }) => {
    const one = await forum("2026-03-05T00:00:00.000Z");
    const start = one.clock.now;
    const seed = Math.floor(Math.random() * 2 ** 31);
    let state = seed;
    const random = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
    const made: { table: (typeof TABLES)[number]; at: number }[] = [{ table: "users", at: start }];
    for (let count = 0; count < 400; count += 1) {
      const table = TABLES[Math.floor(random() * TABLES.length)] ?? "posts";
      made.push({ table, at: start + Math.floor(random() * 28 * DAY_MS) });
    }
    for (const name of TABLES) {
      await make(name, ...made.filter(({ table }) => table === name).map(({ at }) => at));
    }
    one.clock.now = start + 28 * DAY_MS;
    for (let run = 0; run < 4; run += 1) await one.service.rollUp();
    for (const timeZone of [
      "UTC",
      "Asia/Seoul",
      "America/New_York",
      "Australia/Lord_Howe",
      "Africa/Casablanca",
    ]) {
      const format = new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short" });
      const { items } = await one.service.daily({ from: "2026-03-04", to: "2026-04-03", timeZone });
      for (const { date, ...counts } of items) {
        const mine = made.filter(({ at }) => format.format(at) === date);
        const expected = Object.fromEntries(
          TABLES.map((name) => [name, mine.filter(({ table }) => table === name).length]),
        );
        expect([timeZone, date, counts], `seed ${seed}`).toEqual([timeZone, date, expected]);
      }
      const sum = items.reduce((all, item) => all + TABLES.reduce((each, name) => each + item[name], 0), 0);
      expect(sum).toBe(made.length);
    }
  });
});
