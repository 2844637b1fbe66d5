import { mysqlTable, text, varchar } from "drizzle-orm/mysql-core";
import { reference } from "./columns.ts";

/** What is counted in a column of its own, by table. */
export const COUNTED_TABLES = ["posts", "comments", "boards"] as const;

/** How far the check of stored counts has come: it goes through a table bit by bit, over many runs. */
export const countChecks = mysqlTable("count_checks", {
  table: varchar("table_name", { length: 16, enum: COUNTED_TABLES }).primaryKey(),
  /** The last row that was checked; 0: the table's beginning is next. */
  afterId: reference("after_id").notNull().default(0),
  /** Rows whose repair caches and rooms were not told of yet: ids, comma-separated. */
  untold: text("untold"),
});
