/**
 * Comments and likes of posts over REST, and rows of them that no request made.
 * @module
 */
import type { z } from "@hono/zod-openapi";
import { and, eq, isNotNull } from "drizzle-orm";
import type { commentSchema } from "../../src/comments/schema.ts";
import { comments } from "../../src/db/schema/comments.ts";
import { likes } from "../../src/db/schema/likes.ts";
import { posts } from "../../src/db/schema/posts.ts";
import type { likeSchema } from "../../src/likes/schema.ts";
import { anonymous, type Answer, type Client, type Page, type Post, type Problem } from "./client.ts";
import { db } from "./database.ts";
import { type Account, board, bodyOf, post, registerUser, unique } from "./factories.ts";
import { waitUntil } from "./patience.ts";

export type Comment = z.infer<typeof commentSchema>;
export type Like = z.infer<typeof likeSchema>;

let fileHome: Promise<{ author: Account; boardId: number }> | undefined;

/** The next file of tests has a home of its own. */
export function leaveHome(): void {
  fileHome = undefined;
}

/** An author and a board that the tests of a file share, where it does not matter whose a post is. */
export async function home(): Promise<{ author: Account; boardId: number }> {
  fileHome ??= Promise.all([registerUser(), board()]).then(([author, { id }]) => ({ author, boardId: id }));
  return fileHome;
}

/** A new post of the shared author, or of another, on the shared board. */
export async function newPost(author?: Account): Promise<{ id: number; author: Account }> {
  const shared = await home();
  const writer = author ?? shared.author;
  const { id } = await post(writer, { boardId: shared.boardId });
  return { id, author: writer };
}

/** Sends a comment, whatever the answer is. */
export async function writeComment(
  author: Pick<Account, "client">,
  postId: number,
  content: unknown,
  headers: Record<string, string> = {},
): Promise<Answer<Comment & Problem>> {
  return author.client.post<Comment & Problem>(`/api/posts/${postId}/comments`, { content }, headers);
}

/** A comment by `author`. */
export async function comment(
  author: Pick<Account, "client">,
  postId: number,
  content = unique("comment "),
): Promise<Comment> {
  return bodyOf(await writeComment(author, postId, content), 201);
}

/** The first page of a post's comments, 100 of them. */
export async function thread(postId: number, client: Client = anonymous()): Promise<Comment[]> {
  const answer = await client.get<Page<Comment>>(`/api/posts/${postId}/comments?limit=100`);
  return bodyOf(answer, 200).items;
}

/** A post as the client sees it. */
export async function readPost(id: number, client: Client = anonymous()): Promise<Post> {
  return bodyOf(await client.get<Post>(`/api/posts/${id}`), 200);
}

export type Target = { type: "post" | "comment"; id: number };

export function likePath({ type, id }: Target): string {
  return `/api/${type}s/${id}/like`;
}

/** Likes as `client`. @throws when it is refused */
export async function like(client: Client, target: Target): Promise<Like> {
  return bodyOf(await client.put<Like>(likePath(target)), 200);
}

/** Takes a like back as `client`. @throws when it is refused */
export async function unlike(client: Client, target: Target): Promise<Like> {
  return bodyOf(await client.delete<Like>(likePath(target)), 200);
}

/** The row behind a post. */
export async function postRow(id: number) {
  const [row] = await db.select().from(posts).where(eq(posts.id, id));
  if (!row) throw new Error("the post has no row");
  return row;
}

/** The row behind a comment. */
export async function commentRow(id: number) {
  const [row] = await db.select().from(comments).where(eq(comments.id, id));
  if (!row) throw new Error("the comment has no row");
  return row;
}

/** Waits until nothing is due any more of what was written to the rows. */
export async function settledRows(...rows: (() => Promise<{ effectsDueAt: Date | null }>)[]): Promise<void> {
  for (const row of rows) {
    await waitUntil(async () => (await row()).effectsDueAt === null);
  }
}

/** Waits until the effects of writing the comment are done. */
export async function settledComment(id: number): Promise<void> {
  await settledRows(() => commentRow(id));
}

/** Waits until the effects of all comments on the post are done. */
export async function settledComments(postId: number): Promise<void> {
  const due = and(eq(comments.postId, postId), isNotNull(comments.effectsDueAt));
  await waitUntil(async () => (await db.select({ id: comments.id }).from(comments).where(due)).length === 0);
}

/** Waits until the effects of all likes in the post's room are done. */
export async function settledLikes(postId: number): Promise<void> {
  const due = and(eq(likes.postId, postId), isNotNull(likes.effectsDueAt));
  await waitUntil(async () => (await db.select({ id: likes.id }).from(likes).where(due)).length === 0);
}

/** Numbers in [0, 1) that follow from the seed (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A seed for a test that prints it when it fails. */
export function newSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
}
