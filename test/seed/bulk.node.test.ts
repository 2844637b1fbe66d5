import { afterEach, describe, it, vi } from "vitest";
import { seedDemo } from "../../dev/seed/demo.ts";
import { fill, type FillProgress } from "../../dev/seed/fill.ts";
import type { BulkOptions } from "../../dev/seed/options.ts";
import { type ScratchDatabase, scratchDatabase, wrongCounters } from "./scratch.ts";

const SILENT: FillProgress = { onRows: () => {}, onTable: () => {} };
const NEVER = new AbortController().signal;

function small(database: ScratchDatabase, change: Partial<BulkOptions> = {}): BulkOptions {
  const { mysqlUrl } = database;
  return { mysqlUrl, users: 20, posts: 300, comments: 3_000, likes: 800, seed: 1, connections: 3, ...change };
}

const FINGERPRINT = `
  select (select md5(group_concat(md5(concat(id, board_id, author_id, title, content, excerpt, view_count)) order by id separator '')) from posts) posts,
    (select md5(group_concat(md5(concat(id, post_id, author_id, content)) order by id separator '')) from comments) comments,
    (select md5(group_concat(md5(concat(id, user_id, target_type, target_id)) order by id separator '')) from likes) likes,
    (select md5(group_concat(concat(id, username) order by id separator '')) from users) users`;

const EARLY_COMMENTS =
  "select count(*) as n from comments c join posts p on p.id = c.post_id where c.created_at < p.created_at";

async function fingerprint({ rows }: ScratchDatabase) {
  await rows("set session group_concat_max_len = 10000000");
  return rows(FINGERPRINT);
}

afterEach(() => {
  vi.unstubAllEnvs();
});

