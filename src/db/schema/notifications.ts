import { boolean, index, int, mysqlTable, uniqueIndex, varchar } from "drizzle-orm/mysql-core";
import { instant, primaryId, reference } from "./columns.ts";
import { LIKE_TARGETS } from "./likes.ts";

export const NOTIFICATION_TYPES = ["comment", "like"] as const;

/** One row tells of all that happened to one target since its reader last looked ("… and 41 others"). */
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
    actorCount: int("actor_count", { unsigned: true }).notNull().default(1),
    /** Unique for its reader: the same event delivered twice meets its own row. */
    dedupeKey: varchar("dedupe_key", { length: 100 }).notNull(),
    isRead: boolean("is_read").notNull().default(false),
    /** A notification that was taken back (unlike, deleted comment) is not shown. */
    withdrawnAt: instant("withdrawn_at"),
    revision: int("revision", { unsigned: true }).notNull().default(1),
    effectsDueAt: instant("effects_due_at"),
    createdAt: instant("created_at").notNull(),
    updatedAt: instant("updated_at").notNull(),
  },
  (table) => [
    uniqueIndex("notifications_dedupe").on(table.userId, table.dedupeKey),
    index("notifications_user").on(table.userId, table.withdrawnAt, table.id),
    index("notifications_unread").on(table.userId, table.withdrawnAt, table.isRead, table.id),
    index("notifications_effects_due").on(table.effectsDueAt),
    index("notifications_read_at").on(table.isRead, table.updatedAt),
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
    active: boolean("active").notNull().default(true),
    createdAt: instant("created_at").notNull(),
  },
  (table) => [
    uniqueIndex("notification_actors_source").on(table.sourceType, table.sourceId),
    index("notification_actors_notification").on(table.notificationId, table.active, table.actorId),
  ],
);
