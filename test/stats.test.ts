/** Daily statistics over REST: days of time zones, what is refused, what a query costs. */
import { createExecutionContext, createScheduledController, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { sql } from "drizzle-orm";
import { beforeAll, describe, it } from "vitest";
import { addDays } from "../src/common/time-zone.ts";
import { activityRollups } from "../src/db/schema/stats.ts";
import worker from "../src/index.ts";
import type { DailyStats } from "../src/stats/schema.ts";
import { anonymous } from "./support/client.ts";
import { db } from "./support/database.ts";
import { bodyOf } from "./support/factories.ts";
import { comment, home, like, newPost, newSeed, randomNumbers } from "./support/threads.ts";
import { roundTrips, statements, watchUpstreams } from "./support/upstreams.ts";

const QUARTER_MS = 900_000;
const DAY_MS = 86_400_000;
const COUNTS = ["posts", "comments", "likes", "users"] as const;

type Item = DailyStats["items"][number];
type Row = { bucket: Date } & Record<(typeof COUNTS)[number], number>;

async function rollUp(): Promise<void> {
  const context = createExecutionContext();
  await worker.scheduled(createScheduledController({ cron: "*/15 * * * *" }), env, context);
  await waitOnExecutionContext(context);
}

const daily = (query: string) => anonymous().get<DailyStats>(`/api/stats/daily?${query}`);
async function days(from: string, to: string, timeZone = "UTC"): Promise<Item[]> {
  const query = `from=${from}&to=${to}&timeZone=${encodeURIComponent(timeZone)}`;
  return bodyOf(await daily(query), 200).items;
}

const today = () => new Date().toISOString().slice(0, 10);

/** Puts rollups of the past into the table. Tests keep to years of their own. */
async function store(rows: Row[]): Promise<void> {
  for (let at = 0; at < rows.length; at += 1_000) {
    const chunk = rows.slice(at, at + 1_000).map((row) => Object.assign({ updatedAt: new Date() }, row));
    await db.insert(activityRollups).values(chunk);
  }
}

/** One row for each quarter of an hour of `[from, to)`, each with one post. */
function everyQuarter(from: number, to: number): Row[] {
  const count = (to - from) / QUARTER_MS;
  return Array.from({ length: count }, (_, index) => ({
    bucket: new Date(from + index * QUARTER_MS),
    posts: 1,
    comments: 0,
    likes: 0,
    users: 0,
  }));
}

/** Sums by the date that a clock in the zone shows, from `Intl` alone. */
function sums(rows: Row[], timeZone: string, from: string, to: string): Item[] {
  const format = new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short" });
  const items = new Map<string, Item>();
  for (let date = from; date <= to; date = addDays(date, 1)) {
    items.set(date, { date, posts: 0, comments: 0, likes: 0, users: 0 });
  }
  for (const row of rows) {
    const item = items.get(format.format(row.bucket));
    if (item) for (const name of COUNTS) item[name] += row[name];
  }
  return [...items.values()];
}

// The schedule goes on from the newest rollup: there must be one of today before there are some of years ago.
beforeAll(async () => {
  await home();
  await rollUp();
});

describe("GET /stats/daily", () => {
  it("tells what was made today, once the schedule has counted it, again and again the same", async ({
    expect,
  }) => {
    const date = today();
    const [before] = await days(date, date);
    const { id, author } = await newPost();
    await comment(author, id);
    await like(author.client, { type: "post", id });
    await rollUp();
    const [after] = await days(date, date);
    // Other files of tests make things too.
    for (const name of COUNTS.slice(0, 3)) expect(after?.[name]).toBeGreaterThan(before?.[name] ?? Infinity);
    expect(after?.users).toBeGreaterThan(0);
  });

  it("shows the last 30 days by default, the oldest first, in UTC", async ({ expect }) => {
    const { items } = bodyOf(await daily(""), 200);
    const last = items.at(-1)?.date ?? "";
    expect([addDays(today(), -1), today()]).toContain(last);
    expect(items.map(({ date }) => date)).toEqual(
      Array.from({ length: 30 }, (_, index) => addDays(last, index - 29)),
    );
  });

  it("ends today where no last day is given, and begins 29 days before where no first is", async ({
    expect,
  }) => {
    const dates = async (query: string) => bodyOf(await daily(query), 200).items.map(({ date }) => date);
    const upTo = await dates("to=2016-03-30");
    expect([upTo.length, upTo[0], upTo.at(-1)]).toEqual([30, "2016-03-01", "2016-03-30"]);
    const since = await dates(`from=${addDays(today(), -3)}`);
    expect(since.at(-1)).toBe(today());
  });

  it("shows days without anything as 0", async ({ expect }) => {
    expect(await days("1985-02-27", "1985-03-01")).toEqual(
      ["1985-02-27", "1985-02-28", "1985-03-01"].map((date) => ({
        date,
        posts: 0,
        comments: 0,
        likes: 0,
        users: 0,
      })),
    );
  });

  it.for([
    { zone: "UTC", date: "2001-03-25", quarters: [96, 96, 96] },
    { zone: "Asia/Seoul", date: "2002-03-25", quarters: [96, 96, 96] },
    { zone: "Asia/Kathmandu", date: "2003-03-25", quarters: [96, 96, 96] },
    { zone: "America/New_York", date: "2019-03-10", quarters: [96, 92, 96] },
    { zone: "America/New_York", date: "2019-11-03", quarters: [96, 100, 96] },
    { zone: "Australia/Lord_Howe", date: "2018-10-07", quarters: [96, 94, 96] },
    { zone: "Australia/Lord_Howe", date: "2018-04-01", quarters: [96, 98, 96] },
    { zone: "Africa/Casablanca", date: "2020-04-19", quarters: [96, 100, 96] },
    { zone: "Africa/Casablanca", date: "2020-05-31", quarters: [96, 92, 96] },
    { zone: "America/Santiago", date: "2022-09-11", quarters: [96, 92, 96] },
    { zone: "America/Havana", date: "2021-11-07", quarters: [96, 100, 96] },
  ])(
    "gives $date in $zone as many quarters of an hour as it has",
    async ({ zone, date, quarters }, { expect }) => {
      const noon = Date.parse(`${date}T12:00:00Z`);
      await store(everyQuarter(noon - 3 * DAY_MS, noon + 3 * DAY_MS));
      const items = await days(addDays(date, -1), addDays(date, 1), zone);
      expect(items.map(({ posts }) => posts)).toEqual(quarters);
      // Each day alone is the same as within the range.
      for (const item of items) expect(await days(item.date, item.date, zone)).toEqual([item]);
    },
  );

  it("sums to what the table holds, over a year with both changes, in every zone", async ({ expect }) => {
    const seed = newSeed();
    const random = randomNumbers(seed);
    const start = Date.UTC(2007, 11, 25);
    const rows = new Map<number, Row>();
    for (let count = 0; count < 1_500; count += 1) {
      const at = start + Math.floor(random() * 380 * 96) * QUARTER_MS;
      const number = () => Math.floor(random() * 50);
      rows.set(at, {
        bucket: new Date(at),
        posts: number(),
        comments: number(),
        likes: number(),
        users: number(),
      });
    }
    const all = [...rows.values()];
    await store(all);
    for (const zone of [
      "UTC",
      "Asia/Seoul",
      "America/New_York",
      "Australia/Lord_Howe",
      "Africa/Casablanca",
      "Pacific/Kiritimati",
      "Pacific/Pago_Pago",
      "Asia/Kathmandu",
    ]) {
      const items = await days("2008-01-01", "2008-12-31", zone);
      expect(items, `${zone}, seed ${seed}`).toEqual(sums(all, zone, "2008-01-01", "2008-12-31"));
      expect(items).toHaveLength(366);
    }
  });

  it("reads the rollups alone, in one statement, whatever the range and the zone", async ({ expect }) => {
    const watch = watchUpstreams();
    for (const query of ["", "from=2008-01-01&to=2008-12-31&timeZone=America/New_York"]) {
      const { calls } = await watch.during(() => daily(query));
      const texts = statements(calls);
      expect([texts.length, roundTrips(calls)]).toEqual([1, 1]);
      const { rows } = await db.execute(sql.raw(`explain ${texts[0]}`));
      expect((rows as { table: string; key: string }[]).map(({ table, key }) => [table, key])).toEqual([
        ["activity_rollups", "PRIMARY"],
      ]);
    }
  });

  it.for([
    { rule: "367 days", query: "from=2027-01-01&to=2028-01-02", path: "to" },
    { rule: "a reversed range", query: "from=2026-01-02&to=2026-01-01", path: "to" },
    { rule: "a day that there is not", query: "from=2026-02-29&to=2026-03-01", path: "from" },
    { rule: "a month that there is not", query: "from=2026-01-01&to=2026-13-01", path: "to" },
    { rule: "a time", query: "from=2026-01-01T00:00:00Z", path: "from" },
    { rule: "another spelling", query: "to=2026-1-1", path: "to" },
    { rule: "an empty day", query: "from=", path: "from" },
    { rule: "SQL", query: "from=2026-01-01'--", path: "from" },
    { rule: "a zone that there is not", query: "timeZone=Mars/Olympus", path: "timeZone" },
    { rule: "an offset for a zone", query: "timeZone=%2B09:00", path: "timeZone" },
    { rule: "an empty zone", query: "timeZone=", path: "timeZone" },
    { rule: "a zone of 65 characters", query: `timeZone=${"x".repeat(65)}`, path: "timeZone" },
    { rule: "SQL for a zone", query: "timeZone=UTC'%20or%201=1", path: "timeZone" },
  ])("refuses $rule", async ({ query, path }, { expect }) => {
    const { status, body } = await anonymous().get(`/api/stats/daily?${query}`);
    expect([status, body.code, body.errors?.[0]?.path]).toEqual([422, "validation_failed", path]);
  });

  it("takes 366 days, and one", async ({ expect }) => {
    expect(await days("2027-01-01", "2028-01-01")).toHaveLength(366);
    expect(await days("2027-01-01", "2027-01-01")).toHaveLength(1);
  });

  it.for([
    "to=9999-12-31",
    "from=9999-12-31",
    "from=9999-12-31&to=9999-12-31",
    "to=0001-01-01",
    "from=0001-01-01&to=0001-01-02",
    "from=0000-01-01&to=0000-01-02",
    "from=0050-06-01&to=0050-06-03",
    "from=1000-01-01&to=1000-01-02",
  ])("answers %s in every zone without a fault of its own", async (query, { expect }) => {
    for (const zone of ["UTC", "America/New_York", "Pacific/Kiritimati"]) {
      const { status, body } = await daily(`${query}&timeZone=${zone}`);
      expect([200, 422]).toContain(status);
      if (status === 200) {
        const dates = body.items.map(({ date }) => date);
        expect(dates).toEqual(dates.map((_, index) => addDays(dates[0] ?? "", index)));
        expect(dates.every((date) => /^\d{4}-\d\d-\d\d$/.test(date))).toBe(true);
      }
    }
  });
});
