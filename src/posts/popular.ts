/**
 * Popular posts: a score that decays with time, computed for all boards and for each, kept as ids in Redis.
 * @module
 */
import { and, desc, eq, isNull, sql } from "drizzle-orm";
import { type RedisClient, RedisUnavailableError } from "../cache/client.ts";
import { keys } from "../cache/keys.ts";
import type { Background } from "../common/background.ts";
import type { Db } from "../db/client.ts";
import { posts } from "../db/schema/posts.ts";
import { listIndex } from "./repository.ts";

/** Posts that are kept per ranking: the largest page. */
const RANKING_SIZE = 100;
/** The newest posts of a board compete; older ones have decayed to nothing. Bounds the statement at any size of the forum. */
const CANDIDATES = 2_000;
const POPULAR_TTL_SECONDS = 120;
/** Older than this, a ranking is recomputed while it is served. */
const FRESH_SECONDS = 60;

export type Scope = number | "all";
type Ranking = { ids: number[]; at: number };

/**
 * Score at age h hours: (views + 5 likes + 10 comments + 1) / (h + 2)^1.5, in the manner of Hacker News: comments
 * weigh most, because they take most effort. Ties go to the newer post.
 */
export async function rankPopular(db: Db, scope: Scope, now: Date): Promise<number[]> {
  const seconds = Math.floor(now.getTime() / 1000);
  const candidates = db
    .select({
      id: posts.id,
      score:
        sql<number>`(${posts.viewCount} + 5 * ${posts.likeCount} + 10 * ${posts.commentCount} + 1) / pow(greatest(${seconds} - unix_timestamp(${posts.createdAt}), 0) / 3600 + 2, 1.5)`.as(
          "score",
        ),
    })
    .from(posts, { forceIndex: listIndex(scope === "all" ? {} : { boardId: scope }) })
    .where(and(isNull(posts.deletedAt), scope === "all" ? undefined : eq(posts.boardId, scope)))
    .orderBy(desc(posts.id))
    .limit(CANDIDATES)
    .as("candidates");
  const rows = await db
    .select({ id: candidates.id })
    .from(candidates)
    .orderBy(desc(candidates.score), desc(candidates.id))
    .limit(RANKING_SIZE);
  return rows.map((row) => row.id);
}

export type PopularRankings = {
  /** Ids, best first. One Redis command when warm; one statement more when cold. */
  get: (scope: Scope) => Promise<number[]>;
  /** Computes and keeps a ranking. */
  refresh: (scope: Scope) => Promise<number[]>;
};

export function createPopularRankings(
  redis: RedisClient,
  db: Db,
  background: Background,
  now: () => Date,
): PopularRankings {
  async function refresh(scope: Scope): Promise<number[]> {
    const ids = await rankPopular(db, scope, now());
    const ranking: Ranking = { ids, at: now().getTime() };
    await redis
      .run((pipe) => pipe.set(keys.popular(scope), JSON.stringify(ranking), { ex: POPULAR_TTL_SECONDS }))
      .catch((error: unknown) => {
        if (!(error instanceof RedisUnavailableError)) throw error;
      });
    return ids;
  }
  return {
    refresh,
    async get(scope) {
      let cached: string | null = null;
      try {
        cached = await redis.run<string | null>((pipe) => pipe.get(keys.popular(scope)));
      } catch (error) {
        if (!(error instanceof RedisUnavailableError)) throw error;
      }
      if (cached === null) return refresh(scope);
      const ranking = JSON.parse(cached) as Ranking;
      if (now().getTime() - ranking.at > FRESH_SECONDS * 1000)
        background("refresh popular posts", () => refresh(scope));
      return ranking.ids;
    },
  };
}
