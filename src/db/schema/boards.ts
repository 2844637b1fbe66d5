import { index, int, mysqlTable, uniqueIndex, varchar } from "drizzle-orm/mysql-core";
import { instant, primaryId } from "./columns.ts";

export const boards = mysqlTable(
  "boards",
  {
    id: primaryId(),
    name: varchar("name", { length: 100 }).notNull(),
    /** Lower-case ASCII. */
    slug: varchar("slug", { length: 60 }).notNull(),
    description: varchar("description", { length: 500 }).notNull(),
    /** Boards are listed by position, then id. */
    position: int("position").notNull().default(0),
    /** Posts that are not deleted and already `counted`; what is not yet counted is added when reading. */
    postCount: int("post_count").notNull().default(0),
    /** When effects of the last change are overdue; null: all are done. */
    effectsDueAt: instant("effects_due_at"),
    createdAt: instant("created_at").notNull(),
  },
  (table) => [
    uniqueIndex("boards_slug").on(table.slug),
    index("boards_order").on(table.position, table.id),
    index("boards_effects_due").on(table.effectsDueAt),
  ],
);
