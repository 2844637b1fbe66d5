/**
 * Every list reads one index in its order, and no more rows than it shows: on the first page and deep inside, among rows
 * that are deleted, belong to others or have ended. Statements are those that the repositories send.
 */
import type { RowDataPacket } from "mysql2/promise";
import { beforeAll, describe, it } from "vitest";
import { createAuthRepository } from "../src/auth/repository.ts";
import { createBoardsRepository } from "../src/boards/repository.ts";
import { createCommentsRepository } from "../src/comments/repository.ts";
import type { Db } from "../src/db/client.ts";
import { createHealthRepository } from "../src/health/repository.ts";
import { createPostListsRepository } from "../src/posts/lists-repository.ts";
import { createPostsRepository } from "../src/posts/repository.ts";
import { analyse, type Cost, costOf, database, fill } from "./support/node/plans.ts";

const POSTS = 12_000;
/** Of the newest posts, all are deleted: a list must not wade through them. */
const DELETED = 3_000;
const SESSIONS = 3_000;
const BOARDS = 1_000;
const COMMENTS = 6_000;
/** Nearly everything happens on one board, by one author. */
const [BOARD, AUTHOR, POST] = [1, 1, 2];
const LIMIT = 21;

const at = new Date("2026-11-20T00:00:00Z");
const now = new Date("2026-11-22T00:00:00Z");
const future = new Date("2026-12-22T00:00:00Z");
const past = new Date("2026-11-01T00:00:00Z");

beforeAll(async () => {
  await fill("users", ["username", "email", "username_key", "created_at"], 500, (index) => [
    `user${index}`,
    `user${index}@example.com`,
    String(index).padStart(64, "0"),
    at,
  ]);
  await fill("boards", ["name", "slug", "description", "position", "created_at"], BOARDS, (index) => [
    `Board ${index}`,
    `board-${index}`,
    "",
    index % 50,
    at,
  ]);
  await fill(
    "posts",
    [
      "board_id",
      "author_id",
      "title",
      "content",
      "excerpt",
      "counted",
      "created_at",
      "updated_at",
      "deleted_at",
    ],
    POSTS,
    (index) => [
      index % 10 === 0 ? 2 : BOARD,
      index % 7 === 0 ? 2 + (index % 400) : AUTHOR,
      "title",
      "content",
      "excerpt",
      true,
      past,
      past,
      index >= POSTS - DELETED || index % 3 === 0 ? at : null,
    ],
  );
  await fill(
    "comments",
    ["post_id", "author_id", "content", "counted", "created_at", "updated_at", "deleted_at"],
    COMMENTS,
    (index) => [
      index % 10 === 0 ? 3 : POST,
      index % 7 === 0 ? 2 : AUTHOR,
      "content",
      true,
      past,
      past,
      index >= COMMENTS - 1_000 || index % 3 === 0 ? at : null,
    ],
  );
  await fill(
    "likes",
    ["user_id", "target_type", "target_id", "post_id", "active", "created_at", "updated_at"],
    4_000,
    (index) => [AUTHOR, index % 2 === 0 ? "post" : "comment", index + 1, 1, index % 3 !== 0, at, at],
  );
  await fill(
    "sessions",
    ["user_id", "nonce", "epoch", "device_label", "created_at", "last_used_at", "expires_at"],
    SESSIONS,
    (index) => [index % 10 === 0 ? 2 : AUTHOR, "0".repeat(32), 1, "curl", at, at, future],
  );
  await analyse("users", "boards", "posts", "comments", "likes", "sessions");
});

type List = {
  name: string;
  table: string;
  index: string;
  page: (db: Db, before: number | undefined) => Promise<unknown>;
  /** A cursor deep inside. */
  deep: number;
};

const postList = (name: string, index: string, filter: { boardId?: number; authorId?: number }): List => ({
  name,
  table: "posts",
  index,
  page: (db, before) => createPostListsRepository(db).list(filter, LIMIT, before, AUTHOR),
  deep: 500,
});

const LISTS: List[] = [
  postList("posts of the forum", "posts_latest", {}),
  postList("posts of a board", "posts_board", { boardId: BOARD }),
  postList("posts of an author", "posts_author", { authorId: AUTHOR }),
  postList("posts of an author on a board", "posts_author_board", { authorId: AUTHOR, boardId: BOARD }),
  {
    name: "comments of a post",
    table: "comments",
    index: "comments_post",
    page: (db, after) => createCommentsRepository(db).listOfPost(POST, LIMIT, after, AUTHOR),
    deep: COMMENTS - 500,
  },
  {
    name: "comments of an author",
    table: "comments",
    index: "comments_author",
    page: (db, before) => createCommentsRepository(db).listOfAuthor(AUTHOR, LIMIT, before, AUTHOR),
    deep: 500,
  },
  {
    name: "boards in their order",
    table: "boards",
    index: "boards_order",
    page: (db, after) =>
      createBoardsRepository(db).list(LIMIT, after === undefined ? undefined : { position: after, id: 900 }),
    deep: 45,
  },
  {
    name: "sessions of a user",
    table: "sessions",
    index: "sessions_user",
    page: (db, before) => createAuthRepository(db).listSessions(AUTHOR, now, LIMIT, before),
    deep: 300,
  },
];

