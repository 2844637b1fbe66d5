/**
 * Everything in the database that belongs to some users, to see that a refused request changed nothing of it.
 * @module
 */
import { and, asc, inArray, isNotNull, or } from "drizzle-orm";
import { boards } from "../../src/db/schema/boards.ts";
import { comments } from "../../src/db/schema/comments.ts";
import { likes } from "../../src/db/schema/likes.ts";
import { notifications } from "../../src/db/schema/notifications.ts";
import { posts } from "../../src/db/schema/posts.ts";
import { sessions, users } from "../../src/db/schema/users.ts";
import { sha256Hex } from "../../src/common/crypto.ts";
import { db } from "./database.ts";
import { waitUntil } from "./patience.ts";

/** Whose rows are meant; boards belong to nobody. */
export type Concerned = { userIds: readonly number[]; boardIds?: readonly number[] };

/**
 * All rows of the users by table: accounts, sessions, posts, what was said and liked by them or on their posts. Without
 * counts of views, which are written whenever another test runs the scheduled tasks.
 */
async function rowsOf({ userIds, boardIds = [] }: Concerned) {
  const ids = [0, ...userIds];
  const ownPosts = db.select({ id: posts.id }).from(posts).where(inArray(posts.authorId, ids));
  const [accounts, signIns, written, said, liked, told, places] = await Promise.all([
    db.select().from(users).where(inArray(users.id, ids)).orderBy(asc(users.id)),
    db.select().from(sessions).where(inArray(sessions.userId, ids)).orderBy(asc(sessions.id)),
    db.select().from(posts).where(inArray(posts.authorId, ids)).orderBy(asc(posts.id)),
    db
      .select()
      .from(comments)
      .where(or(inArray(comments.authorId, ids), inArray(comments.postId, ownPosts)))
      .orderBy(asc(comments.id)),
    db
      .select()
      .from(likes)
      .where(or(inArray(likes.userId, ids), inArray(likes.postId, ownPosts)))
      .orderBy(asc(likes.id)),
    db.select().from(notifications).where(inArray(notifications.userId, ids)).orderBy(asc(notifications.id)),
    db
      .select()
      .from(boards)
      .where(inArray(boards.id, [0, ...boardIds]))
      .orderBy(asc(boards.id)),
  ]);
  return {
    accounts,
    signIns,
    written: written.map((row) => ({ ...row, viewCount: null })),
    said,
    liked,
    told,
    places,
  };
}

/** Lets what is due of the users be as old as a sweep wants it. */
export async function letTimePass({ userIds, boardIds = [] }: Concerned): Promise<void> {
  const ids = [0, ...userIds];
  const since = { effectsDueAt: new Date(Date.now() - 60_000) };
  const ownPosts = db.select({ id: posts.id }).from(posts).where(inArray(posts.authorId, ids));
  const [said, liked] = await Promise.all([
    db
      .select({ id: comments.id })
      .from(comments)
      .where(or(inArray(comments.authorId, ids), inArray(comments.postId, ownPosts))),
    db
      .select({ id: likes.id })
      .from(likes)
      .where(or(inArray(likes.userId, ids), inArray(likes.postId, ownPosts))),
  ]);
  const idsOf = (rows: { id: number }[]) => rows.map(({ id }) => id);
  const overdue = (
    table: typeof users | typeof sessions | typeof boards | typeof posts | typeof comments | typeof likes,
    column: Parameters<typeof inArray>[0],
    of: readonly number[],
  ) =>
    db
      .update(table)
      .set(since)
      .where(and(inArray(column, [0, ...of]), isNotNull(table.effectsDueAt)));
  await Promise.all([
    overdue(users, users.id, ids),
    overdue(sessions, sessions.userId, ids),
    overdue(boards, boards.id, boardIds),
    overdue(posts, posts.authorId, ids),
    overdue(comments, comments.id, idsOf(said)),
    overdue(likes, likes.id, idsOf(liked)),
  ]);
}

/** What of the users is due, by table and id. */
export async function dueOf(concerned: Concerned): Promise<string[]> {
  const { told: _, ...tables } = await rowsOf(concerned);
  return Object.entries(tables).flatMap(([table, rows]) =>
    rows.flatMap(({ id, effectsDueAt }) => (effectsDueAt === null ? [] : [`${table} ${id}`])),
  );
}

type Rows = Awaited<ReturnType<typeof rowsOf>>;

/** Whether work behind earlier answers is done: nothing is due, and every session has the hash of its token. */
function isSettled({ accounts, signIns, written, said, liked, places }: Rows): boolean {
  return (
    [accounts, signIns, written, said, liked, places].flat().every((row) => row.effectsDueAt === null) &&
    signIns.every((row) => row.refreshHash !== null) &&
    [...written, ...said].every((row) => row.counted)
  );
}

/** A checksum over the users' rows, once the work behind earlier answers is done. */
export async function checksum(concerned: Concerned): Promise<string> {
  let rows: Rows | undefined;
  await waitUntil(async () => {
    rows = await rowsOf(concerned);
    return isSettled(rows);
  });
  return sha256Hex(JSON.stringify(rows));
}
