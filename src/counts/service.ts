/**
 * Stored counts heal: a scheduled check goes through the tables bit by bit, compares each count with what it counts,
 * and repairs what has drifted.
 * @module
 */
import type { Logger } from "../common/logger.ts";
import { DONE, type Outcome, persist, UNAVAILABLE } from "../common/retry.ts";
import { workOff } from "../common/sweep.ts";
import type { PostCache } from "../posts/cache.ts";
import type { RoomPublisher } from "../realtime/publisher.ts";
import type { CheckedRow, CountedTable, CountsRepository, Place, RepairedRow } from "./repository.ts";

type Deps = {
  repository: CountsRepository;
  cache: Pick<PostCache, "fence">;
  rooms: Pick<RoomPublisher, "publishCount">;
  log: Logger;
  now: () => Date;
};

/** One run: chunks of rows, one statement each while nothing has drifted. With four runs an hour, 1.9 million rows a day. */
const EXTENT: Record<CountedTable, { chunks: number; rows: number }> = {
  posts: { chunks: 20, rows: 1_000 },
  comments: { chunks: 20, rows: 1_000 },
  // A board's posts are counted one by one.
  boards: { chunks: 1, rows: 20 },
};
/** How often a row that changes while it is repaired is looked at again. */
const REPAIR_TRIES = 5;
/** How long caches and rooms are tried before the rest of the table waits for the next run. */
const TELL_PATIENCE_MS = 20_000;

export type CountsService = ReturnType<typeof createCountsService>;

export function createCountsService({ repository, cache, rooms, log, now }: Deps) {
  async function tellOf(table: "posts" | "comments", row: RepairedRow): Promise<Outcome> {
    if (table === "posts") await cache.fence(row.id, row.revision);
    return rooms.publishCount(row.postId, {
      type: table === "posts" ? "post_liked" : "comment_liked",
      targetId: row.id,
      likeCount: row.likeCount,
      revision: row.revision,
    });
  }

  /** Caches and rooms of repaired rows; a board says in its row that its effects are due. */
  async function tell(table: CountedTable, ids: number[]): Promise<Outcome> {
    if (table === "boards" || ids.length === 0) return DONE;
    return persist(async () => {
      const rows = await repository.find(table, ids);
      return (await workOff(rows, (row) => tellOf(table, row))) === rows.length ? DONE : UNAVAILABLE;
    }, now().getTime() + TELL_PATIENCE_MS);
  }

  /** Repairs the rows of a chunk that have drifted. A row that somebody changes meanwhile is counted anew. @returns their ids */
  async function repair(table: CountedTable, chunk: CheckedRow[], place: Place): Promise<number[]> {
    const afterId = (chunk[0]?.id ?? 1) - 1;
    let drifted = chunk.filter(hasDrifted);
    const ids = drifted.map(({ id }) => id);
    if (ids.length === 0) return [];
    log.warn("counts have drifted", { table, rows: ids.length, by: drifted.reduce(addDrift, 0) });
    // Before the repair, after which nothing shows that there was one.
    await repository.setPlace(table, { ...place, untold: ids });
    for (let attempt = 1; drifted.length > 0 && attempt <= REPAIR_TRIES; attempt += 1) {
      if ((await repository.repair(table, drifted, now())) === drifted.length) return ids;
      drifted = (await repository.check(table, afterId, chunk.length)).filter(hasDrifted);
    }
    if (drifted.length > 0)
      log.warn("counts change too fast to be repaired", { table, rows: drifted.length });
    return ids;
  }

  /** @returns how many rows were repaired */
  async function checkTable(table: CountedTable): Promise<number> {
    let place = await repository.place(table);
    let repaired = 0;
    const tellUntold = async (): Promise<boolean> => {
      const told = await tell(table, place.untold);
      if (told.status === "done") place = { ...place, untold: [] };
      return told.status === "done";
    };
    // Of a run that died.
    if (!(await tellUntold())) return 0;
    const { chunks, rows } = EXTENT[table];
    for (let count = 0; count < chunks; count += 1) {
      const chunk = await repository.check(table, place.afterId, rows);
      const ids = await repair(table, chunk, place);
      repaired += ids.length;
      const last = chunk.at(-1);
      const more = last !== undefined && chunk.length === rows;
      place = { afterId: more ? last.id : 0, untold: ids };
      if (!(await tellUntold())) break;
      if (!more) break;
    }
    await repository.setPlace(table, place);
    return repaired;
  }

  return {
    /**
     * Goes on through all tables: posts' likes and comments, comments' likes, boards' posts. Two statements and one for
     * each chunk; three more where something has drifted. @returns how many rows were repaired
     */
    async check(): Promise<number> {
      const repaired = await Promise.all([checkTable("posts"), checkTable("comments"), checkTable("boards")]);
      return repaired.reduce((sum, count) => sum + count, 0);
    },
  };
}

function driftOf({ stored, counted }: CheckedRow): number {
  return (
    Math.abs(stored.likes - counted.likes) +
    Math.abs(stored.comments - counted.comments) +
    Math.abs(stored.posts - counted.posts)
  );
}

function hasDrifted(row: CheckedRow): boolean {
  return driftOf(row) > 0;
}

function addDrift(sum: number, row: CheckedRow): number {
  return sum + driftOf(row);
}
