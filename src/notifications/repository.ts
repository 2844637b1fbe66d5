/**
 * SQL of notifications: what their reader asks for, and who is behind them.
 * @module
 */
import { and, desc, eq, inArray, isNull, lt, type SQL, sql } from "drizzle-orm";
import type { Db } from "../db/client.ts";
import { retryOnDeadlock } from "../db/errors.ts";
import { comments } from "../db/schema/comments.ts";
import { likes } from "../db/schema/likes.ts";
import { notificationActors, notificationReaders, notifications } from "../db/schema/notifications.ts";
import { posts } from "../db/schema/posts.ts";
import { users } from "../db/schema/users.ts";
import { sqlTime } from "../db/time.ts";
import { toNotification } from "./schema.ts";

/** What a notification can come from. */
export type Source = { type: "comment" | "like"; id: number };

/** A source as it is now, and what there is of its notification. */
export type SourceFacts = {
  readerId: number;
  actorId: number;
  targetType: "post" | "comment";
  targetId: number;
  postId: number;
  /** Not taken back, not about something deleted, and with somebody to tell who did not do it himself. */
  tellable: boolean;
  /** The source is behind a notification, read or not. */
  bound: boolean;
  /** The target has an unread notification. */
  open: boolean;
  /** The reader's room was told of that one. */
  announced: boolean;
};

/** Rows that one statement marks as read, at most. */
const READ_LIMIT = 5_000;
/** Actors that one statement deletes, at most. */
const DELETE_LIMIT = 10_000;

const unread = and(isNull(notifications.withdrawnAt), eq(notifications.isRead, false));

/** `<type>:<target>:<id>`, under which a target's notifications of one reader are found. */
function targetKey(type: Source["type"], target: Pick<SourceFacts, "targetType" | "targetId">): string {
  return `${type}:${target.targetType}:${target.targetId}`;
}

const openKey = (key: string) => `${key}:open`;

/** A read notification makes room for the next one of its target; sorts by age, below `open`. */
const closedKey = sql`concat(${notifications.type}, ':', ${notifications.targetType}, ':', ${notifications.targetId}, ':', lpad(${notifications.id}, 20, '0'))`;

export type NotificationsRepository = ReturnType<typeof createNotificationsRepository>;

