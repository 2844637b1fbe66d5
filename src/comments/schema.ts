/**
 * Wire shapes of comments.
 * @module
 */
import { z } from "@hono/zod-openapi";
import { instantSchema, storableText } from "../http/openapi.ts";
import { authorSchema } from "../users/schema.ts";

const contentSchema = storableText(1, 5_000)
  .refine((content) => content.trim() !== "", "must not be blank")
  .meta({ example: "Well said." });

export const writeCommentSchema = z.strictObject({ content: contentSchema }).meta({ id: "WriteComment" });
export type WriteComment = z.infer<typeof writeCommentSchema>;

export const commentSchema = z
  .object({
    id: z.int(),
    postId: z.int(),
    author: authorSchema,
    content: z.string().nullable(),
    likeCount: z.int(),
    version: z.int().meta({ description: "Starts at 1, +1 for each edit" }),
    createdAt: instantSchema,
    updatedAt: instantSchema,
    deletedAt: instantSchema.nullable(),
    likedByMe: z.boolean().nullable().meta({ description: "`null` for anonymous readers" }),
  })
  .meta({
    id: "Comment",
    description: "A deleted comment keeps its place in the thread: `content` and `author` are `null`.",
  });

/** A comment without anything that depends on its reader: what rooms are sent. */
export type Comment = Omit<z.infer<typeof commentSchema>, "likedByMe">;
export type CommentForReader = z.infer<typeof commentSchema>;
