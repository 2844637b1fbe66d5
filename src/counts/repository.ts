/**
 * SQL of stored counts: what they should be, and their repair.
 *
 * Whatever changes a count changes what is counted in the same statement, so one consistent read sees both as of one
 * moment and finds no drift where there is none. It locks nothing, and neither does the repair wait for likes or
 * comments: it writes what the read found to rows that are still as they were then.
 * @module
 */
import { and, asc, eq, gt, inArray, isNull, or, type SQL, sql } from "drizzle-orm";
import type { Db } from "../db/client.ts";
import { retryOnDeadlock } from "../db/errors.ts";
import { boards } from "../db/schema/boards.ts";
import { comments } from "../db/schema/comments.ts";
import { type COUNTED_TABLES, countChecks } from "../db/schema/counts.ts";
import { likes } from "../db/schema/likes.ts";
import { posts } from "../db/schema/posts.ts";
import { sqlTime } from "../db/time.ts";

export type CountedTable = (typeof COUNTED_TABLES)[number];

/** A row with its stored counts and the true ones; a count that the table does not have is 0 in both. */
export type CheckedRow = {
  id: number;
  /** Changes with every change of the counts: the revision, of a board the count itself. */
  mark: number;
  stored: Counts;
  counted: Counts;
};
export type Counts = { likes: number; comments: number; posts: number };

/** A repaired row as it is now. */
export type RepairedRow = { id: number; postId: number; likeCount: number; revision: number };

/** Where a check goes on. */
export type Place = { afterId: number; untold: number[] };

export type CountsRepository = ReturnType<typeof createCountsRepository>;

