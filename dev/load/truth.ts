/**
 * What the tables say when all is quiet: every answered write is there once, counts are exact and everybody has been
 * notified once of what concerns them.
 * @module
 */
import { and, inArray, isNull } from "drizzle-orm";
import type { Db } from "../../src/db/client.ts";
import { comments } from "../../src/db/schema/comments.ts";
import { likes } from "../../src/db/schema/likes.ts";
import { notifications } from "../../src/db/schema/notifications.ts";
import { posts } from "../../src/db/schema/posts.ts";
import type { World } from "./world.ts";

type Rows = Awaited<ReturnType<typeof rowsOf>>;

/** Reads the posts of the world and all that belongs to them. Four statements. */
async function rowsOf(db: Db, postIds: number[]) {
  const [postRows, commentRows, likeRows, notificationRows] = await Promise.all([
    db
      .select({
        id: posts.id,
        authorId: posts.authorId,
        likeCount: posts.likeCount,
        commentCount: posts.commentCount,
      })
      .from(posts)
      .where(inArray(posts.id, postIds)),
    db
      .select({
        id: comments.id,
        postId: comments.postId,
        authorId: comments.authorId,
        likeCount: comments.likeCount,
        version: comments.version,
      })
      .from(comments)
      .where(inArray(comments.postId, postIds)),
    db
      .select({
        id: likes.id,
        userId: likes.userId,
        target: likes.targetType,
        targetId: likes.targetId,
        active: likes.active,
      })
      .from(likes)
      .where(inArray(likes.postId, postIds)),
    db
      .select({
        id: notifications.id,
        userId: notifications.userId,
        type: notifications.type,
        target: notifications.targetType,
        targetId: notifications.targetId,
        actorCount: notifications.actorCount,
      })
      .from(notifications)
      .where(and(inArray(notifications.postId, postIds), isNull(notifications.withdrawnAt))),
  ]);
  return { posts: postRows, comments: commentRows, likes: likeRows, notifications: notificationRows };
}

/** Complaints, each a line; none when all is well. Nobody may read notifications or delete anything in the run. */
export async function tableDifferences(db: Db, { postIds, comments: answered }: World): Promise<string[]> {
  const rows = await rowsOf(db, postIds);
  const wrong: string[] = [];
  compare("version of comment", keyed(rows.comments, "version"), answered, wrong);
  compare("comments of post", keyed(rows.posts, "commentCount"), tally(rows.comments, "postId"), wrong);
  for (const target of ["post", "comment"] as const) {
    const active = rows.likes.filter((like) => like.active && like.target === target);
    const liked: { id: number; likeCount: number }[] = target === "post" ? rows.posts : rows.comments;
    compare(`likes of ${target}`, keyed(liked, "likeCount"), tally(active, "targetId"), wrong);
  }
  const told = rows.notifications.map(
    ({ userId, type, target, targetId, actorCount }) =>
      [`${userId} of ${type} ${target} ${targetId}`, actorCount] as const,
  );
  compare("people behind what is told to", new Map(told), reasons(rows), wrong);
  if (new Set(told.map(([key]) => key)).size < told.length) wrong.push("somebody is told twice of the same");
  return wrong;
}

/** Who has to be told of what, and how many people are behind it. */
function reasons(rows: Rows): Map<string, number> {
  const authors = {
    post: new Map(rows.posts.map(({ id, authorId }) => [id, authorId])),
    comment: new Map(rows.comments.map(({ id, authorId }) => [id, authorId])),
  };
  const people = new Map<string, Set<number>>();
  const add = (reader: number | undefined, actor: number, what: string): void => {
    if (reader === undefined || reader === actor) return;
    const key = `${reader} of ${what}`;
    people.set(key, (people.get(key) ?? new Set()).add(actor));
  };
  for (const { postId, authorId } of rows.comments)
    add(authors.post.get(postId), authorId, `comment post ${postId}`);
  for (const { active, userId, target, targetId } of rows.likes)
    if (active) add(authors[target].get(targetId), userId, `like ${target} ${targetId}`);
  return new Map([...people].map(([key, actors]) => [key, actors.size]));
}

function keyed<Row extends { id: number }, Key extends keyof Row>(
  rows: readonly Row[],
  key: Key,
): Map<number, Row[Key]> {
  return new Map(rows.map((row) => [row.id, row[key]]));
}

function tally<Row, Key extends keyof Row>(rows: readonly Row[], key: Key): Map<Row[Key], number> {
  const counts = new Map<Row[Key], number>();
  for (const row of rows) counts.set(row[key], (counts.get(row[key]) ?? 0) + 1);
  return counts;
}

/** What is missing on one side is 0 there. */
function compare<Key>(
  what: string,
  found: ReadonlyMap<Key, number>,
  wanted: ReadonlyMap<Key, number>,
  wrong: string[],
): void {
  for (const key of new Set([...found.keys(), ...wanted.keys()])) {
    const [row, due] = [found.get(key) ?? 0, wanted.get(key) ?? 0];
    if (row !== due) wrong.push(`${what} ${String(key)}: ${row} in the tables instead of ${due}`);
  }
}
