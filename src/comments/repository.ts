/**
 * SQL of comments.
 * @module
 */
import { and, asc, desc, eq, gt, isNull, lt, sql } from "drizzle-orm";
import type { SweepOrder } from "../common/sweep.ts";
import type { Db } from "../db/client.ts";
import { isDuplicateKey, retryOnDeadlock } from "../db/errors.ts";
import { comments } from "../db/schema/comments.ts";
import { likes } from "../db/schema/likes.ts";
import { posts } from "../db/schema/posts.ts";
import { users } from "../db/schema/users.ts";
import { sqlTime } from "../db/time.ts";
import { commentCount } from "../posts/columns.ts";
import type { Comment, CommentForReader } from "./schema.ts";

const columns = {
  id: comments.id,
  postId: comments.postId,
  authorId: comments.authorId,
  authorName: users.username,
  content: comments.content,
  likeCount: comments.likeCount,
  version: comments.version,
  createdAt: comments.createdAt,
  updatedAt: comments.updatedAt,
  deletedAt: comments.deletedAt,
};

type Row = {
  id: number;
  postId: number;
  authorId: number;
  authorName: string | null;
  content: string;
  likeCount: number;
  version: number;
  createdAt: Date;
  updatedAt: Date;
  deletedAt: Date | null;
};

function fromRow(row: Row): Comment {
  const deleted = row.deletedAt !== null;
  return {
    id: row.id,
    postId: row.postId,
    author: deleted || row.authorName === null ? null : { id: row.authorId, username: row.authorName },
    content: deleted ? null : row.content,
    likeCount: row.likeCount,
    version: row.version,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
    deletedAt: row.deletedAt?.toISOString() ?? null,
  };
}

/** Bounds the rows that a run looks at; the job runs every hour. */
const FORGET_WINDOW_MS = 86_400_000;

export type NewComment = {
  postId: number;
  authorId: number;
  content: string;
  idempotencyKey: string | null;
  idempotencyHash: string | null;
  now: Date;
};

/** Which comment may be changed: by whom, and in which version. */
export type ChangeGuard = {
  id: number;
  /** Null: anybody's comment (the actor is an admin). */
  authorId: number | null;
  version: number | null;
};

export type CommentsRepository = ReturnType<typeof createCommentsRepository>;