/** Each method is one statement. Deleted rows are left alone: nobody sees their counts. */
export function createCountsRepository(db: Db) {
  // Tables are named by hand: drizzle drops them from the selection of a query with one table.
  const likesOf = (type: "post" | "comment", id: SQL) =>
    sql`(select count(*) from ${likes} as liked force index (likes_target)
      where liked.target_type = ${type} and liked.target_id = ${id} and liked.active = true)`.mapWith(Number);

  async function checkPosts(afterId: number, limit: number): Promise<CheckedRow[]> {
    const rows = await db
      .select({
        id: posts.id,
        mark: posts.revision,
        likes: posts.likeCount,
        comments: posts.commentCount,
        likesCounted: likesOf("post", sql`${posts}.id`),
        commentsCounted: sql`(select count(*) from ${comments} as written force index (comments_uncounted)
          where written.post_id = ${posts}.id and written.counted = true and written.deleted_at is null)`.mapWith(
          Number,
        ),
      })
      .from(posts, { forceIndex: "PRIMARY" })
      .where(and(gt(posts.id, afterId), isNull(posts.deletedAt)))
      .orderBy(asc(posts.id))
      .limit(limit);
    return rows.map((row) => ({
      id: row.id,
      mark: row.mark,
      stored: { likes: row.likes, comments: row.comments, posts: 0 },
      counted: { likes: row.likesCounted, comments: row.commentsCounted, posts: 0 },
    }));
  }

  async function checkComments(afterId: number, limit: number): Promise<CheckedRow[]> {
    const rows = await db
      .select({
        id: comments.id,
        mark: comments.revision,
        likes: comments.likeCount,
        likesCounted: likesOf("comment", sql`${comments}.id`),
      })
      .from(comments, { forceIndex: "PRIMARY" })
      .where(and(gt(comments.id, afterId), isNull(comments.deletedAt)))
      .orderBy(asc(comments.id))
      .limit(limit);
    return rows.map((row) => ({
      id: row.id,
      mark: row.mark,
      stored: { likes: row.likes, comments: 0, posts: 0 },
      counted: { likes: row.likesCounted, comments: 0, posts: 0 },
    }));
  }

  /** Counts by indexes alone: all posts of a board that are there, without those that are not counted yet. */
  async function checkBoards(afterId: number, limit: number): Promise<CheckedRow[]> {
    const rows = await db
      .select({
        id: boards.id,
        posts: boards.postCount,
        postsCounted: sql`(select count(*) from ${posts} as there force index (posts_board)
            where there.board_id = ${boards}.id and there.deleted_at is null)
          - (select count(*) from ${posts} as due force index (posts_uncounted)
            where due.counted = false and due.board_id = ${boards}.id and due.deleted_at is null)`.mapWith(
          Number,
        ),
      })
      .from(boards, { forceIndex: "PRIMARY" })
      .where(gt(boards.id, afterId))
      .orderBy(asc(boards.id))
      .limit(limit);
    return rows.map((row) => ({
      id: row.id,
      mark: row.posts,
      stored: { likes: 0, comments: 0, posts: row.posts },
      counted: { likes: 0, comments: 0, posts: row.postsCounted },
    }));
  }

  return {
    /** The next rows with their counts. */
    check(table: CountedTable, afterId: number, limit: number): Promise<CheckedRow[]> {
      const checks = { posts: checkPosts, comments: checkComments, boards: checkBoards };
      return checks[table](afterId, limit);
    },

    /**
     * Gives rows the counts that were found, unless they changed since: then they are left for another look.
     * @returns how many were repaired
     */
    async repair(table: CountedTable, rows: readonly CheckedRow[], now: Date): Promise<number> {
      const count = (key: keyof Counts, id: SQL) =>
        sql`case ${id} ${sql.join(
          rows.map((row) => sql`when ${row.id} then ${row.counted[key]}`),
          sql` `,
        )} end`;
      const statements = {
        posts: () =>
          db
            .update(posts)
            .set({
              likeCount: count("likes", sql`${posts.id}`),
              commentCount: count("comments", sql`${posts.id}`),
              revision: sql`${posts.revision} + 1`,
            })
            .where(or(...rows.map(({ id, mark }) => and(eq(posts.id, id), eq(posts.revision, mark))))),
        comments: () =>
          db
            .update(comments)
            .set({
              likeCount: count("likes", sql`${comments.id}`),
              revision: sql`${comments.revision} + 1`,
            })
            .where(or(...rows.map(({ id, mark }) => and(eq(comments.id, id), eq(comments.revision, mark))))),
        // What has the same count as before has the same posts: both change by as much. A board has no other effects.
        boards: () =>
          db
            .update(boards)
            .set({ postCount: count("posts", sql`${boards.id}`), effectsDueAt: sql`${sqlTime(now)}` })
            .where(or(...rows.map(({ id, mark }) => and(eq(boards.id, id), eq(boards.postCount, mark))))),
      };
      const { rowsAffected } = await retryOnDeadlock(async () => statements[table]());
      return rowsAffected;
    },

    /** Rows as they are now, for caches and rooms; those that were deleted meanwhile are left out. */
    async find(table: "posts" | "comments", ids: number[]): Promise<RepairedRow[]> {
      if (table === "posts") {
        return db
          .select({ id: posts.id, postId: posts.id, likeCount: posts.likeCount, revision: posts.revision })
          .from(posts)
          .where(and(inArray(posts.id, ids), isNull(posts.deletedAt)));
      }
      return db
        .select({
          id: comments.id,
          postId: comments.postId,
          likeCount: comments.likeCount,
          revision: comments.revision,
        })
        .from(comments)
        .where(and(inArray(comments.id, ids), isNull(comments.deletedAt)));
    },

    async place(table: CountedTable): Promise<Place> {
      const [row] = await db.select().from(countChecks).where(eq(countChecks.table, table)).limit(1);
      return { afterId: row?.afterId ?? 0, untold: row?.untold ? row.untold.split(",").map(Number) : [] };
    },

    async setPlace(table: CountedTable, { afterId, untold }: Place): Promise<void> {
      const row = { afterId, untold: untold.length > 0 ? untold.join(",") : null };
      await db
        .insert(countChecks)
        .values({ table, ...row })
        .onDuplicateKeyUpdate({ set: row });
    },
  };
}
