/**
 * SQL of likes: one table for posts and comments.
 * @module
 */
import { and, asc, desc, eq, lt, type SQL, sql } from "drizzle-orm";
import type { SweepOrder } from "../common/sweep.ts";
import type { Db } from "../db/client.ts";
import { retryOnDeadlock } from "../db/errors.ts";
import { comments } from "../db/schema/comments.ts";
import { likes } from "../db/schema/likes.ts";
import { posts } from "../db/schema/posts.ts";
import { sqlTime } from "../db/time.ts";
import type { LikeTarget } from "./targets.ts";

/** The count after a statement, and the revision of the target that orders it. */
export type LikeState = { likeCount: number; revision: number };

/**
 * A statement that changes a count tells it, and the row's revision, through `LAST_INSERT_ID(expr)`: revision above,
 * count in the lower 31 bits. It saves the round trip of reading them back.
 */
const COUNT_BITS = 31n;
const COUNT_MASK = (1n << COUNT_BITS) - 1n;

/** Far above every id: tells an existing row apart from a new one, whose id is reported. Its lowest bit is `active`. */
const EXISTING = 1n << 62n;

/** As digits: a quoted parameter would make the server calculate in floating point. */
function literal(value: bigint): SQL {
  return sql.raw(value.toString());
}

export type LikesRepository = ReturnType<typeof createLikesRepository>;

/** Each method is one statement, and costs the same however many likes there are. */
export function createLikesRepository(db: Db) {
  const tableOf = (target: LikeTarget) => (target.type === "post" ? posts : comments);

  /** The target while it can be liked: not deleted, nor its post. */
  function likeable(target: LikeTarget): SQL {
    return target.type === "post"
      ? sql`${posts} where ${posts.id} = ${target.id} and ${posts.deletedAt} is null`
      : sql`${comments} join ${posts} on ${posts.id} = ${comments.postId} and ${posts.deletedAt} is null
          where ${comments.id} = ${target.id} and ${comments.deletedAt} is null`;
  }

  function unpack(result: { rowsAffected: number; insertId: string }): LikeState | undefined {
    if (result.rowsAffected === 0) return undefined;
    const packed = BigInt(result.insertId);
    return { likeCount: Number(packed & COUNT_MASK), revision: Number(packed >> COUNT_BITS) };
  }

  /** Turns a like on or off and moves the count with it, in one statement, if it is not so already. */
  async function turn(
    userId: number,
    target: LikeTarget,
    active: boolean,
    now: Date,
  ): Promise<LikeState | undefined> {
    const table = tableOf(target);
    const step = active ? sql`+ 1` : sql`- 1`;
    const packed = sql`last_insert_id((${table.revision} + 1) * ${literal(COUNT_MASK + 1n)} + ${table.likeCount} ${step})`;
    const ofLivingPost =
      target.type === "post"
        ? sql``
        : sql` and exists (select 1 from ${posts} where ${posts.id} = ${comments.postId} and ${posts.deletedAt} is null)`;
    const result = await retryOnDeadlock(() =>
      db.execute(sql`
        update ${likes} force index (likes_user_target) join ${table} on ${table.id} = ${likes.targetId}
        set ${table.likeCount} = ${packed} & ${literal(COUNT_MASK)}, ${table.revision} = ${table.revision} + 1,
          ${likes.active} = ${active}, ${likes.revision} = ${likes.revision} + 1,
          ${likes.updatedAt} = ${sqlTime(now)}, ${likes.effectsDueAt} = ${sqlTime(now)}
        where ${likes.userId} = ${userId} and ${likes.targetType} = ${target.type} and ${likes.targetId} = ${target.id}
          and ${likes.active} = ${!active} and ${table.deletedAt} is null${ofLivingPost}`),
    );
    return unpack(result);
  }

  return {
    /**
     * Makes sure that there is a row to turn on.
     * @returns `missing` when there is nothing to like
     */
    async prepare(userId: number, target: LikeTarget, now: Date): Promise<"inactive" | "active" | "missing"> {
      const postId = target.type === "post" ? posts.id : comments.postId;
      const at = sqlTime(now);
      const result = await retryOnDeadlock(() =>
        db.execute(sql`
          insert into ${likes} (user_id, target_type, target_id, post_id, created_at, updated_at)
          select ${userId}, ${target.type}, ${tableOf(target).id}, ${postId}, ${at}, ${at} from ${likeable(target)}
          on duplicate key update revision = ${likes.revision} + 0 * last_insert_id(${literal(EXISTING)} + ${likes.active})`),
      );
      if (result.rowsAffected === 0) return "missing";
      const told = BigInt(result.insertId);
      return told >= EXISTING && (told & 1n) === 1n ? "active" : "inactive";
    },

    /** @returns undefined when the like is on already, or when the target is gone */
    turnOn: (userId: number, target: LikeTarget, now: Date) => turn(userId, target, true, now),

    /** @returns undefined when the like is off already, or when the target is gone */
    turnOff: (userId: number, target: LikeTarget, now: Date) => turn(userId, target, false, now),

    /** The count of a target that can be liked. */
    async state(target: LikeTarget): Promise<LikeState | undefined> {
      const table = tableOf(target);
      const result = await db.execute(
        sql`select ${table.likeCount} as likeCount, ${table.revision} as revision from ${likeable(target)} limit 1`,
      );
      const row = result.rows[0] as { likeCount: number; revision: number } | undefined;
      return row && { likeCount: row.likeCount, revision: row.revision };
    },

    /** The row, with the post in whose room the like is told. */
    async find(userId: number, target: LikeTarget) {
      const [row] = await db
        .select({ id: likes.id, postId: likes.postId, revision: likes.revision })
        .from(likes)
        .where(
          and(eq(likes.userId, userId), eq(likes.targetType, target.type), eq(likes.targetId, target.id)),
        )
        .limit(1);
      return row;
    },

    /** Marks the effects of the change at `dueAt` as done, unless there was another since. */
    async settle(userId: number, target: LikeTarget, dueAt: Date): Promise<void> {
      // By the key of the change, not by that of due effects: locked in one order, the two are no deadlock.
      await retryOnDeadlock(() =>
        db.execute(sql`
          update ${likes} force index (likes_user_target) set ${likes.effectsDueAt} = null
          where ${likes.userId} = ${userId} and ${likes.targetType} = ${target.type}
            and ${likes.targetId} = ${target.id} and ${likes.effectsDueAt} = ${sqlTime(dueAt)}`),
      );
    },

    /** Likes whose effects are overdue since before `before`. */
    async listOverdue(before: Date, order: SweepOrder, limit: number) {
      return db
        .select({
          userId: likes.userId,
          type: likes.targetType,
          targetId: likes.targetId,
          postId: likes.postId,
          dueAt: sql<Date>`${likes.effectsDueAt}`.mapWith(likes.effectsDueAt),
        })
        .from(likes)
        .where(lt(likes.effectsDueAt, before))
        .orderBy(order === "oldest" ? asc(likes.effectsDueAt) : desc(likes.effectsDueAt))
        .limit(limit);
    },
  };
}
