/**
 * SQL of posts.
 * @module
 */
import { and, desc, eq, inArray, isNull, lt, sql } from "drizzle-orm";
import type { Db } from "../db/client.ts";
import { isDuplicateKey, retryOnDeadlock } from "../db/errors.ts";
import { boards } from "../db/schema/boards.ts";
import { comments } from "../db/schema/comments.ts";
import { likes } from "../db/schema/likes.ts";
import { posts } from "../db/schema/posts.ts";
import { users } from "../db/schema/users.ts";
import { sqlTime } from "../db/time.ts";
import type { Post, PostSummary } from "./schema.ts";

const summaryColumns = {
  id: posts.id,
  boardId: posts.boardId,
  boardName: boards.name,
  boardSlug: boards.slug,
  authorId: posts.authorId,
  authorName: users.username,
  title: posts.title,
  viewCount: posts.viewCount,
  likeCount: posts.likeCount,
  // Comments whose effects are still due are few: an index lookup counts them.
  commentCount:
    sql<number>`${posts.commentCount} + (select count(*) from ${comments} force index (comments_uncounted) where ${comments.postId} = ${posts.id} and ${comments.counted} = false and ${comments.deletedAt} is null)`.mapWith(
      Number,
    ),
  version: posts.version,
  createdAt: posts.createdAt,
  updatedAt: posts.updatedAt,
};

type SummaryRow = {
  id: number;
  boardId: number;
  boardName: string | null;
  boardSlug: string | null;
  authorId: number;
  authorName: string | null;
  title: string;
  viewCount: number;
  likeCount: number;
  commentCount: number;
  version: number;
  createdAt: Date;
  updatedAt: Date;
};

function fromRow(row: SummaryRow): Omit<Post, "content"> {
  return {
    id: row.id,
    board: { id: row.boardId, name: row.boardName ?? "", slug: row.boardSlug ?? "" },
    author: row.authorName === null ? null : { id: row.authorId, username: row.authorName },
    title: row.title,
    viewCount: row.viewCount,
    likeCount: row.likeCount,
    commentCount: row.commentCount,
    version: row.version,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  };
}

/** The newest posts compete; older ones have decayed to nothing. Bounds the ranking at any size of the forum. */
const RANKING_CANDIDATES = 2_000;
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

export type PostFilter = { boardId?: number | undefined; authorId?: number | undefined };

/**
 * The index in whose order a list is read. Named, because MariaDB else merges two of them and sorts the rows: 9 s
 * instead of 2 ms for a board with a fifth of a million posts.
 */
export function listIndex({ boardId, authorId }: PostFilter): string {
  if (authorId === undefined) return boardId === undefined ? "posts_latest" : "posts_board";
  return boardId === undefined ? "posts_author" : "posts_author_board";
}

export type PostsRepository = ReturnType<typeof createPostsRepository>;

