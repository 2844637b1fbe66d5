/**
 * SQL of lists of posts: pages, rankings, and which posts of them a reader likes.
 * @module
 */
import { and, desc, eq, inArray, isNull, lt, sql } from "drizzle-orm";
import type { Db } from "../db/client.ts";
import { boards } from "../db/schema/boards.ts";
import { likes } from "../db/schema/likes.ts";
import { posts } from "../db/schema/posts.ts";
import { users } from "../db/schema/users.ts";
import { fromRow, type SummaryRow, summaryColumns } from "./columns.ts";
import type { PostSummary, RankingScope } from "./schema.ts";

/** The newest posts compete; older ones have decayed to nothing. Bounds the ranking at any size of the forum. */
const RANKING_CANDIDATES = 2_000;
/** Bounds what is read to tell which posts of a first page a user likes: more than a page has. */
const NEWEST_LIKES = 200;
/** A summary with the revision of its row. */
export type StoredSummary = { summary: PostSummary; revision: number };

/** A post of a list as the database has it. */
export type ListedPost = StoredSummary & { likedByMe: boolean | null };

/** Which of the posts with ids from `completeFrom` on a user likes. */
export type NewestLikes = { liked: Set<number>; completeFrom: number };

export type PostFilter = { boardId?: number | undefined; authorId?: number | undefined };

/**
 * The index in whose order a list is read. Named, because MariaDB else merges two of them and sorts the rows: 9 s
 * instead of 2 ms for a board with a fifth of a million posts.
 */
export function listIndex({ boardId, authorId }: PostFilter): string {
  if (authorId === undefined) return boardId === undefined ? "posts_latest" : "posts_board";
  return boardId === undefined ? "posts_author" : "posts_author_board";
}

export type PostListsRepository = ReturnType<typeof createPostListsRepository>;

/** Each method is one statement. Deleted posts are not found. */
export function createPostListsRepository(db: Db) {
  // Left joins, although the rows exist: they keep posts in front, so that a page is read in the order of its index.
  const selectSummaries = (viewerId: number | null, index: string) =>
    db
      .select({ ...summaryColumns, excerpt: posts.excerpt, revision: posts.revision, likeId: likes.id })
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
  const toListed = (
    row: SummaryRow & { excerpt: string; revision: number; likeId: number | null },
    viewerId: number | null,
  ): ListedPost => ({
    summary: { ...fromRow(row), excerpt: row.excerpt },
    revision: row.revision,
    likedByMe: viewerId === null ? null : row.likeId !== null,
  });

  /** Ids and scores of the best of a board's newest posts, or of all: see `listRanked`. */
  function ranked(scope: RankingScope, limit: number, now: Date, alias: string) {
    const filter = scope === "all" ? {} : { boardId: scope };
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
    return db
      .select({ id: candidates.id, score: candidates.score })
      .from(candidates)
      .orderBy(desc(candidates.score), desc(candidates.id))
      .limit(limit)
      .as(alias);
  }

  return {
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
      return rows.map((row) => toListed(row, viewerId));
    },

    /**
     * The best of a board's newest posts, or of all, by a score that decays with time: at age h hours
     * (views + 5 likes + 10 comments + 1) / (h + 2)^1.5, in the manner of Hacker News. Comments weigh most, because they
     * take most effort; ties go to the newer post.
     */
    async listRanked(scope: RankingScope, limit: number, now: Date): Promise<StoredSummary[]> {
      const best = ranked(scope, limit, now, "best");
      const rows = await selectSummaries(null, "PRIMARY")
        .innerJoin(best, eq(best.id, posts.id))
        .orderBy(desc(best.score), desc(posts.id));
      return rows.map((row) => toListed(row, null));
    },

    /** Ids of the best posts of each scope, best first. @param scopes at most 20 or so: each reads 2,000 rows */
    async rank(
      scopes: readonly RankingScope[],
      limit: number,
      now: Date,
    ): Promise<Map<RankingScope, number[]>> {
      const rankings = new Map<RankingScope, number[]>(scopes.map((scope) => [scope, []]));
      if (scopes.length === 0) return rankings;
      const parts = scopes.map((scope, index) => {
        const best = ranked(scope, limit, now, `best_${index}`);
        return sql`(select ${index} as part, ${best.id} as id, ${best.score} as score from ${best})`;
      });
      const { rows } = await db.execute(
        sql`${sql.join(parts, sql` union all `)} order by part, score desc, id desc`,
      );
      for (const { part, id } of rows as { part: string; id: string }[]) {
        const scope = scopes[Number(part)];
        if (scope !== undefined) rankings.get(scope)?.push(Number(id));
      }
      return rankings;
    },

    /** The posts with these ids that still exist, in no particular order. */
    async listByIds(ids: readonly number[]): Promise<StoredSummary[]> {
      const rows = await selectSummaries(null, "PRIMARY").where(
        and(inArray(posts.id, [...ids]), isNull(posts.deletedAt)),
      );
      return rows.map((row) => toListed(row, null));
    },

    /**
     * The newest 200 posts that a user likes or liked: what is needed to tell which posts of a first page they like, before it
     * is known which these are. Reads at most 200 rows, however many likes there are.
     */
    async newestLikes(userId: number): Promise<NewestLikes> {
      const rows = await db
        .select({ id: likes.targetId, active: likes.active })
        .from(likes, { forceIndex: "likes_user_target" })
        .where(and(eq(likes.userId, userId), eq(likes.targetType, "post")))
        .orderBy(desc(likes.targetId))
        .limit(NEWEST_LIKES);
      return {
        liked: new Set(rows.filter((row) => row.active).map((row) => row.id)),
        completeFrom: rows.length < NEWEST_LIKES ? 0 : (rows.at(-1)?.id ?? 0),
      };
    },

    /** Which of these posts a user likes. */
    async likedAmong(userId: number, ids: readonly number[]): Promise<Set<number>> {
      const rows = await db
        .select({ id: likes.targetId })
        .from(likes, { forceIndex: "likes_user_target" })
        .where(
          and(
            eq(likes.userId, userId),
            eq(likes.targetType, "post"),
            inArray(likes.targetId, [...ids]),
            eq(likes.active, true),
          ),
        );
      return new Set(rows.map((row) => row.id));
    },
  };
}
