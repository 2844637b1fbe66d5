/**
 * Popular posts: a score that decays with time, computed for all boards and for each, kept as ids in Redis over posts that
 * are cached by themselves.
 * @module
 */
import { ignoreOutage } from "../cache/client.ts";
import type { Background } from "../common/background.ts";
import { delay } from "../common/delay.ts";
import { nullWhileAway } from "../db/errors.ts";
import type { CachedPage, PostListCache } from "./list-cache.ts";
import type { PostListsRepository, StoredSummary } from "./lists-repository.ts";
import { complete, likesOfReader, type Summary } from "./lists.ts";
import type { RankingScope } from "./schema.ts";

/** Posts that are kept per ranking: the largest page. */
const RANKING_SIZE = 100;
/** Rankings per statement: each reads some 2,000 rows. */
const RANKINGS_PER_STATEMENT = 20;
/** Between looks at a ranking that another reader computes, in milliseconds; after the last one this reader computes it too. */
const WAITS_MS = [20, 40, 80, 160, 320, 640, 1_000, 1_000];

export type PopularRankings = {
  /**
   * The first `limit` (100 at most), best first. Warm: one Redis call (and, signed in, one statement beside it). Cold: one
   * statement more, after it, by one reader, while the others wait for it.
   */
  list: (scope: RankingScope, limit: number, viewerId: number | null) => Promise<Summary[]>;
  /** Computes and keeps the ranking of all boards and those that were asked for lately. A statement for 20. @returns how many */
  refresh: () => Promise<number>;
};

type Deps = {
  cache: PostListCache;
  repository: PostListsRepository;
  background: Background;
  now: () => Date;
};

export function createPopularRankings({ cache, repository, background, now }: Deps): PopularRankings {
  async function keep(scopes: readonly RankingScope[], ticket: CachedPage["ticket"]): Promise<void> {
    const rankings = await repository.rank(scopes, RANKING_SIZE, now());
    await Promise.all([...rankings].map(([scope, ids]) => cache.fillRanking(scope, ids, [], ticket)));
  }

  /** Undefined while Redis is away. */
  async function look(scope: RankingScope, limit: number): Promise<CachedPage | undefined> {
    return (await cache.readRanking(scope, limit).catch(ignoreOutage)) ?? undefined;
  }

  async function compute(
    scope: RankingScope,
    limit: number,
    page: CachedPage | undefined,
  ): Promise<StoredSummary[]> {
    try {
      const ranked = await repository.listRanked(scope, RANKING_SIZE, now());
      const shown = ranked.slice(0, limit);
      if (page) {
        const ids = ranked.map(({ summary }) => summary.id);
        background("keep popular posts", () => cache.fillRanking(scope, ids, shown, page.ticket));
      }
      return shown;
    } catch (error) {
      if (page?.mine) background("leave popular posts to others", () => cache.unlockRanking(scope));
      throw error;
    }
  }

  return {
    async list(scope, limit, viewerId) {
      const likedBy = likesOfReader(repository, viewerId);
      let page = await look(scope, limit);
      for (const waitMs of WAITS_MS) {
        if (!page || page.ids || page.mine) break;
        await delay(waitMs * (0.5 + Math.random() / 2));
        page = await look(scope, limit);
      }
      if (!page?.ids) {
        const shown = await compute(scope, limit, page);
        const liked = await likedBy(shown.map(({ summary }) => summary.id));
        return shown.map(({ summary }) => ({ ...summary, likedByMe: liked(summary.id) }));
      }
      const { ids, found, ticket, mine } = page;
      if (mine) background("refresh popular posts", () => keep([scope], ticket));
      // While the database is away, what is cached is better than nothing.
      const [read, liked] = await Promise.all([
        nullWhileAway(complete(page, (missing) => repository.listByIds(missing))),
        likedBy(ids),
      ]);
      if (read?.length) background("fill popular posts", () => cache.fillRanking(scope, null, read, ticket));
      return ids.flatMap((id) => {
        const summary = found.get(id);
        return summary ? [{ ...summary, likedByMe: liked(id) }] : [];
      });
    },

    async refresh() {
      const { scopes, ticket } = await cache.rankingsInDemand();
      const wanted = [...new Set<RankingScope>(["all", ...scopes])];
      for (let at = 0; at < wanted.length; at += RANKINGS_PER_STATEMENT) {
        await keep(wanted.slice(at, at + RANKINGS_PER_STATEMENT), ticket);
      }
      return wanted.length;
    },
  };
}