/** The row of the plan that reads the list itself; an alias or a quoted name counts as the table. */
const planOf = (cost: Cost, table: string) => cost.plan.find((row) => row.table === table);

describe.for(LISTS)("the list of $name", ({ table, index, page, deep }) => {
  it.for([
    { name: "the first page", before: undefined },
    { name: "a page deep inside", before: deep },
  ])("reads its index in order on $name, and no more rows than it shows", async ({ before }, { expect }) => {
    const cost = await costOf((db) => page(db, before));
    expect(planOf(cost, table)?.key, cost.sql).toBe(index);
    for (const row of cost.plan) {
      expect(row.extra).not.toMatch(/filesort|temporary|join buffer|index_merge|sort_union/i);
      // Everything beside the list is looked up by a key, never read through.
      expect(row.key, JSON.stringify(row)).not.toBeNull();
      if (row.table !== table) expect(["const", "eq_ref", "ref", "system"]).toContain(row.type);
    }
    // The row itself, its board, its author, its like, and the count of what is not counted yet.
    expect(cost.rowsRead).toBeLessThanOrEqual(LIMIT * 8);
    expect(cost.rowsRead).toBeGreaterThanOrEqual(LIMIT);
  });

  it("reads as many rows deep inside as on the first page", async ({ expect }) => {
    const [first, last] = [await costOf((db) => page(db, undefined)), await costOf((db) => page(db, deep))];
    expect(Math.abs(last.rowsRead - first.rowsRead)).toBeLessThanOrEqual(LIMIT);
  });
});

describe("a page of the largest size", () => {
  it("reads five times what a page of 21 reads", async ({ expect }) => {
    const small = await costOf((db) =>
      createPostListsRepository(db).list({ boardId: BOARD }, 21, undefined, AUTHOR),
    );
    const large = await costOf((db) =>
      createPostListsRepository(db).list({ boardId: BOARD }, 101, undefined, AUTHOR),
    );
    expect(large.rowsRead).toBeLessThanOrEqual(small.rowsRead * 5);
  });
});

describe("the ranking of popular posts", () => {
  it.for([
    { name: "all", scope: "all", index: "posts_latest" },
    { name: "a board", scope: BOARD, index: "posts_board" },
  ] as const)(
    "of $name reads the 2,000 newest posts that are not deleted and no others",
    async ({ scope, index }, { expect }) => {
      const cost = await costOf((db) => createPostListsRepository(db).listRanked(scope, 100, now));
      expect(JSON.stringify(cost)).toContain(index);
      // Each once in its index, and once or twice in the temporary table that is sorted.
      expect(cost.rowsRead).toBeLessThanOrEqual(2_000 * 4);
      expect(cost.rowsRead).toBeGreaterThanOrEqual(2_000);
    },
  );

  it("is looked up by id", async ({ expect }) => {
    const ids = Array.from({ length: 100 }, (_, index) => index * 3 + 2);
    const cost = await costOf((db) => createPostListsRepository(db).listByIds(ids));
    expect(cost.rowsRead).toBeLessThanOrEqual(ids.length * 8);
  });

  it("of several scopes is one statement, which reads 2,000 posts for each", async ({ expect }) => {
    const cost = await costOf((db) => createPostListsRepository(db).rank(["all", BOARD], 100, now));
    expect(cost.rowsRead).toBeLessThanOrEqual(2 * 2_000 * 4);
    expect(JSON.stringify(cost)).toContain("posts_board");
  });
});

describe("the likes of a reader", () => {
  it("that are newest are read in their index, 200 of them at most", async ({ expect }) => {
    const cost = await costOf((db) => createPostListsRepository(db).newestLikes(AUTHOR));
    expect(planOf(cost, "likes")?.key, cost.sql).toBe("likes_user_target");
    expect(planOf(cost, "likes")?.extra).not.toMatch(/filesort|temporary/i);
    expect(cost.rowsRead).toBeGreaterThanOrEqual(200);
    expect(cost.rowsRead).toBeLessThanOrEqual(201);
  });

  it("of certain posts are looked up by their key", async ({ expect }) => {
    const ids = Array.from({ length: 100 }, (_, index) => index * 3 + 2);
    const cost = await costOf((db) => createPostListsRepository(db).likedAmong(AUTHOR, ids));
    expect(cost.rowsRead).toBeLessThanOrEqual(ids.length * 2);
  });
});