/** Each method is one statement unless it says otherwise. */
export function createNotificationsRepository(db: Db) {
  // The index is named: the optimizer must not merge two of them and sort.
  const select = (index: string) =>
    db
      .select({
        id: notifications.id,
        type: notifications.type,
        targetType: notifications.targetType,
        targetId: notifications.targetId,
        postId: notifications.postId,
        actorId: notifications.actorId,
        actorName: users.username,
        actorCount: notifications.actorCount,
        isRead: notifications.isRead,
        createdAt: notifications.createdAt,
      })
      .from(notifications, { forceIndex: index })
      .leftJoin(users, eq(users.id, notifications.actorId));
  type Row = Awaited<ReturnType<typeof select>>[number];
  const fromRow = ({ actorId, actorName, ...row }: Row) =>
    toNotification({ ...row, actor: actorName === null ? null : { id: actorId, username: actorName } });

  return {
    /** Newest first, from below `beforeId`, without withdrawn ones. */
    async list(userId: number, limit: number, beforeId: number | undefined, unreadOnly: boolean) {
      const rows = await select(unreadOnly ? "notifications_unread" : "notifications_user")
        .where(
          and(
            eq(notifications.userId, userId),
            isNull(notifications.withdrawnAt),
            unreadOnly ? eq(notifications.isRead, false) : undefined,
            beforeId === undefined ? undefined : lt(notifications.id, beforeId),
          ),
        )
        .orderBy(desc(notifications.id))
        .limit(limit);
      return rows.map(fromRow);
    },

    /** The reader's notification, unless it was withdrawn. */
    async find(userId: number, id: number) {
      const [row] = await select("PRIMARY")
        .where(
          and(eq(notifications.id, id), eq(notifications.userId, userId), isNull(notifications.withdrawnAt)),
        )
        .limit(1);
      return row && fromRow(row);
    },

    async countUnread(userId: number): Promise<number> {
      const [row] = await db
        .select({ count: sql`count(*)`.mapWith(Number) })
        .from(notifications, { forceIndex: "notifications_unread" })
        .where(and(eq(notifications.userId, userId), unread));
      return row?.count ?? 0;
    },

    /** @returns false when there is no such notification, or it is read already */
    async markRead(userId: number, id: number, now: Date): Promise<boolean> {
      const result = await retryOnDeadlock(() =>
        db
          .update(notifications)
          .set({
            isRead: true,
            dedupeKey: closedKey,
            revision: sql`${notifications.revision} + 1`,
            effectsDueAt: now,
            updatedAt: now,
          })
          .where(and(eq(notifications.id, id), eq(notifications.userId, userId), unread)),
      );
      return result.rowsAffected > 0;
    },

    /** Marks what is not newer than `upTo`, one statement for every 5,000 of them. @returns how many */
    async markReadUpTo(userId: number, upTo: number, now: Date): Promise<number> {
      const at = sqlTime(now);
      for (let total = 0; ;) {
        const { rowsAffected } = await retryOnDeadlock(() =>
          db.execute(sql`
            update ${notifications} set is_read = true, dedupe_key = ${closedKey}, revision = revision + 1,
              read_up_to = ${upTo}, touched = 0, effects_due_at = ${at}, updated_at = ${at}
            where ${notifications.userId} = ${userId} and ${notifications.id} <= ${upTo} and ${unread}
            limit ${READ_LIMIT}`),
        );
        total += rowsAffected;
        if (rowsAffected < READ_LIMIT) return total;
      }
    },

    /** Undefined when there is no such row, or nobody to be told. */
    async findSource(source: Source): Promise<SourceFacts | undefined> {
      const { table, stands } = sourceTable(source.type);
      const like = source.type === "like";
      const targetType = like ? sql`${likes.targetType}` : sql`'post'`;
      const targetId = like ? likes.targetId : comments.postId;
      const actorId = like ? likes.userId : comments.authorId;
      const result = await db.execute(sql`
        select reader.id as readerId, ${actorId} as actorId, ${targetType} as targetType, ${targetId} as targetId,
          ${posts.id} as postId,
          ${stands} and ${posts.deletedAt} is null and liked.deleted_at is null and reader.id <> ${actorId} as tellable,
          ${notificationActors.id} is not null as bound, unread.id is not null as open,
          unread.announced_revision is not null as announced
        from ${table}
        join ${posts} on ${posts.id} = ${table.postId}
        left join ${comments} liked on ${like ? sql`${likes.targetType} = 'comment' and liked.id = ${likes.targetId}` : sql`false`}
        join ${users} reader on reader.id = coalesce(liked.author_id, ${posts.authorId}) and reader.erased_at is null
        left join ${notificationActors} on ${notificationActors.sourceType} = ${source.type}
          and ${notificationActors.sourceId} = ${table.id}
        left join ${notifications} unread on unread.user_id = reader.id
          and unread.dedupe_key = concat(${`${source.type}:`}, ${targetType}, ':', ${targetId}, ':open')
        where ${table.id} = ${source.id}`);
      const row = result.rows[0] as Record<keyof SourceFacts, string> | undefined;
      return (
        row && {
          readerId: Number(row.readerId),
          actorId: Number(row.actorId),
          targetType: row.targetType === "comment" ? "comment" : "post",
          targetId: Number(row.targetId),
          postId: Number(row.postId),
          tellable: Number(row.tellable) === 1,
          bound: Number(row.bound) === 1,
          open: Number(row.open) === 1,
          announced: Number(row.announced) === 1,
        }
      );
    },

    /** When the room was told of the target before, as in `frames` of its last notification that was read. */
    async framesBefore(type: Source["type"], facts: SourceFacts): Promise<string> {
      const key = targetKey(type, facts);
      const [row] = await db
        .select({ frames: notifications.frames })
        .from(notifications, { forceIndex: "notifications_dedupe" })
        .where(
          and(
            eq(notifications.userId, facts.readerId),
            sql`${notifications.dedupeKey} > ${`${key}:`}`,
            lt(notifications.dedupeKey, openKey(key)),
          ),
        )
        .orderBy(desc(notifications.dedupeKey))
        .limit(1);
      return row?.frames ?? "";
    },

    /** Makes sure that the target has an unread notification. A new one is not shown until somebody is behind it. */
    async open(type: Source["type"], facts: SourceFacts, now: Date): Promise<void> {
      const { readerId, actorId, targetType, targetId, postId } = facts;
      await retryOnDeadlock(() =>
        db
          .insert(notifications)
          .ignore()
          .values({
            userId: readerId,
            type,
            targetType,
            targetId,
            postId,
            actorId,
            actorCount: 0,
            dedupeKey: openKey(targetKey(type, facts)),
            withdrawnAt: now,
            createdAt: now,
            updatedAt: now,
          }),
      );
    },

    /** Makes sure that the reader has a lease to be taken. */
    async admitReader(readerId: number): Promise<void> {
      await db.insert(notificationReaders).ignore().values({ userId: readerId });
    },

    /**
     * Puts the source behind the unread notification of its target, if it still stands.
     * @returns false when it does not, when there is no such notification, or when it is behind one already
     */
    async bind(source: Source, facts: SourceFacts, now: Date): Promise<boolean> {
      const { table, stands } = sourceTable(source.type);
      const result = await retryOnDeadlock(() =>
        db.execute(sql`
          insert ignore into ${notificationActors} (notification_id, actor_id, source_type, source_id, active, created_at)
          select ${notifications.id}, ${facts.actorId}, ${source.type}, ${table.id}, true, ${sqlTime(now)}
          from ${table} join ${notifications} on ${notifications.userId} = ${facts.readerId}
            and ${notifications.dedupeKey} = ${openKey(targetKey(source.type, facts))}
          where ${table.id} = ${source.id} and ${stands}`),
      );
      return result.rowsAffected > 0;
    },

    /**
     * Counts the source in or out of its notification, as it stands at this moment, leaves the notification to be looked
     * at, and takes the lease of its reader if that is free.
     * @param until the lease, milliseconds since the epoch
     * @param frames of the notification before, for one that has none itself
     */
    async touch(
      source: Source,
      now: Date,
      until: number,
      frames: string,
    ): Promise<"leased" | "held" | "missing"> {
      const { table, stands } = sourceTable(source.type);
      const at = sqlTime(now);
      const result = await retryOnDeadlock(() =>
        db.execute(sql`
          update ${notificationActors}
            join ${table} on ${table.id} = ${notificationActors.sourceId}
            join ${notifications} on ${notifications.id} = ${notificationActors.notificationId}
            join ${notificationReaders} on ${notificationReaders.userId} = ${notifications.userId}
          set ${notificationActors.active} = ${stands},
            ${notifications.touched} = ${notifications.touched} + 1,
            ${notifications.frames} = if(${notifications.frames} = '', ${frames}, ${notifications.frames}),
            ${notifications.effectsDueAt} = if(${notifications.isRead}, coalesce(${notifications.effectsDueAt}, ${at}), ${at}),
            ${notificationReaders.wishes} = ${notificationReaders.wishes} + 1,
            ${notificationReaders.leasedUntil} = if(${notificationReaders.leasedUntil} < ${now.getTime()},
              last_insert_id(${until}), ${notificationReaders.leasedUntil})
          where ${notificationActors.sourceType} = ${source.type} and ${notificationActors.sourceId} = ${source.id}`),
      );
      if (result.rowsAffected === 0) return "missing";
      return result.insertId === String(until) ? "leased" : "held";
    },

    /**
     * If it is deleted, leaves the unread notifications about a post, or a comment's likes, to be looked at; those that are
     * withdrawn too, which somebody may be just about to show. @returns how many
     */
    async touchDeleted(target: { type: "post" | "comment"; id: number }, now: Date): Promise<number> {
      const about =
        target.type === "post"
          ? sql`${posts} on ${posts.id} = ${target.id} and ${posts.deletedAt} is not null
              and ${notifications.postId} = ${posts.id}`
          : sql`${comments} on ${comments.id} = ${target.id} and ${comments.deletedAt} is not null
              and ${notifications.userId} = ${comments.authorId} and ${notifications.dedupeKey} =
              ${openKey(targetKey("like", { targetType: "comment", targetId: target.id }))}`;
      const result = await retryOnDeadlock(() =>
        db.execute(sql`
          update ${notifications} join ${about}
          set ${notifications.touched} = ${notifications.touched} + 1, ${notifications.effectsDueAt} = ${sqlTime(now)}
          where ${notifications.isRead} = false`),
      );
      return result.rowsAffected;
    },

    /** Closes withdrawn notifications that nothing happened to since `before`, at most `limit`. @returns how many */
    async closeWithdrawn(before: Date, limit: number): Promise<number> {
      const result = await db.execute(sql`
        update ${notifications} set is_read = true, dedupe_key = ${closedKey}
        where ${notifications.withdrawnAt} < ${sqlTime(before)} and ${notifications.isRead} = false
          and ${notifications.updatedAt} < ${sqlTime(before)} and ${notifications.effectsDueAt} is null
        limit ${limit}`);
      return result.rowsAffected;
    },

    /**
     * Deletes notifications that were read before `before`, at most `limit`, and who was behind them. Three statements,
     * and one more for every 10,000 actors. @returns how many
     */
    async deleteRead(before: Date, limit: number): Promise<number> {
      const rows = await db
        .select({ id: notifications.id })
        .from(notifications)
        .where(and(eq(notifications.isRead, true), lt(notifications.updatedAt, before)))
        .limit(limit);
      if (rows.length === 0) return 0;
      const ids = rows.map(({ id }) => id);
      for (;;) {
        const { rowsAffected } = await db.execute(sql`
          delete from ${notificationActors} where ${inArray(notificationActors.notificationId, ids)} limit ${DELETE_LIMIT}`);
        if (rowsAffected < DELETE_LIMIT) break;
      }
      await db.delete(notifications).where(inArray(notifications.id, ids));
      return ids.length;
    },
  };
}

/** The rows that a source is one of, and the condition under which it stands: what it says has not been taken back. */
function sourceTable(type: Source["type"]): { table: typeof likes | typeof comments; stands: SQL } {
  return type === "like"
    ? { table: likes, stands: sql`${likes.active}` }
    : { table: comments, stands: sql`${comments.deletedAt} is null` };
}
