/**
 * SQL of statistics.
 * @module
 */
import { and, gte, lt, type SQL, sql } from "drizzle-orm";
import type { Db } from "../db/client.ts";
import { comments } from "../db/schema/comments.ts";
import { likes } from "../db/schema/likes.ts";
import { posts } from "../db/schema/posts.ts";
import { activityRollups } from "../db/schema/stats.ts";
import { users } from "../db/schema/users.ts";
import { sqlTime } from "../db/time.ts";
import type { OffsetSpan } from "../common/time-zone.ts";

const BUCKET_SECONDS = 900;

export type StatsRepository = ReturnType<typeof createStatsRepository>;

/** Each method is one statement. */
export function createStatsRepository(db: Db) {
  /** Rows of one table as `(bucket, posts, comments, likes, users)`. Reads the index on `created_at`. */
  function rowsOf(table: SQL, createdAt: SQL, columns: SQL, from: Date, to: Date): SQL {
    const bucket = sql`from_unixtime(floor(unix_timestamp(${createdAt}) / ${BUCKET_SECONDS}) * ${BUCKET_SECONDS})`;
    return sql`select ${bucket} as bucket, ${columns} from ${table}
      where ${createdAt} >= ${sqlTime(from)} and ${createdAt} < ${sqlTime(to)}`;
  }

  return {
    /** The last quarter of an hour that was counted. */
    async lastBucket(): Promise<Date | undefined> {
      const [row] = await db
        .select({ bucket: activityRollups.bucket })
        .from(activityRollups)
        .orderBy(sql`${activityRollups.bucket} desc`)
        .limit(1);
      return row?.bucket;
    },

    /** When the first account was made: nothing is older. */
    async firstActivity(): Promise<Date | undefined> {
      const [row] = await db.select({ at: users.createdAt }).from(users).orderBy(users.createdAt).limit(1);
      return row?.at;
    },

    /** Counts what was created in `[from, to)` anew; both are starts of quarters of an hour. */
    async rollUp(from: Date, to: Date, now: Date): Promise<void> {
      const parts = [
        rowsOf(
          sql`${posts}`,
          sql`${posts.createdAt}`,
          sql`1 as posts, 0 as comments, 0 as likes, 0 as users`,
          from,
          to,
        ),
        rowsOf(sql`${comments}`, sql`${comments.createdAt}`, sql`0, 1, 0, 0`, from, to),
        rowsOf(sql`${likes}`, sql`${likes.createdAt}`, sql`0, 0, 1, 0`, from, to),
        rowsOf(sql`${users}`, sql`${users.createdAt}`, sql`0, 0, 0, 1`, from, to),
      ];
      // The last quarter of an hour gets a row even when nothing happened: the next run goes on from there.
      const last = sqlTime(new Date(to.getTime() - BUCKET_SECONDS * 1000));
      parts.push(sql`select cast(${last} as datetime(3)), 0, 0, 0, 0`);
      await db.execute(sql`
        insert into ${activityRollups} (bucket, posts, comments, likes, users, updated_at)
        select counted.bucket, sum(counted.posts), sum(counted.comments), sum(counted.likes), sum(counted.users), ${sqlTime(now)}
        from (${sql.join(parts, sql` union all `)}) as counted
        group by counted.bucket
        on duplicate key update posts = values(posts), comments = values(comments), likes = values(likes),
          users = values(users), updated_at = values(updated_at)`);
    },

    /** Sums per local date over `[from, to)`; days without anything are absent. */
    async daily(spans: OffsetSpan[], from: Date, to: Date) {
      const cases = spans
        .slice(1)
        .toReversed()
        .map(
          (span) =>
            sql`when ${activityRollups.bucket} >= ${sqlTime(new Date(span.startsAt))} then ${span.offsetMs / 1000}`,
        );
      const first = sql`${(spans[0]?.offsetMs ?? 0) / 1000}`;
      const offset = cases.length > 0 ? sql`case ${sql.join(cases, sql` `)} else ${first} end` : first;
      const date = sql<string>`date_format(date_add(${activityRollups.bucket}, interval ${offset} second), '%Y-%m-%d')`;
      return db
        .select({
          date: date.as("local_date"),
          posts: sql<number>`sum(${activityRollups.posts})`.mapWith(Number),
          comments: sql<number>`sum(${activityRollups.comments})`.mapWith(Number),
          likes: sql<number>`sum(${activityRollups.likes})`.mapWith(Number),
          users: sql<number>`sum(${activityRollups.users})`.mapWith(Number),
        })
        .from(activityRollups)
        .where(and(gte(activityRollups.bucket, from), lt(activityRollups.bucket, to)))
        .groupBy(sql`local_date`)
        .orderBy(sql`local_date`);
    },
  };
}
