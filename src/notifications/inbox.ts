/**
 * SQL of announcing: the lease of a reader, what is due to the reader, and that it is done.
 * @module
 */
import { and, asc, eq, isNotNull, isNull, lte, max, or, type SQL, sql } from "drizzle-orm";
import { alias } from "drizzle-orm/mysql-core";
import type { Db } from "../db/client.ts";
import { retryOnDeadlock } from "../db/errors.ts";
import { comments } from "../db/schema/comments.ts";
import { notificationActors, notificationReaders, notifications } from "../db/schema/notifications.ts";
import { posts } from "../db/schema/posts.ts";
import { users } from "../db/schema/users.ts";
import { sqlTime } from "../db/time.ts";
import type { Change, Inbox, NotificationState, Round } from "./round.ts";

/** How far the clocks of two Workers may be apart: what one has just made due is due to the other. */
const CLOCK_SKEW_MS = 5_000;

export type InboxRepository = ReturnType<typeof createInboxRepository>;

/** Each method is one statement. */
export function createInboxRepository(db: Db) {
  return {
    /**
     * Takes the reader's lease, or leaves a wish that makes its holder look again.
     * @param until the lease, milliseconds since the epoch
     * @returns false when another holds it
     */
    async lease(readerId: number, now: Date, until: number): Promise<boolean> {
      const result = await retryOnDeadlock(() =>
        db.execute(sql`
          insert into ${notificationReaders} (user_id, leased_until, wishes) values (${readerId}, ${until}, 1)
          on duplicate key update wishes = wishes + 1,
            leased_until = if(leased_until < ${now.getTime()}, last_insert_id(values(leased_until)), leased_until)`),
      );
      const isNew = result.rowsAffected === 1;
      return isNew || result.insertId === String(until);
    },

    /**
     * Gives a lease back.
     * @param wishes as seen when the reader's rows were read: with another one since, the lease is kept
     * @returns whether it was given back
     */
    async release(readerId: number, until: number, wishes?: number): Promise<boolean> {
      const result = await db
        .update(notificationReaders)
        .set({ leasedUntil: 0 })
        .where(
          and(
            eq(notificationReaders.userId, readerId),
            eq(notificationReaders.leasedUntil, until),
            wishes === undefined ? undefined : eq(notificationReaders.wishes, wishes),
          ),
        );
      return result.rowsAffected > 0;
    },

    /** What is due to a reader, longest due first, with who is behind it. Undefined for a reader without a lease. */
    async read(readerId: number, now: Date, limit: number): Promise<Inbox | undefined> {
      const due = and(
        isNotNull(notifications.effectsDueAt),
        lte(notifications.effectsDueAt, new Date(now.getTime() + CLOCK_SKEW_MS)),
      );
      const behind = db
        .select({
          notificationId: notificationActors.notificationId,
          people: sql`count(distinct ${notificationActors.actorId})`.mapWith(Number).as("people"),
          lastId: max(notificationActors.id).as("last_id"),
        })
        .from(notificationActors)
        .innerJoin(notifications, eq(notifications.id, notificationActors.notificationId))
        .where(and(eq(notifications.userId, readerId), due, eq(notificationActors.active, true)))
        .groupBy(notificationActors.notificationId)
        .as("behind");
      const lastActor = alias(notificationActors, "last_actor");
      const rows = await db
        .select({
          leasedUntil: notificationReaders.leasedUntil,
          wishes: notificationReaders.wishes,
          unreadCount:
            sql`(select count(*) from ${notifications} as unread force index (notifications_unread) where unread.user_id = ${readerId}
            and unread.withdrawn_at is null and unread.is_read = false)`.mapWith(Number),
          row: notifications,
          people: behind.people,
          postId: posts.id,
          commentId: comments.id,
          lastActorId: lastActor.actorId,
          lastActorName: users.username,
        })
        .from(notificationReaders)
        .leftJoin(notifications, and(eq(notifications.userId, notificationReaders.userId), due))
        .leftJoin(posts, and(eq(posts.id, notifications.postId), isNull(posts.deletedAt)))
        .leftJoin(
          comments,
          and(
            eq(notifications.targetType, "comment"),
            eq(comments.id, notifications.targetId),
            isNull(comments.deletedAt),
          ),
        )
        .leftJoin(behind, eq(behind.notificationId, notifications.id))
        .leftJoin(lastActor, eq(lastActor.id, behind.lastId))
        .leftJoin(users, eq(users.id, lastActor.actorId))
        .where(eq(notificationReaders.userId, readerId))
        .orderBy(asc(notifications.effectsDueAt), asc(notifications.id))
        .limit(limit);
      const [first] = rows;
      if (!first) return undefined;
      return {
        leasedUntil: first.leasedUntil,
        wishes: first.wishes,
        unreadCount: first.unreadCount,
        rows: rows.flatMap(({ row, people, postId, commentId, lastActorId, lastActorName }) => {
          if (!row?.effectsDueAt) return [];
          const gone = postId === null || (row.targetType === "comment" && commentId === null);
          return {
            ...row,
            effectsDueAt: row.effectsDueAt,
            people: gone ? 0 : (people ?? 0),
            lastActor: lastActorId === null ? null : { id: lastActorId, username: lastActorName },
          };
        }),
      };
    },

    /** Writes rows that nobody changed since they were read. @returns how many */
    async apply(changes: Change[], now: Date): Promise<number> {
      const set = <Key extends keyof NotificationState>(key: Key) =>
        byId(changes.map(({ id, to }) => [id, to[key]]));
      const result = await retryOnDeadlock(() =>
        db
          .update(notifications)
          .set({
            actorId: set("actorId"),
            actorCount: set("actorCount"),
            withdrawnAt: set("withdrawnAt"),
            announcedRevision: set("announcedRevision"),
            frames: set("frames"),
            revision: set("revision"),
            updatedAt: now,
          })
          .where(
            or(
              ...changes.map(({ id, revision }) =>
                and(eq(notifications.id, id), eq(notifications.revision, revision)),
              ),
            ),
          ),
      );
      return result.rowsAffected;
    },

    /** Marks what a round told as told, and until when the rest is held back; not what was touched meanwhile. */
    async settle(readerId: number, { settled, readTogether }: Round): Promise<void> {
      await retryOnDeadlock(() =>
        db
          .update(notifications)
          .set({
            effectsDueAt: byId(settled.map(({ id, dueAt }) => [id, dueAt])),
            announcedRevision: sql`if(${notifications.isRead}, ${notifications.revision}, ${byId(
              settled.map(({ id, announcedRevision }) => [id, announcedRevision]),
            )})`,
          })
          .where(
            or(
              ...settled.map(({ id, revision, touched }) =>
                and(
                  eq(notifications.id, id),
                  eq(notifications.revision, revision),
                  eq(notifications.touched, touched),
                ),
              ),
              ...readTogether.map(({ readUpTo, effectsDueAt }) =>
                and(
                  eq(notifications.userId, readerId),
                  eq(notifications.readUpTo, readUpTo),
                  eq(notifications.effectsDueAt, effectsDueAt),
                  eq(notifications.touched, 0),
                ),
              ),
            ),
          ),
      );
    },

    /** Readers to whom something has been due since `before`, longest due first. */
    async listReaders(before: Date, limit: number): Promise<number[]> {
      const rows = await db
        .select({ readerId: notifications.userId })
        .from(notifications)
        .where(lte(notifications.effectsDueAt, before))
        .groupBy(notifications.userId)
        .orderBy(sql`min(${notifications.effectsDueAt})`)
        .limit(limit);
      return rows.map(({ readerId }) => readerId);
    },
  };
}

/** A value for each row; null for rows that are not named. */
function byId(values: [id: number, value: number | string | Date | null][]): SQL {
  const cases = values.map(
    ([id, value]) => sql`when ${id} then ${value instanceof Date ? sqlTime(value) : value}`,
  );
  return sql`case ${notifications.id} ${sql.join(cases, sql` `)} end`;
}
