/**
 * SQL of the health check.
 * @module
 */
import { sql } from "drizzle-orm";
import type { Db } from "../db/client.ts";
import { boards } from "../db/schema/boards.ts";
import { comments } from "../db/schema/comments.ts";
import { likes } from "../db/schema/likes.ts";
import { notifications } from "../db/schema/notifications.ts";
import { posts } from "../db/schema/posts.ts";
import { sessions, users } from "../db/schema/users.ts";
import { sqlTime } from "../db/time.ts";

/** All whose rows say what is still due for them, each with an index on that. */
const TABLES_WITH_EFFECTS = [users, sessions, boards, posts, comments, likes, notifications];

export type HealthRepository = ReturnType<typeof createHealthRepository>;

export function createHealthRepository(db: Db) {
  return {
    /** Whether effects of any row have been due since before `before`. One statement; at most one row of each index. */
    async hasDueBefore(before: Date): Promise<boolean> {
      const found = TABLES_WITH_EFFECTS.map(
        (table) =>
          sql`exists (select 1 from ${table} where ${table.effectsDueAt} < ${sqlTime(before)} limit 1)`,
      );
      const { rows } = await db.execute(sql`select ${sql.join(found, sql` or `)} as late`);
      const [row] = rows as { late: string }[];
      return Number(row?.late) === 1;
    },
  };
}