describe("seeding for load tests", () => {
  it("writes what was asked for, with exact counters", async ({ expect }) => {
    const database = await scratchDatabase();
    const report = await fill(small(database), SILENT, NEVER);
    expect(report.rows).toEqual({ users: 20, posts: 300, comments: 3_000, likes: 800 });
    for (const [table, count] of Object.entries(report.rows)) {
      expect(await database.rows(`select count(*) as n from ${table}`), table).toEqual([{ n: count }]);
    }
    expect(await wrongCounters(database)).toEqual([]);
  });

  it("adds to what is there and leaves it as it is", async ({ expect }) => {
    const database = await scratchDatabase();
    await seedDemo(database.databaseUrl, 4);
    const demo = "select id, title, content, comment_count, like_count, created_at from posts where id <= 12";
    const before = await database.rows(demo);
    await fill(small(database), SILENT, NEVER);
    await fill(small(database, { seed: 2 }), SILENT, NEVER);
    expect(await database.rows(demo)).toEqual(before);
    expect(await database.rows("select count(*) as n, max(id) as last from posts")).toEqual([
      { n: 612, last: 612 },
    ]);
    expect(await database.rows("select count(*) as n from boards")).toEqual([{ n: 4 }]);
    expect(await wrongCounters(database)).toEqual([]);
  });

  it("writes the same for the same seed, and something else for another", async ({ expect }) => {
    const [one, two, three] = [await scratchDatabase(), await scratchDatabase(), await scratchDatabase()];
    await fill(small(one, { connections: 1 }), SILENT, NEVER);
    await fill(small(two, { connections: 4 }), SILENT, NEVER);
    await fill(small(three, { seed: 2 }), SILENT, NEVER);
    const [first] = await fingerprint(one);
    expect(await fingerprint(two)).toEqual([first]);
    const [other] = await fingerprint(three);
    for (const table of ["posts", "comments", "likes", "users"]) {
      expect(other?.[table], table).not.toBe(first?.[table]);
    }
  });

  it("spreads rows over a year in the order of their ids, and nothing precedes what it answers", async ({
    expect,
  }) => {
    const database = await scratchDatabase();
    await fill(small(database), SILENT, NEVER);
    for (const table of ["users", "posts", "comments", "likes"]) {
      const disorder = `select count(*) as n from ${table} a join ${table} b on b.id = a.id + 1 where b.created_at < a.created_at`;
      expect(await database.rows(disorder), table).toEqual([{ n: 0 }]);
    }
    const [span] = await database.rows(
      "select datediff(max(created_at), min(created_at)) as days, max(created_at) <= utc_timestamp(3) as past from posts",
    );
    expect(span).toEqual({ days: expect.toSatisfy((days: number) => days >= 360), past: 1 });
    expect(await database.rows(EARLY_COMMENTS)).toEqual([{ n: 0 }]);
  });

  it("gives a few posts very many comments and texts of many lengths and scripts", async ({ expect }) => {
    const database = await scratchDatabase();
    await fill(small(database, { posts: 1_000, comments: 5_000 }), SILENT, NEVER);
    const [skew] = await database.rows(
      "select max(comment_count) as most, avg(comment_count) as mean from posts",
    );
    expect(Number(skew?.["most"])).toBeGreaterThan(20 * Number(skew?.["mean"]));
    const [lengths] = await database.rows(
      "select max(char_length(content)) / min(char_length(content)) as spread, sum(content like '%😅%') as emoji, sum(content like '%설정%') as hangul, sum(content like '%<script>%') as markup, sum(content like '%C:\\\\\\\\maps%') as backslashes, sum(content like concat('%', char(10), char(10), '%')) as paragraphs from posts",
    );
    for (const [what, value] of Object.entries(lengths ?? {})) {
      expect(Number(value), what).toBeGreaterThan(what === "spread" ? 10 : 0);
    }
  });

  it("lets existing users write and comments go to existing posts, in any time zone", async ({ expect }) => {
    vi.stubEnv("TZ", "Asia/Seoul");
    const database = await scratchDatabase();
    await seedDemo(database.databaseUrl, 4);
    const report = await fill(
      small(database, { users: 0, posts: 0, comments: 500, likes: 100 }),
      SILENT,
      NEVER,
    );
    expect(report.rows).toEqual({ users: 0, posts: 0, comments: 500, likes: 100 });
    expect(
      await database.rows("select count(*) as n, min(comment_count > 0) as answered from posts"),
    ).toEqual([{ n: 12, answered: 1 }]);
    expect(await database.rows(EARLY_COMMENTS)).toEqual([{ n: 0 }]);
    expect(await wrongCounters(database)).toEqual([]);
  });

  it("keeps the counters exact when it is stopped half-way", async ({ expect }) => {
    const database = await scratchDatabase();
    const stop = new AbortController();
    const onRows: FillProgress["onRows"] = (table) => {
      if (table === "comments") stop.abort();
    };
    const options = small(database, { comments: 100_000, likes: 0 });
    const { rows } = await fill(options, { ...SILENT, onRows }, stop.signal);
    expect(rows.posts).toBe(300);
    expect(rows.comments).toSatisfy((count: number) => count > 0 && count < 100_000);
    expect(await database.rows("select count(*) as n from comments")).toEqual([{ n: rows.comments }]);
    expect(await wrongCounters(database)).toEqual([]);
  });

  it("leaves a row that is written meanwhile its own id", async ({ expect }) => {
    const database = await scratchDatabase();
    const meanwhile: Promise<unknown>[] = [];
    const onRows: FillProgress["onRows"] = (table) => {
      if (table !== "posts" || meanwhile.length > 0) return;
      meanwhile.push(
        database.rows(
          "insert into posts (board_id, author_id, title, content, excerpt, created_at, updated_at) values (1, 1, 'meanwhile', '', '', now(), now())",
        ),
      );
    };
    await fill(small(database, { posts: 5_000, comments: 0, likes: 0 }), { ...SILENT, onRows }, NEVER);
    await Promise.all(meanwhile);
    expect(await database.rows("select id from posts where title = 'meanwhile'")).toEqual([{ id: 5_001 }]);
  });

  it("likes nothing twice, even where everybody likes everything", async ({ expect }) => {
    const database = await scratchDatabase();
    const crowded = small(database, { users: 4, posts: 100, comments: 100, likes: 400 });
    expect((await fill(crowded, SILENT, NEVER)).rows.likes).toBe(400);
    expect(await wrongCounters(database)).toEqual([]);
  });

  it.for([
    [
      "more likes than there can be",
      { users: 2, posts: 10, comments: 0, likes: 11 },
      /--likes 11 is too many/,
    ],
    ["no users", { users: 0, posts: 10, comments: 0, likes: 0 }, /no users who could write/],
    ["no posts", { users: 10, posts: 0, comments: 10, likes: 0 }, /no posts to comment on/],
  ] as const)("is refused before anything is written: %s", async ([, change, message], { expect }) => {
    const database = await scratchDatabase();
    await expect(fill(small(database, change), SILENT, NEVER)).rejects.toThrow(message);
    const left =
      "select (select count(*) from users) + (select count(*) from posts) + (select count(*) from boards) as n";
    expect(await database.rows(left)).toEqual([{ n: 0 }]);
  });

  it("names what is wrong with the database", async ({ expect }) => {
    const empty = await scratchDatabase({ migrated: false });
    await expect(fill(small(empty), SILENT, NEVER)).rejects.toThrow(/no tables yet/);
    const refused = async (change: (url: URL) => void): Promise<unknown> => {
      const url = new URL(empty.mysqlUrl);
      change(url);
      return fill(small(empty, { mysqlUrl: url.href }), SILENT, NEVER);
    };
    await expect(refused((url) => (url.password = "wrong"))).rejects.toThrow(
      /refuses the user or the password/,
    );
    await expect(refused((url) => (url.pathname = "/elsewhere"))).rejects.toThrow(/no database elsewhere/);
    await expect(refused((url) => (url.port = "1"))).rejects.toThrow(/cannot be reached \(ECONNREFUSED\)/);
  });
});
