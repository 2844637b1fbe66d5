import { boolean, index, int, mediumtext, mysqlTable, uniqueIndex, varchar } from "drizzle-orm/mysql-core";
import { instant, primaryId, reference, sha256 } from "./columns.ts";

/**
 * Posts. A deleted one keeps its row with `deletedAt`. `counted` and `effectsDueAt` are written by the statement that
 * creates the row, so that its effects (the board's count, cache, room, notifications) cannot be lost with the Worker.
 */
export const posts = mysqlTable(
  "posts",
  {
    id: primaryId(),
    boardId: reference("board_id").notNull(),
    authorId: reference("author_id").notNull(),
    title: varchar("title", { length: 200 }).notNull(),
    content: mediumtext("content").notNull(),
    excerpt: varchar("excerpt", { length: 300 }).notNull(),
    viewCount: int("view_count", { unsigned: true }).notNull().default(0),
    likeCount: int("like_count", { unsigned: true }).notNull().default(0),
    commentCount: int("comment_count", { unsigned: true }).notNull().default(0),
    /** Starts at 1, +1 for each edit: what a client sends in `If-Match`. */
    version: int("version", { unsigned: true }).notNull().default(1),
    /** +1 for each change but views: orders the states of a row, so that a cache never goes back. */
    revision: int("revision", { unsigned: true }).notNull().default(1),
    /** Whether `boards.post_count` includes this row. */
    counted: boolean("counted").notNull().default(false),
    /** When effects of the last write are overdue; null: all are done. */
    effectsDueAt: instant("effects_due_at"),
    idempotencyKey: sha256("idempotency_key"),
    /** Hash of the body that came with the key. */
    idempotencyHash: sha256("idempotency_hash"),
    createdAt: instant("created_at").notNull(),
    updatedAt: instant("updated_at").notNull(),
    deletedAt: instant("deleted_at"),
  },
  (table) => [
    uniqueIndex("posts_idempotency").on(table.authorId, table.idempotencyKey),
    index("posts_latest").on(table.deletedAt, table.id),
    index("posts_board").on(table.boardId, table.deletedAt, table.id),
    index("posts_author").on(table.authorId, table.deletedAt, table.id),
    index("posts_author_board").on(table.authorId, table.boardId, table.deletedAt, table.id),
    index("posts_uncounted").on(table.counted, table.boardId),
    index("posts_effects_due").on(table.effectsDueAt),
    index("posts_created_at").on(table.createdAt),
  ],
);

/**
 * Batches of view counts that were written to the posts: a batch is applied in the same statement that marks it, so
 * that a flush that died half-way can be repeated without counting twice.
 */
export const viewBatches = mysqlTable(
  "view_batches",
  {
    /** `<uuid of the flush>:<chunk>` */
    id: varchar("id", { length: 48 }).primaryKey(),
    applied: boolean("applied").notNull().default(false),
    createdAt: instant("created_at").notNull(),
  },
  (table) => [index("view_batches_created_at").on(table.createdAt)],
);
