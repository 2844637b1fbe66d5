/**
 * Cached lists of posts: ids, over posts that are cached by themselves.
 * @module
 */
import type { RedisClient } from "../cache/client.ts";
import { keys, type ListName } from "../cache/keys.ts";
import { listTtlSeconds } from "../cache/lists.ts";
import { redisTime } from "../cache/time.ts";
import { type FillTicket, fillValues, parseSummary } from "./cache.ts";
import type { StoredSummary } from "./lists-repository.ts";
import type { PostSummary, RankingScope } from "./schema.ts";
import { FILL_LISTED, GONE, READ_LISTED, READ_STRIDE } from "./scripts.ts";

/** Ids that a cached list has at most: the largest page, and one that tells whether more follow. */
export const LIST_SIZE = 101;
/** A ranking is computed anew after this time, while the old one is served… */
const RANKING_FRESH_MS = 60_000;
/** …for a minute more at most, while that takes long or the database is away. */
const RANKING_TTL_SECONDS = 120;
/** For so long one reader alone computes a ranking. */
const RANKING_LOCK_MS = 5_000;

/** What is cached of the first posts of a list. */
export type CachedPage = {
  /** In the order of the list, with those that are known to be gone. Null: the list is not cached. */
  ids: number[] | null;
  /** Those that are cached. */
  found: Map<number, PostSummary>;
  /** Views of those that must be read, as far as they are not in the database yet. */
  unflushedViews: Map<number, number>;
  ticket: FillTicket;
  /** Of a ranking: whether this reader is the one to compute it anew. */
  mine: boolean;
};

export type PostListCache = {
  /** @param count how many of the first posts. One Redis command. */
  read: (list: ListName, count: number) => Promise<CachedPage>;
  readRanking: (scope: RankingScope, count: number) => Promise<CachedPage>;
  /** Caches posts that were read since the ticket, and the ids of the list, unless any changed meanwhile. One Redis command. */
  fill: (
    list: ListName,
    ids: readonly number[] | null,
    rows: readonly StoredSummary[],
    ticket: FillTicket,
  ) => Promise<void>;
  fillRanking: (
    scope: RankingScope,
    ids: readonly number[] | null,
    rows: readonly StoredSummary[],
    ticket: FillTicket,
  ) => Promise<void>;
  /** Lets the next reader compute the ranking. One Redis command. */
  unlockRanking: (scope: RankingScope) => Promise<void>;
  /** Rankings that were asked for in the last ten minutes, at most 200, and Redis's time. Two calls to Redis. */
  rankingsInDemand: () => Promise<{ scopes: RankingScope[]; ticket: FillTicket }>;
};

/** Rankings that the schedule keeps up to date: those that somebody asked for in this time. */
const DEMAND_MS = 600_000;
const DEMAND_MAX = 200;

export function createPostListCache(redis: RedisClient): PostListCache {
  async function read(scriptKeys: string[], args: (string | number)[]): Promise<CachedPage> {
    const [readAt, mine, content, ...values] = await redis.script<
      [string, number, string | null, ...(string | number)[]]
    >(READ_LISTED, scriptKeys, args);
    const page: CachedPage = {
      ids: null,
      found: new Map(),
      unflushedViews: new Map(),
      ticket: { readAt },
      mine: mine === 1,
    };
    if (content === null) return page;
    page.ids = [];
    const ids = content.split(",").slice(0, values.length / READ_STRIDE);
    for (const [index, text] of ids.entries()) {
      const [summary = "", likes = 0, comments = 0, views = 0] = values.slice(index * READ_STRIDE);
      if (text === "") continue;
      const id = Number(text);
      // Also one that is gone: the page does not show it, but goes on behind it.
      page.ids.push(id);
      if (summary === GONE) continue;
      if (summary === "") page.unflushedViews.set(id, Number(views));
      else page.found.set(id, parseSummary(String(summary), likes, comments, views));
    }
    return page;
  }

  async function fill(
    scriptKeys: string[],
    ids: readonly number[] | null,
    rows: readonly StoredSummary[],
    ticket: FillTicket,
    ttlSeconds: number,
  ): Promise<void> {
    const values = rows.flatMap(({ summary, revision }) => [summary.id, ...fillValues(summary, revision)]);
    await redis.script(FILL_LISTED, scriptKeys, [
      ticket.readAt,
      ids === null ? "none" : ids.join(","),
      ttlSeconds,
      ...values,
    ]);
  }

  const listKeys = (list: ListName) => [keys.list(list), keys.listHolds(list)];
  const rankingKeys = (scope: RankingScope) => [keys.popular(scope), keys.popularHolds(scope)];

  return {
    read: (list, count) => read(listKeys(list), [count]),
    readRanking: (scope, count) =>
      read(
        [...rankingKeys(scope), keys.popularLock(scope), keys.popularDemand()],
        [count, scope, RANKING_FRESH_MS, RANKING_LOCK_MS],
      ),
    fill: (list, ids, rows, ticket) => fill(listKeys(list), ids, rows, ticket, listTtlSeconds()),
    async fillRanking(scope, ids, rows, ticket) {
      await Promise.all([
        fill(rankingKeys(scope), ids, rows, ticket, RANKING_TTL_SECONDS),
        ids === null ? undefined : redis.run((pipe) => pipe.del(keys.popularLock(scope))),
      ]);
    },
    async unlockRanking(scope) {
      await redis.run((pipe) => pipe.del(keys.popularLock(scope)));
    },
    async rankingsInDemand() {
      const now = await redisTime(redis);
      const since = now - DEMAND_MS;
      const [scopes] = await Promise.all([
        redis.run<string[]>((pipe) =>
          pipe.zrange(keys.popularDemand(), "+inf", since, {
            byScore: true,
            rev: true,
            offset: 0,
            count: DEMAND_MAX,
          }),
        ),
        redis.run((pipe) => pipe.zremrangebyscore(keys.popularDemand(), 0, since - 1)),
      ]);
      return {
        scopes: scopes.map((scope) => (scope === "all" ? "all" : Number(scope))),
        ticket: { readAt: String(now) },
      };
    },
  };
}
