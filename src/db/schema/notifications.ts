import { bigint, boolean, index, int, mysqlTable, uniqueIndex, varchar } from "drizzle-orm/mysql-core";
import { instant, primaryId, reference } from "./columns.ts";
import { LIKE_TARGETS } from "./likes.ts";

export const NOTIFICATION_TYPES = ["comment", "like"] as const;

/**
 * One row tells of all that happened to one target since its reader last looked ("… and 41 others"). Whoever is behind
 * it is in `notification_actors`; `actorId`, `actorCount` and `withdrawnAt` follow from there, and are written by
 * whoever holds the reader's lease.
 */
export const notifications = mysqlTable(
  "notifications",
  {
    id: primaryId(),
    /** Who is told. */
    userId: reference("user_id").notNull(),
    type: varchar("type", { length: 8, enum: NOTIFICATION_TYPES }).notNull(),
    targetType: varchar("target_type", { length: 8, enum: LIKE_TARGETS }).notNull(),
    targetId: reference("target_id").notNull(),
    postId: reference("post_id").notNull(),
    /** Who did it last. */
    actorId: reference("actor_id").notNull(),
    /** People, not deeds. */
    actorCount: int("actor_count", { unsigned: true }).notNull().default(1),
    /** `like:post:7:open` while unread, so that there is one for each target; read, the id takes the place of `open`. */
    dedupeKey: varchar("dedupe_key", { length: 100 }).notNull(),
    isRead: boolean("is_read").notNull().default(false),
    /** Nobody is behind it (yet, or any more): it is not shown. */
    withdrawnAt: instant("withdrawn_at"),
    /** +1 for each change that its reader sees. */
    revision: int("revision", { unsigned: true }).notNull().default(1),
    /** The revision that the reader's room was told, or is being told; null: the room knows of none; 0: of the count only. */
    announcedRevision: int("announced_revision", { unsigned: true }),
    /**
     * Means nothing any more: versions of 26 to 30 November 2026 write it, and this one still names it. To be taken out
     * of the schema by one deployment, and dropped by a later one.
     */
    announced: varchar("announced", { length: 42 }).notNull().default(""),
    /** When frames told of this target: milliseconds since the epoch, newest first, five at most, comma-separated. */
    frames: varchar("frames", { length: 69 }).notNull().default(""),
    /** Set when it was read together with everything up to that id. */
    readUpTo: reference("read_up_to"),
    /** +1 for each reason to look at the row again. */
    touched: int("touched", { unsigned: true }).notNull().default(0),
    /** From when on the reader's room is to be told; null: it knows. */
    effectsDueAt: instant("effects_due_at"),
    createdAt: instant("created_at").notNull(),
    updatedAt: instant("updated_at").notNull(),
  },
  (table) => [
    uniqueIndex("notifications_dedupe").on(table.userId, table.dedupeKey),
    index("notifications_user").on(table.userId, table.withdrawnAt, table.id),
    index("notifications_unread").on(table.userId, table.withdrawnAt, table.isRead, table.id),
    index("notifications_effects_due").on(table.effectsDueAt),
    index("notifications_user_due").on(table.userId, table.effectsDueAt),
    index("notifications_post").on(table.postId, table.isRead),
    index("notifications_read_at").on(table.isRead, table.updatedAt),
    index("notifications_withdrawn_at").on(table.withdrawnAt),
  ],
);

/** Who is behind a notification: makes `actorCount` exact under redelivery and withdrawal. */
export const notificationActors = mysqlTable(
  "notification_actors",
  {
    id: primaryId(),
    notificationId: reference("notification_id").notNull(),
    actorId: reference("actor_id").notNull(),
    /** The like or comment that caused it. */
    sourceType: varchar("source_type", { length: 8, enum: NOTIFICATION_TYPES }).notNull(),
    sourceId: reference("source_id").notNull(),
    /** False once the like was taken back or the comment deleted. */
    active: boolean("active").notNull().default(true),
    createdAt: instant("created_at").notNull(),
  },
  (table) => [
    uniqueIndex("notification_actors_source").on(table.sourceType, table.sourceId),
    index("notification_actors_notification").on(table.notificationId, table.active, table.actorId),
  ],
);

/** One Worker at a time announces to a reader: frames keep their order, and the last one its unread count. */
export const notificationReaders = mysqlTable("notification_readers", {
  userId: reference("user_id").primaryKey(),
  /** Milliseconds since the epoch; also the holder's token. 0: free. */
  leasedUntil: bigint("leased_until", { mode: "number", unsigned: true }).notNull().default(0),
  /** +1 by everybody who wanted the lease: the holder goes on until there is no new one. */
  wishes: int("wishes", { unsigned: true }).notNull().default(0),
});