/** Each method is one statement. Deleted posts are not found. */
export function createPostsRepository(db: Db) {
  // Left joins, although the rows exist: they keep posts in front, so that a page is read in the order of its index.
  const selectSummaries = (viewerId: number | null, index: string) =>
    db
      .select({ ...summaryColumns, excerpt: posts.excerpt, likeId: likes.id })
      .from(posts, { forceIndex: index })
      .leftJoin(boards, eq(boards.id, posts.boardId))
      .leftJoin(users, eq(users.id, posts.authorId))
      .leftJoin(
        likes,
        and(
          eq(likes.userId, viewerId ?? 0),
          eq(likes.targetType, "post"),
          eq(likes.targetId, posts.id),
          eq(likes.active, true),
        ),
      );
  const toSummary = (
    row: SummaryRow & { excerpt: string; likeId: number | null },
    viewerId: number | null,
  ) => ({
    ...fromRow(row),
    excerpt: row.excerpt,
    likedByMe: viewerId === null ? null : row.likeId !== null,
  });

  function guarded(guard: ChangeGuard) {
    return and(
      eq(posts.id, guard.id),
      isNull(posts.deletedAt),
      guard.authorId === null ? undefined : eq(posts.authorId, guard.authorId),
      guard.version === null ? undefined : eq(posts.version, guard.version),
    );
  }

  return {
    async find(id: number): Promise<{ post: Post; revision: number; excerpt: string } | undefined> {
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
        revision: row.revision,
        excerpt: row.excerpt,
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

    /** Newest first, from below `beforeId`; reads one index in order, whatever the filter and however deep. */
    async list(filter: PostFilter, limit: number, beforeId: number | undefined, viewerId: number | null) {
      const rows = await selectSummaries(viewerId, listIndex(filter))
        .where(
          and(
            isNull(posts.deletedAt),
            filter.boardId === undefined ? undefined : eq(posts.boardId, filter.boardId),
            filter.authorId === undefined ? undefined : eq(posts.authorId, filter.authorId),
            beforeId === undefined ? undefined : lt(posts.id, beforeId),
          ),
        )
        .orderBy(desc(posts.id))
        .limit(limit);
      return rows.map((row) => toSummary(row, viewerId));
    },

    /**
     * The best of a board's newest posts, or of all, by a score that decays with time: at age h hours
     * (views + 5 likes + 10 comments + 1) / (h + 2)^1.5, in the manner of Hacker News. Comments weigh most, because they
     * take most effort; ties go to the newer post.
     */
    async listRanked(filter: PostFilter, limit: number, now: Date, viewerId: number | null) {
      const seconds = Math.floor(now.getTime() / 1000);
      const candidates = db
        .select({
          id: posts.id,
          score:
            sql<number>`(${posts.viewCount} + 5 * ${posts.likeCount} + 10 * ${posts.commentCount} + 1) / pow(greatest(${seconds} - unix_timestamp(${posts.createdAt}), 0) / 3600 + 2, 1.5)`.as(
              "score",
            ),
        })
        .from(posts, { forceIndex: listIndex(filter) })
        .where(
          and(
            isNull(posts.deletedAt),
            filter.boardId === undefined ? undefined : eq(posts.boardId, filter.boardId),
          ),
        )
        .orderBy(desc(posts.id))
        .limit(RANKING_CANDIDATES)
        .as("candidates");
      const ranked = db
        .select({ id: candidates.id, score: candidates.score })
        .from(candidates)
        .orderBy(desc(candidates.score), desc(candidates.id))
        .limit(limit)
        .as("ranked");
      const rows = await selectSummaries(viewerId, "PRIMARY")
        .innerJoin(ranked, eq(ranked.id, posts.id))
        .orderBy(desc(ranked.score), desc(posts.id));
      return rows.map((row) => toSummary(row, viewerId));
    },

    /** The posts with these ids that still exist, in no particular order. */
    async listByIds(
      ids: number[],
      viewerId: number | null,
    ): Promise<(PostSummary & { likedByMe: boolean | null })[]> {
      if (ids.length === 0) return [];
      const rows = await selectSummaries(viewerId, "PRIMARY").where(
        and(inArray(posts.id, ids), isNull(posts.deletedAt)),
      );
      return rows.map((row) => toSummary(row, viewerId));
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
      const result = await db
        .update(posts)
        .set({
          ...change,
          version: sql`${posts.version} + 1`,
          revision: sql`${posts.revision} + 1`,
          updatedAt: now,
          effectsDueAt: now,
        })
        .where(guarded(guard));
      return result.rowsAffected > 0;
    },

    /** Deletes a post and takes it out of its board's count. @returns false when the guard does not fit */
    async remove(guard: ChangeGuard, now: Date): Promise<boolean> {
      const result = await retryOnDeadlock(() =>
        db.execute(sql`
          update ${posts} join ${boards} on ${boards.id} = ${posts.boardId}
          set ${posts.deletedAt} = ${sqlTime(now)}, ${posts.revision} = ${posts.revision} + 1,
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

    /** Posts whose effects are overdue since before `before`, oldest first. */
    async listOverdue(before: Date, limit: number) {
      return db
        .select({ id: posts.id, dueAt: sql<Date>`${posts.effectsDueAt}`.mapWith(posts.effectsDueAt) })
        .from(posts)
        .where(lt(posts.effectsDueAt, before))
        .orderBy(posts.effectsDueAt)
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
