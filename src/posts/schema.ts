/**
 * Wire shapes of posts.
 * @module
 */
import { z } from "@hono/zod-openapi";
import { boardReferenceSchema } from "../boards/schema.ts";
import { idSchema, instantSchema, pageQuerySchema, storableText } from "../http/openapi.ts";
import { authorSchema } from "../users/schema.ts";

const titleSchema = storableText(1, 200)
  .refine((title) => title.trim() !== "", "must not be blank")
  .meta({ example: "Hello" });
const contentSchema = storableText(1, 20_000).meta({ example: "First post." });
const bodyIdSchema = z.int().min(1);

export const createPostSchema = z
  .strictObject({ boardId: bodyIdSchema.meta({ example: 1 }), title: titleSchema, content: contentSchema })
  .meta({ id: "CreatePost" });
export type CreatePost = z.infer<typeof createPostSchema>;

export const updatePostSchema = z
  .strictObject({ title: titleSchema.optional(), content: contentSchema.optional() })
  .meta({ id: "UpdatePost" });
export type UpdatePost = z.infer<typeof updatePostSchema>;

export const listPostsQuerySchema = pageQuerySchema.extend({
  boardId: idSchema.optional(),
  authorId: idSchema.optional(),
  sort: z.enum(["latest"]).default("latest"),
});

export const popularQuerySchema = z.object({
  boardId: idSchema.optional(),
  limit: pageQuerySchema.shape.limit,
});

const shared = {
  id: z.int(),
  board: boardReferenceSchema,
  author: authorSchema,
  title: z.string(),
  viewCount: z.int(),
  likeCount: z.int(),
  commentCount: z.int(),
  version: z.int().meta({ description: "Starts at 1, +1 for each edit" }),
  createdAt: instantSchema,
  updatedAt: instantSchema,
  likedByMe: z.boolean().nullable().meta({
    description: "`null` for anonymous readers, and while it cannot be told because the database is away",
  }),
};

export const postSchema = z.object({ ...shared, content: z.string() }).meta({ id: "Post" });
export const postSummarySchema = z
  .object({
    ...shared,
    excerpt: z.string().meta({ description: "The beginning of the content, as one line" }),
  })
  .meta({ id: "PostSummary" });

/** A post without anything that depends on its reader: what is cached and what rooms are sent. */
export type Post = {
  id: number;
  board: { id: number; name: string; slug: string };
  author: { id: number; username: string } | null;
  title: string;
  content: string;
  viewCount: number;
  likeCount: number;
  commentCount: number;
  version: number;
  createdAt: string;
  updatedAt: string;
};
export type PostSummary = Omit<Post, "content"> & { excerpt: string };
/** A board's id, or all boards. */
export type RankingScope = number | "all";
export type ForReader<T> = T & { likedByMe: boolean | null };

export function toPost(post: ForReader<Post>): z.infer<typeof postSchema> {
  return {
    id: post.id,
    board: post.board,
    author: post.author,
    title: post.title,
    content: post.content,
    viewCount: post.viewCount,
    likeCount: post.likeCount,
    commentCount: post.commentCount,
    version: post.version,
    createdAt: post.createdAt,
    updatedAt: post.updatedAt,
    likedByMe: post.likedByMe,
  };
}

export function toPostSummary(post: ForReader<PostSummary>): z.infer<typeof postSummarySchema> {
  return {
    id: post.id,
    board: post.board,
    author: post.author,
    title: post.title,
    excerpt: post.excerpt,
    viewCount: post.viewCount,
    likeCount: post.likeCount,
    commentCount: post.commentCount,
    version: post.version,
    createdAt: post.createdAt,
    updatedAt: post.updatedAt,
    likedByMe: post.likedByMe,
  };
}
