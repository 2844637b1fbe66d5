/**
 * What is still to be done after writes, in every table that has effects. The database is one run's own.
 * @module
 */
import { gt, isNotNull } from "drizzle-orm";
import type { Db } from "../../src/db/client.ts";
import { boards } from "../../src/db/schema/boards.ts";
import { comments } from "../../src/db/schema/comments.ts";
import { likes } from "../../src/db/schema/likes.ts";
import { notifications } from "../../src/db/schema/notifications.ts";
import { posts } from "../../src/db/schema/posts.ts";
import { sessions, users } from "../../src/db/schema/users.ts";

const TABLES = { users, sessions, boards, posts, comments, likes, notifications };
/** Sweeps of notifications leave alone what came due in the last 2 s. */
const SWEPT_AFTER_MS = 3_000;

/** Complaints, one for each table with rows that are due; none when all is done. A statement for each table. */
export async function dueDifferences(db: Db): Promise<string[]> {
  const counts = await Promise.all(
    Object.entries(TABLES).map(
      async ([name, table]) => [name, await db.$count(table, isNotNull(table.effectsDueAt))] as const,
    ),
  );
  return counts.flatMap(([name, due]) => (due > 0 ? [`${name}: effects of ${due} rows are still due`] : []));
}

/**
 * Lets the time pass for which further frames of a notification are held back, ten minutes at most: the next sweep tells
 * of them. What is overdue already stays as it is. One statement.
 * @returns how many notifications were held back
 */
export async function endHoldingBack(db: Db): Promise<number> {
  const now = Date.now();
  const { rowsAffected } = await db
    .update(notifications)
    .set({ effectsDueAt: new Date(now - SWEPT_AFTER_MS), frames: "" })
    .where(gt(notifications.effectsDueAt, new Date(now)));
  return rowsAffected;
}