describe("a single thing", () => {
  const auth = (db: Db) => createAuthRepository(db);
  const posts = (db: Db) => createPostsRepository(db);
  it.for([
    { name: "a post", send: (db: Db) => posts(db).find(2) },
    { name: "whether a post is liked", send: (db: Db) => posts(db).isLikedBy(AUTHOR, 1) },
    { name: "a post by its key", send: (db: Db) => posts(db).findByIdempotencyKey(AUTHOR, "0".repeat(64)) },
    { name: "a board", send: (db: Db) => createBoardsRepository(db).findById(BOARD) },
    {
      name: "an account by its address",
      send: (db: Db) => auth(db).findCredentialsByEmail("user7@example.com"),
    },
    { name: "an account by its id", send: (db: Db) => auth(db).findCredentialsById(7) },
    { name: "what is taken", send: (db: Db) => auth(db).takenFields("user7@example.com", "0".repeat(64)) },
    { name: "a session", send: (db: Db) => auth(db).findSession(7, now) },
  ])("($name) is found by a key", async ({ send }, { expect }) => {
    const cost = await costOf(send);
    expect(cost.rowsRead, cost.sql).toBeLessThanOrEqual(12);
  });
});

describe("housekeeping", () => {
  it.for([
    {
      name: "overdue effects of posts",
      send: (db: Db) => createPostsRepository(db).listOverdue(now, "oldest", 100),
    },
    {
      name: "overdue effects of comments",
      send: (db: Db) => createCommentsRepository(db).listOverdue(now, "oldest", 100),
    },
    {
      name: "overdue effects of comments, newest first",
      send: (db: Db) => createCommentsRepository(db).listOverdue(now, "newest", 100),
    },
    { name: "expired sessions", send: (db: Db) => createAuthRepository(db).deleteExpired(past, 1_000) },
    {
      name: "idempotency keys of posts",
      send: (db: Db) => createPostsRepository(db).forgetIdempotencyKeys(now, 1_000),
    },
    {
      name: "idempotency keys of comments",
      send: (db: Db) => createCommentsRepository(db).forgetIdempotencyKeys(now, 1_000),
    },
  ])("that finds nothing to do ($name) reads next to nothing", async ({ send }, { expect }) => {
    const cost = await costOf(send);
    expect(cost.rowsRead, cost.sql).toBeLessThanOrEqual(100);
  });
});

describe("what the health check asks", () => {
  const askWhetherLate = (before: Date) => costOf((db) => createHealthRepository(db).hasDueBefore(before));
  const justBefore = new Date(now.getTime() - 1);

  /** Tables whose rows say what is due, as the migrations made them. */
  async function tablesWithEffects(): Promise<string[]> {
    const [rows] = await database.query<RowDataPacket[]>(
      `SELECT TABLE_NAME AS name FROM information_schema.COLUMNS
      WHERE TABLE_SCHEMA = database() AND COLUMN_NAME = 'effects_due_at' ORDER BY TABLE_NAME`,
    );
    return rows.map((row) => String(row["name"]));
  }

  it("is answered by the index on what is due of each table", async ({ expect }) => {
    const { plan } = await askWhetherLate(now);
    const read = plan.filter(({ table }) => table !== null);
    expect(new Set(read.map(({ table }) => table))).toEqual(new Set(await tablesWithEffects()));
    for (const { table, key, type, extra } of read) {
      expect([key, type]).toEqual([`${table}_effects_due`, "range"]);
      expect(extra).toMatch(/using index/i);
    }
  });

  it("reads next to nothing, whether nothing or everything is late", async ({ expect }) => {
    expect((await askWhetherLate(now)).rowsRead).toBeLessThanOrEqual(14);
    await database.query("UPDATE posts SET effects_due_at = ?", [past]);
    await analyse("posts");
    expect((await askWhetherLate(now)).rowsRead).toBeLessThanOrEqual(14);
    await database.query("UPDATE posts SET effects_due_at = NULL");
    await analyse("posts");
  });

  it("finds a single late row of any table, and none that is not late yet", async ({ expect }) => {
    await fill(
      "notifications",
      [
        "user_id",
        "type",
        "target_type",
        "target_id",
        "post_id",
        "actor_id",
        "dedupe_key",
        "created_at",
        "updated_at",
      ],
      1,
      () => [AUTHOR, "like", "post", 1, 1, 2, "like:post:1:open", at, at],
    );
    const { sql } = await askWhetherLate(now);
    const late = async () => {
      const [[row]] = await database.query<RowDataPacket[]>(sql);
      return Number(row?.["late"]);
    };
    for (const table of await tablesWithEffects()) {
      const found: number[] = [];
      for (const due of [now, justBefore, null]) {
        await database.query(`UPDATE ${table} SET effects_due_at = ? ORDER BY id LIMIT 1`, [due]);
        found.push(await late());
      }
      expect([table, found]).toEqual([table, [0, 1, 0]]);
    }
  });
});
