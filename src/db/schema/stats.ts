import { int, mysqlTable } from "drizzle-orm/mysql-core";
import { instant } from "./columns.ts";

/** What was created in each quarter of an hour (UTC): every time zone's day is a sum of these. */
export const activityRollups = mysqlTable("activity_rollups", {
  /** Start of the quarter of an hour. */
  bucket: instant("bucket").primaryKey(),
  posts: int("posts", { unsigned: true }).notNull().default(0),
  comments: int("comments", { unsigned: true }).notNull().default(0),
  likes: int("likes", { unsigned: true }).notNull().default(0),
  users: int("users", { unsigned: true }).notNull().default(0),
  updatedAt: instant("updated_at").notNull(),
});
