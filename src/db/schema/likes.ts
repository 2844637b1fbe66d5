import { boolean, index, int, mysqlTable, uniqueIndex, varchar } from "drizzle-orm/mysql-core";
import { instant, primaryId, reference } from "./columns.ts";

/** What can be liked. */
export const LIKE_TARGETS = ["post", "comment"] as const;

/** Likes of posts and comments. A withdrawn like keeps its row with `active` false: it was announced once already. */
export const likes = mysqlTable(
  "likes",
  {
    id: primaryId(),
    userId: reference("user_id").notNull(),
    targetType: varchar("target_type", { length: 8, enum: LIKE_TARGETS }).notNull(),
    targetId: reference("target_id").notNull(),
    /** The post itself, or the post of the comment: the room that hears of it. */
    postId: reference("post_id").notNull(),
    active: boolean("active").notNull().default(false),
    /** +1 for each like and unlike. */
    revision: int("revision", { unsigned: true }).notNull().default(1),
    effectsDueAt: instant("effects_due_at"),
    createdAt: instant("created_at").notNull(),
    updatedAt: instant("updated_at").notNull(),
  },
  (table) => [
    uniqueIndex("likes_user_target").on(table.userId, table.targetType, table.targetId),
    index("likes_target").on(table.targetType, table.targetId, table.active, table.id),
    index("likes_effects_due").on(table.effectsDueAt),
    index("likes_created_at").on(table.createdAt),
  ],
);