/** Each method is one statement. Comments of deleted posts are not found. */
export function createCommentsRepository(db: Db) {
  // The index is named: the optimizer must not merge two of them and sort.
  const select = (viewerId: number | null, index: string) =>
    db
      .select({ ...columns, likeId: likes.id })
      .from(comments, { forceIndex: index })
      .leftJoin(users, eq(users.id, comments.authorId))
      .leftJoin(
        likes,
        and(
          eq(likes.userId, viewerId ?? 0),
          eq(likes.targetType, "comment"),
          eq(likes.targetId, comments.id),
          eq(likes.active, true),
        ),
      );
  const forReader = (row: Row & { likeId: number | null }, viewerId: number | null): CommentForReader => ({
    ...fromRow(row),
    likedByMe: viewerId === null ? null : row.likeId !== null,
  });
  const guarded = (guard: ChangeGuard) =>
    and(
      eq(comments.id, guard.id),
      isNull(comments.deletedAt),
      sql`exists (select 1 from ${posts} where ${posts.id} = ${comments.postId} and ${posts.deletedAt} is null)`,
      guard.authorId === null ? undefined : eq(comments.authorId, guard.authorId),
      guard.version === null ? undefined : eq(comments.version, guard.version),
    );

  return {
    /** A comment, deleted or not, with what its effects need. */
    async find(id: number, viewerId: number | null) {
      const [row] = await db
        .select({
          ...columns,
          likeId: likes.id,
          revision: comments.revision,
          postAuthorId: posts.authorId,
          postRevision: posts.revision,
          postCommentCount: commentCount,
          effectsDueAt: comments.effectsDueAt,
        })
        .from(comments)
        .innerJoin(posts, and(eq(posts.id, comments.postId), isNull(posts.deletedAt)))
        .leftJoin(users, eq(users.id, comments.authorId))
        .leftJoin(
          likes,
          and(
            eq(likes.userId, viewerId ?? 0),
            eq(likes.targetType, "comment"),
            eq(likes.targetId, comments.id),
            eq(likes.active, true),
          ),
        )
        .where(eq(comments.id, id))
        .limit(1);
      if (!row) return undefined;
      return {
        comment: forReader(row, viewerId),
        authorId: row.authorId,
        postAuthorId: row.postAuthorId,
        postRevision: row.postRevision,
        postCommentCount: row.postCommentCount,
        revision: row.revision,
        effectsDueAt: row.effectsDueAt,
      };
    },

    /** Oldest first, deleted ones in their place, from behind `afterId`. */
    async listOfPost(postId: number, limit: number, afterId: number | undefined, viewerId: number | null) {
      const rows = await select(viewerId, "comments_post")
        .where(and(eq(comments.postId, postId), afterId === undefined ? undefined : gt(comments.id, afterId)))
        .orderBy(asc(comments.id))
        .limit(limit);
      return rows.map((row) => forReader(row, viewerId));
    },

    /** Newest first, without deleted ones and those of deleted posts, from below `beforeId`. */
    async listOfAuthor(
      authorId: number,
      limit: number,
      beforeId: number | undefined,
      viewerId: number | null,
    ) {
      const rows = await select(viewerId, "comments_author")
        .where(
          and(
            eq(comments.authorId, authorId),
            isNull(comments.deletedAt),
            sql`exists (select 1 from ${posts} where ${posts.id} = ${comments.postId} and ${posts.deletedAt} is null)`,
            beforeId === undefined ? undefined : lt(comments.id, beforeId),
          ),
        )
        .orderBy(desc(comments.id))
        .limit(limit);
      return rows.map((row) => forReader(row, viewerId));
    },

    /** @returns the id; `no_post` when there is no such post; `duplicate` when the author used the key before */
    async insert(comment: NewComment): Promise<number | "no_post" | "duplicate"> {
      const at = sqlTime(comment.now);
      try {
        const result = await retryOnDeadlock(() =>
          db.execute(sql`
            insert into ${comments} (post_id, author_id, content, effects_due_at,
              idempotency_key, idempotency_hash, created_at, updated_at)
            select ${posts.id}, ${comment.authorId}, ${comment.content}, ${at},
              ${comment.idempotencyKey}, ${comment.idempotencyHash}, ${at}, ${at}
            from ${posts} where ${posts.id} = ${comment.postId} and ${posts.deletedAt} is null`),
        );
        return result.rowsAffected > 0 ? Number(result.insertId) : "no_post";
      } catch (error) {
        if (isDuplicateKey(error)) return "duplicate";
        throw error;
      }
    },

    async findByIdempotencyKey(authorId: number, key: string) {
      const [row] = await db
        .select({ id: comments.id, bodyHash: comments.idempotencyHash })
        .from(comments)
        .where(and(eq(comments.authorId, authorId), eq(comments.idempotencyKey, key)))
        .limit(1);
      return row;
    },

    /** @returns false when the guard does not fit */
    async update(guard: ChangeGuard, content: string, now: Date): Promise<boolean> {
      const result = await retryOnDeadlock(async () =>
        db
          .update(comments)
          .set({
            content,
            version: sql`${comments.version} + 1`,
            revision: sql`${comments.revision} + 1`,
            updatedAt: now,
            effectsDueAt: now,
          })
          .where(guarded(guard)),
      );
      return result.rowsAffected > 0;
    },

    /**
     * Empties a comment and takes it out of its post's count.
     * @returns the post's new revision, or undefined when the guard does not fit
     */
    async remove(guard: ChangeGuard, now: Date): Promise<number | undefined> {
      const at = sqlTime(now);
      const result = await retryOnDeadlock(() =>
        db.execute(sql`
          update ${comments} join ${posts} on ${posts.id} = ${comments.postId}
          set ${posts.revision} = last_insert_id(${posts.revision} + 1),
            ${posts.commentCount} = ${posts.commentCount} - ${comments.counted},
            ${comments.content} = '', ${comments.deletedAt} = ${at}, ${comments.updatedAt} = ${at},
            ${comments.revision} = ${comments.revision} + 1, ${comments.effectsDueAt} = ${at}
          where ${comments.id} = ${guard.id} and ${comments.deletedAt} is null and ${posts.deletedAt} is null
            and ${guard.authorId === null ? sql`true` : eq(comments.authorId, guard.authorId)}
            and ${guard.version === null ? sql`true` : eq(comments.version, guard.version)}`),
      );
      return result.rowsAffected > 0 ? Number(result.insertId) : undefined;
    },

    /**
     * Counts a comment into its post, once.
     * @returns the post's new revision, or undefined when there was nothing to count
     */
    async count(id: number): Promise<number | undefined> {
      const result = await retryOnDeadlock(() =>
        db.execute(sql`
          update ${comments} join ${posts} on ${posts.id} = ${comments.postId}
          set ${posts.revision} = last_insert_id(${posts.revision} + 1),
            ${posts.commentCount} = ${posts.commentCount} + 1, ${comments.counted} = true
          where ${comments.id} = ${id} and ${comments.counted} = false and ${comments.deletedAt} is null`),
      );
      return result.rowsAffected > 0 ? Number(result.insertId) : undefined;
    },

    /** Marks the effects of the write at `dueAt` as done, unless there was another write since. */
    async settle(id: number, dueAt: Date): Promise<void> {
      // By the row, not by the index of due effects: locked in one order, two of them are no deadlock.
      await retryOnDeadlock(() =>
        db.execute(sql`
          update ${comments} force index (primary) set ${comments.effectsDueAt} = null
          where ${comments.id} = ${id} and ${comments.effectsDueAt} = ${sqlTime(dueAt)}`),
      );
    },

    /** Comments whose effects are overdue since before `before`. */
    async listOverdue(before: Date, order: SweepOrder, limit: number) {
      return db
        .select({
          id: comments.id,
          dueAt: sql<Date>`${comments.effectsDueAt}`.mapWith(comments.effectsDueAt),
        })
        .from(comments)
        .where(lt(comments.effectsDueAt, before))
        .orderBy(order === "oldest" ? asc(comments.effectsDueAt) : desc(comments.effectsDueAt))
        .limit(limit);
    },

    /** Forgets keys of comments created in the day before `before`, at most `limit` of them. @returns how many */
    async forgetIdempotencyKeys(before: Date, limit: number): Promise<number> {
      const result = await db.execute(sql`
        update ${comments} set ${comments.idempotencyKey} = null, ${comments.idempotencyHash} = null
        where ${comments.createdAt} between ${sqlTime(new Date(before.getTime() - FORGET_WINDOW_MS))} and ${sqlTime(before)} and ${comments.idempotencyKey} is not null limit ${limit}`);
      return result.rowsAffected;
    },
  };
}
