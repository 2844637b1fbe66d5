/**
 * The part of a board that is shown inside its posts, from Redis.
 * @module
 */
import { type RedisClient, RedisUnavailableError } from "../cache/client.ts";
import { keys } from "../cache/keys.ts";
import type { Background } from "../common/background.ts";
import type { BoardsRepository } from "./repository.ts";

const TTL_SECONDS = 3_600;

export type BoardReference = { id: number; name: string; slug: string };

export type BoardReferences = {
  /** Undefined when there is no such board. One Redis call when warm, one statement more when cold. */
  find: (id: number) => Promise<BoardReference | undefined>;
};

export function createBoardReferences(
  redis: RedisClient,
  repository: Pick<BoardsRepository, "findById">,
  background: Background,
): BoardReferences {
  return {
    async find(id) {
      let names: string | null = null;
      let cached: string | null = null;
      let reachable = true;
      try {
        [names, cached] = await redis.run<[string | null, string | null]>((pipe) =>
          pipe.mget(keys.names(), keys.board(id)),
        );
      } catch (error) {
        if (!(error instanceof RedisUnavailableError)) throw error;
        reachable = false;
      }
      if (cached !== null) {
        const entry = JSON.parse(cached) as { names: string; board: BoardReference };
        if (entry.names === (names ?? "")) return entry.board;
      }
      const row = await repository.findById(id);
      if (!row) return undefined;
      const board = { id: row.id, name: row.name, slug: row.slug };
      if (reachable) {
        // The names token is the one seen before the read: had a board been renamed since, the entry is out of date at once.
        const entry = JSON.stringify({ names: names ?? "", board });
        background("cache board", () =>
          redis.run((pipe) => pipe.set(keys.board(id), entry, { ex: TTL_SECONDS })),
        );
      }
      return board;
    },
  };
}
