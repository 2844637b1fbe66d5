/**
 * SQL of posts.
 * @module
 */
import { and, asc, desc, eq, isNull, lt, sql } from "drizzle-orm";
import type { SweepOrder } from "../common/sweep.ts";
import type { Db } from "../db/client.ts";
import { isDuplicateKey, retryOnDeadlock } from "../db/errors.ts";
import { boards } from "../db/schema/boards.ts";
import { likes } from "../db/schema/likes.ts";
import { posts } from "../db/schema/posts.ts";
import { users } from "../db/schema/users.ts";
import { sqlTime } from "../db/time.ts";
import { fromRow, summaryColumns } from "./columns.ts";
import type { Post } from "./schema.ts";

/** Bounds the rows that a run looks at; the job runs every hour. */
const FORGET_WINDOW_MS = 86_400_000;

export type NewPost = {
  boardId: number;
  authorId: number;
  title: string;
  content: string;
  excerpt: string;
  idempotencyKey: string | null;
  idempotencyHash: string | null;
  now: Date;
};

/** Which post may be changed: by whom, and in which version. */
export type ChangeGuard = {
  id: number;
  /** Null: anybody's post (the actor is an admin). */
  authorId: number | null;
  version: number | null;
};

/** By which a post is in lists. */
export type PostPlace = { boardId: number; authorId: number };

export type PostsRepository = ReturnType<typeof createPostsRepository>;

