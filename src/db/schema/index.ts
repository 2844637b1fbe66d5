/**
 * All tables, for drizzle-kit.
 * @module
 */
export * from "./users.ts";
export * from "./boards.ts";
export * from "./posts.ts";
export * from "./comments.ts";
export * from "./likes.ts";
export * from "./notifications.ts";
export * from "./stats.ts";
export * from "./counts.ts";
