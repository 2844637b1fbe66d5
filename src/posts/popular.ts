/**
 * Popular posts: a score that decays with time, computed for all boards and for each, kept as ids in Redis.
 * @module
 */
import { ignoreOutage, type RedisClient } from "../cache/client.ts";
import { keys } from "../cache/keys.ts";
import type { Background } from "../common/background.ts";
import type { PostsRepository } from "./repository.ts";
import type { ForReader, PostSummary } from "./schema.ts";

/** Posts that are kept per ranking: the largest page. */
const RANKING_SIZE = 100;
const POPULAR_TTL_SECONDS = 120;
/** Older than this, a ranking is recomputed while it is served. */
const FRESH_SECONDS = 60;

export type Scope = number | "all";
type Ranking = { ids: number[]; at: number };
type Summary = ForReader<PostSummary>;

export type PopularRankings = {
  /** The first `limit` (100 at most), best first. A Redis call, then one statement, warm and cold. */
  list: (scope: Scope, limit: number, viewerId: number | null) => Promise<Summary[]>;
  /** Computes and keeps a ranking. One statement and a Redis call. */
  refresh: (scope: Scope) => Promise<void>;
};

type Deps = {
  redis: RedisClient;
  repository: Pick<PostsRepository, "listByIds" | "listRanked">;
  background: Background;
  now: () => Date;
};

export function createPopularRankings({ redis, repository, background, now }: Deps): PopularRankings {
  async function compute(scope: Scope, viewerId: number | null): Promise<Summary[]> {
    return repository.listRanked(scope === "all" ? {} : { boardId: scope }, RANKING_SIZE, now(), viewerId);
  }

  async function keep(scope: Scope, rows: Summary[]): Promise<void> {
    const ranking: Ranking = { ids: rows.map((row) => row.id), at: now().getTime() };
    await redis
      .run((pipe) => pipe.set(keys.popular(scope), JSON.stringify(ranking), { ex: POPULAR_TTL_SECONDS }))
      .catch(ignoreOutage);
  }

  async function refresh(scope: Scope): Promise<void> {
    await keep(scope, await compute(scope, null));
  }

  return {
    refresh,
    async list(scope, limit, viewerId) {
      const cached = await redis
        .run<string | null>((pipe) => pipe.get(keys.popular(scope)))
        .catch(ignoreOutage);
      if (!cached) {
        const rows = await compute(scope, viewerId);
        background("keep popular posts", () => keep(scope, rows));
        return rows.slice(0, limit);
      }
      const ranking = JSON.parse(cached) as Ranking;
      if (now().getTime() - ranking.at > FRESH_SECONDS * 1000)
        background("refresh popular posts", () => refresh(scope));
      const ids = ranking.ids.slice(0, limit);
      const rows = new Map((await repository.listByIds(ids, viewerId)).map((row) => [row.id, row]));
      return ids.flatMap((id) => rows.get(id) ?? []);
    },
  };
}