/** Each method is one statement. Deleted posts are not found. */
export function createPostsRepository(db: Db) {
  function guarded(guard: ChangeGuard) {
    return and(
      eq(posts.id, guard.id),
      isNull(posts.deletedAt),
      guard.authorId === null ? undefined : eq(posts.authorId, guard.authorId),
      guard.version === null ? undefined : eq(posts.version, guard.version),
    );
  }

  return {
    async find(
      id: number,
    ): Promise<{ post: Post; excerpt: string; revision: number; authorId: number } | undefined> {
      const [row] = await db
        .select({
          ...summaryColumns,
          content: posts.content,
          excerpt: posts.excerpt,
          revision: posts.revision,
        })
        .from(posts)
        .leftJoin(boards, eq(boards.id, posts.boardId))
        .leftJoin(users, eq(users.id, posts.authorId))
        .where(and(eq(posts.id, id), isNull(posts.deletedAt)))
        .limit(1);
      if (!row) return undefined;
      return {
        post: { ...fromRow(row), content: row.content },
        excerpt: row.excerpt,
        revision: row.revision,
        authorId: row.authorId,
      };
    },

    async exists(id: number): Promise<boolean> {
      const rows = await db
        .select({ id: posts.id })
        .from(posts)
        .where(and(eq(posts.id, id), isNull(posts.deletedAt)))
        .limit(1);
      return rows.length > 0;
    },

    async isLikedBy(userId: number, postId: number): Promise<boolean> {
      const rows = await db
        .select({ id: likes.id })
        .from(likes)
        .where(
          and(
            eq(likes.userId, userId),
            eq(likes.targetType, "post"),
            eq(likes.targetId, postId),
            eq(likes.active, true),
          ),
        )
        .limit(1);
      return rows.length > 0;
    },

    /** @returns the id; `no_board` when there is no such board; `duplicate` when the author used the key before */
    async insert(post: NewPost): Promise<number | "no_board" | "duplicate"> {
      try {
        const result = await retryOnDeadlock(() =>
          db.execute(sql`
            insert into ${posts} (board_id, author_id, title, content, excerpt, effects_due_at,
              idempotency_key, idempotency_hash, created_at, updated_at)
            select ${boards.id}, ${post.authorId}, ${post.title}, ${post.content}, ${post.excerpt}, ${sqlTime(post.now)},
              ${post.idempotencyKey}, ${post.idempotencyHash}, ${sqlTime(post.now)}, ${sqlTime(post.now)}
            from ${boards} where ${boards.id} = ${post.boardId}`),
        );
        return result.rowsAffected > 0 ? Number(result.insertId) : "no_board";
      } catch (error) {
        if (isDuplicateKey(error)) return "duplicate";
        throw error;
      }
    },

    async findByIdempotencyKey(authorId: number, key: string) {
      const [row] = await db
        .select({ id: posts.id, bodyHash: posts.idempotencyHash, deletedAt: posts.deletedAt })
        .from(posts)
        .where(and(eq(posts.authorId, authorId), eq(posts.idempotencyKey, key)))
        .limit(1);
      return row;
    },

    /** @returns false when the guard does not fit */
    async update(
      guard: ChangeGuard,
      change: { title?: string; content?: string; excerpt?: string },
      now: Date,
    ): Promise<boolean> {
      const result = await retryOnDeadlock(async () =>
        db
          .update(posts)
          .set({
            ...change,
            version: sql`${posts.version} + 1`,
            revision: sql`${posts.revision} + 1`,
            updatedAt: now,
            effectsDueAt: now,
          })
          .where(guarded(guard)),
      );
      return result.rowsAffected > 0;
    },

    /** Deletes a post with its text and takes it out of its board's count. @returns false when the guard does not fit */
    async remove(guard: ChangeGuard, now: Date): Promise<boolean> {
      const result = await retryOnDeadlock(() =>
        db.execute(sql`
          update ${posts} join ${boards} on ${boards.id} = ${posts.boardId}
          set ${posts.deletedAt} = ${sqlTime(now)}, ${posts.title} = '', ${posts.content} = '', ${posts.excerpt} = '',
            ${posts.revision} = ${posts.revision} + 1,
            ${posts.effectsDueAt} = ${sqlTime(now)}, ${boards.postCount} = ${boards.postCount} - ${posts.counted}
          where ${guarded(guard)}`),
      );
      return result.rowsAffected > 0;
    },

    /** Why a guard did not fit. */
    async findForGuard(id: number) {
      const [row] = await db
        .select({ authorId: posts.authorId, version: posts.version })
        .from(posts)
        .where(and(eq(posts.id, id), isNull(posts.deletedAt)))
        .limit(1);
      return row;
    },

    /** Which lists a post is in, deleted or not. */
    async findPlace(id: number): Promise<PostPlace | undefined> {
      const [row] = await db
        .select({ boardId: posts.boardId, authorId: posts.authorId })
        .from(posts)
        .where(eq(posts.id, id))
        .limit(1);
      return row;
    },

    /** Counts a post into its board, once. */
    async count(id: number): Promise<void> {
      await retryOnDeadlock(() =>
        db.execute(sql`
          update ${posts} join ${boards} on ${boards.id} = ${posts.boardId}
          set ${posts.counted} = true, ${boards.postCount} = ${boards.postCount} + 1
          where ${posts.id} = ${id} and ${posts.counted} = false and ${posts.deletedAt} is null`),
      );
    },

    /** Marks the effects of the write at `dueAt` as done, unless there was another write since. */
    async settle(id: number, dueAt: Date): Promise<void> {
      // By the row, not by the index of due effects: locked in one order, two of them are no deadlock.
      await retryOnDeadlock(() =>
        db.execute(sql`
          update ${posts} force index (primary) set ${posts.effectsDueAt} = null
          where ${posts.id} = ${id} and ${posts.effectsDueAt} = ${sqlTime(dueAt)}`),
      );
    },

    /** Posts whose effects are overdue since before `before`. */
    async listOverdue(before: Date, order: SweepOrder, limit: number) {
      return db
        .select({
          id: posts.id,
          boardId: posts.boardId,
          authorId: posts.authorId,
          dueAt: sql<Date>`${posts.effectsDueAt}`.mapWith(posts.effectsDueAt),
        })
        .from(posts)
        .where(lt(posts.effectsDueAt, before))
        .orderBy(order === "oldest" ? asc(posts.effectsDueAt) : desc(posts.effectsDueAt))
        .limit(limit);
    },

    /** Forgets keys of posts created in the day before `before`, at most `limit` of them. @returns how many */
    async forgetIdempotencyKeys(before: Date, limit: number): Promise<number> {
      const result = await db.execute(sql`
        update ${posts} set ${posts.idempotencyKey} = null, ${posts.idempotencyHash} = null
        where ${posts.createdAt} between ${sqlTime(new Date(before.getTime() - FORGET_WINDOW_MS))} and ${sqlTime(before)} and ${posts.idempotencyKey} is not null limit ${limit}`);
      return result.rowsAffected;
    },
  };
}
