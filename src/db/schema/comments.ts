import { boolean, index, int, mysqlTable, text, uniqueIndex } from "drizzle-orm/mysql-core";
import { instant, primaryId, reference, sha256 } from "./columns.ts";

/** Comments. A deleted one keeps its place in the thread. For `counted` and `effectsDueAt` see posts. */
export const comments = mysqlTable(
  "comments",
  {
    id: primaryId(),
    postId: reference("post_id").notNull(),
    authorId: reference("author_id").notNull(),
    content: text("content").notNull(),
    likeCount: int("like_count", { unsigned: true }).notNull().default(0),
    version: int("version", { unsigned: true }).notNull().default(1),
    revision: int("revision", { unsigned: true }).notNull().default(1),
    /** Whether `posts.comment_count` includes this row. */
    counted: boolean("counted").notNull().default(false),
    effectsDueAt: instant("effects_due_at"),
    idempotencyKey: sha256("idempotency_key"),
    idempotencyHash: sha256("idempotency_hash"),
    createdAt: instant("created_at").notNull(),
    updatedAt: instant("updated_at").notNull(),
    deletedAt: instant("deleted_at"),
  },
  (table) => [
    uniqueIndex("comments_idempotency").on(table.authorId, table.idempotencyKey),
    index("comments_post").on(table.postId, table.id),
    index("comments_author").on(table.authorId, table.deletedAt, table.id),
    index("comments_uncounted").on(table.postId, table.counted),
    index("comments_effects_due").on(table.effectsDueAt),
    index("comments_created_at").on(table.createdAt),
  ],
);
