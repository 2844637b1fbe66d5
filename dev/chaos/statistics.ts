/**
 * Statistics of what runs have left behind: their rows are moved into a day long ago that is theirs alone, and counted.
 * @module
 */
import { and, gte, inArray, lt, type SQL, sql } from "drizzle-orm";
import type { MySqlColumn } from "drizzle-orm/mysql-core";
import type { Db } from "../../src/db/client.ts";
import { retryOnDeadlock } from "../../src/db/errors.ts";
import { comments } from "../../src/db/schema/comments.ts";
import { likes } from "../../src/db/schema/likes.ts";
import { posts } from "../../src/db/schema/posts.ts";
import { activityRollups } from "../../src/db/schema/stats.ts";
import { users } from "../../src/db/schema/users.ts";
import { sqlTime } from "../../src/db/time.ts";
import { createStatsRepository } from "../../src/stats/repository.ts";
import { createStatsService } from "../../src/stats/service.ts";
import { postsOf } from "./database.ts";
import type { Cast } from "./play.ts";

const DAY_MS = 86_400_000;
const QUARTER_MS = 900_000;
/** Days from 1971 on, among which runs choose one. */
const DAYS = 10_000;

/** Complaints, each a line; none when all is well. Afterwards the rows are old. */
export async function wrongStatistics(db: Db, casts: readonly Cast[]): Promise<string[]> {
  const repository = createStatsRepository(db);
  // The next ordinary run goes on from now, not from the old rows.
  await createStatsService({ repository, now: () => new Date() }).rollUp();
  const from = new Date(Date.UTC(1971, 0, 1) + Math.floor(Math.random() * DAYS) * DAY_MS);
  const to = new Date(from.getTime() + DAY_MS);
  await moveTo(db, casts, from);
  // Twice at once, and once more: it counts anew, and adds nothing.
  const rollUp = () => retryOnDeadlock(() => repository.rollUp(from, to, new Date()));
  await Promise.all([rollUp(), rollUp()]);
  await rollUp();

  const [counted, ...tables] = await Promise.all([
    db
      .select()
      .from(activityRollups)
      .where(and(gte(activityRollups.bucket, from), lt(activityRollups.bucket, to))),
    ...[posts, comments, likes, users].map((table) =>
      db
        .select({ at: table.createdAt })
        .from(table)
        .where(and(gte(table.createdAt, from), lt(table.createdAt, to))),
    ),
  ]);
  return (["posts", "comments", "likes", "users"] as const).flatMap((name, index) => {
    const there = new Map<number, number>();
    for (const { at } of tables[index] ?? []) {
      const bucket = Math.floor(at.getTime() / QUARTER_MS);
      there.set(bucket, (there.get(bucket) ?? 0) + 1);
    }
    const rolled = counted.filter((row) => row[name] > 0);
    const wrong = rolled.filter(
      (row) => row[name] !== there.get(Math.floor(row.bucket.getTime() / QUARTER_MS)),
    );
    if (wrong.length === 0 && rolled.length === there.size) return [];
    return [`statistics of ${name}: ${JSON.stringify(rolled)} instead of ${JSON.stringify([...there])}`];
  });
}

/** Spreads the rows over the quarters of an hour of a day. */
async function moveTo(db: Db, casts: readonly Cast[], day: Date): Promise<void> {
  const boardIds = casts.map(({ boardId }) => boardId);
  const userIds = casts.flatMap(({ actors }) => actors.map(({ id }) => id));
  const at = (id: MySqlColumn): { createdAt: SQL } => ({
    createdAt: sql`date_add(${sqlTime(day)}, interval (${id} % 96) * 15 minute)`,
  });
  await Promise.all([
    db
      .update(comments)
      .set(at(comments.id))
      .where(inArray(comments.postId, postsOf(db, boardIds))),
    db
      .update(likes)
      .set(at(likes.id))
      .where(inArray(likes.postId, postsOf(db, boardIds))),
    db.update(users).set(at(users.id)).where(inArray(users.id, userIds)),
  ]);
  await db.update(posts).set(at(posts.id)).where(inArray(posts.boardId, boardIds));
}
