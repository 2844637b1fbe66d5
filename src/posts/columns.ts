/**
 * What lists and readers are shown of a post, as a selection of columns and out of its rows.
 * @module
 */
import { sql } from "drizzle-orm";
import { boards } from "../db/schema/boards.ts";
import { comments } from "../db/schema/comments.ts";
import { posts } from "../db/schema/posts.ts";
import { users } from "../db/schema/users.ts";
import type { PostSummary } from "./schema.ts";

/** Comments of a post. Those whose effects are still due are few: an index lookup counts them. */
export const commentCount =
  sql<number>`${posts.commentCount} + (select count(*) from ${comments} force index (comments_uncounted) where ${comments.postId} = ${posts.id} and ${comments.counted} = false and ${comments.deletedAt} is null)`.mapWith(
    Number,
  );

/** Of posts, left joined with boards and users. */
export const summaryColumns = {
  id: posts.id,
  boardId: posts.boardId,
  boardName: boards.name,
  boardSlug: boards.slug,
  authorId: posts.authorId,
  authorName: users.username,
  title: posts.title,
  viewCount: posts.viewCount,
  likeCount: posts.likeCount,
  commentCount,
  version: posts.version,
  createdAt: posts.createdAt,
  updatedAt: posts.updatedAt,
};

export type SummaryRow = {
  id: number;
  boardId: number;
  boardName: string | null;
  boardSlug: string | null;
  authorId: number;
  authorName: string | null;
  title: string;
  viewCount: number;
  likeCount: number;
  commentCount: number;
  version: number;
  createdAt: Date;
  updatedAt: Date;
};

/** The row of such a selection as a post without content and excerpt. */
export function fromRow(row: SummaryRow): Omit<PostSummary, "excerpt"> {
  return {
    id: row.id,
    board: { id: row.boardId, name: row.boardName ?? "", slug: row.boardSlug ?? "" },
    author: row.authorName === null ? null : { id: row.authorId, username: row.authorName },
    title: row.title,
    viewCount: row.viewCount,
    likeCount: row.likeCount,
    commentCount: row.commentCount,
    version: row.version,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  };
}
