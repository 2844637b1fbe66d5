/**
 * The part of a board that is shown inside its posts, from Redis.
 * @module
 */
import { ignoreOutage, type RedisClient } from "../cache/client.ts";
import { keys } from "../cache/keys.ts";
import { redisTime } from "../cache/time.ts";
import type { Background } from "../common/background.ts";
import type { BoardsRepository } from "./repository.ts";

const TTL_SECONDS = 3_600;

export type BoardReference = { id: number; name: string; slug: string };

export type BoardReferences = {
  /** Undefined when there is no such board. One Redis call when warm, one statement more when cold. */
  find: (id: number) => Promise<BoardReference | undefined>;
};

/** `readAt`: Redis's time before the board was read. */
type Entry = { readAt: number; board: BoardReference };

export function createBoardReferences(
  redis: RedisClient,
  repository: Pick<BoardsRepository, "findById">,
  background: Background,
): BoardReferences {
  /** Undefined while Redis is away. */
  async function look(id: number) {
    const found = await Promise.all([
      redis.run<[string | null, string | null]>((pipe) =>
        pipe.mget(keys.renamed(`board:${id}`), keys.board(id)),
      ),
      redisTime(redis),
    ]).catch(ignoreOutage);
    if (!found) return undefined;
    const [[renamedAt, cached], now] = found;
    const entry = cached === null ? undefined : (JSON.parse(cached) as Entry);
    const valid = entry && entry.readAt > Number(renamedAt ?? 0);
    return { now, board: valid ? entry.board : undefined };
  }

  return {
    async find(id) {
      const known = await look(id);
      if (known?.board) return known.board;
      const row = await repository.findById(id);
      if (!row) return undefined;
      const board = { id: row.id, name: row.name, slug: row.slug };
      if (known) {
        // Had the board been renamed since that time, the entry is out of date at once.
        const entry: Entry = { readAt: known.now, board };
        background("cache board", () =>
          redis.run((pipe) => pipe.set(keys.board(id), JSON.stringify(entry), { ex: TTL_SECONDS })),
        );
      }
      return board;
    },
  };
}
