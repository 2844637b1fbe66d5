/**
 * The database of chaos: people and a post for each run, time that passes, and the truth in the end.
 * @module
 */
import { and, eq, inArray, isNotNull, sql } from "drizzle-orm";
import type { AccessTokens } from "../../src/auth/tokens.ts";
import type { Db } from "../../src/db/client.ts";
import { boards } from "../../src/db/schema/boards.ts";
import { comments } from "../../src/db/schema/comments.ts";
import { likes } from "../../src/db/schema/likes.ts";
import { notificationActors, notificationReaders, notifications } from "../../src/db/schema/notifications.ts";
import { posts } from "../../src/db/schema/posts.ts";
import { sessions, users } from "../../src/db/schema/users.ts";
import type { Plan } from "./plan.ts";
import type { Cast } from "./play.ts";

const SESSION_MS = 86_400_000;
const NONCE = "0".repeat(32);

/** New people with sessions, a board and a post for each plan. Four statements for all. */
export async function castOf(db: Db, tokens: AccessTokens, plans: readonly Plan[]): Promise<Cast[]> {
  const now = new Date();
  const people = plans.flatMap(({ seed, actors }) =>
    Array.from(
      { length: actors },
      (_, index) => `c${seed >>> 0}-${index}-${crypto.randomUUID().slice(0, 8)}`,
    ),
  );
  const [firstUser] = await db
    .insert(users)
    .values(people.map((username) => ({ username, createdAt: now })))
    .$returningId();
  const userId = (index: number) => (firstUser?.id ?? 0) + index;
  const [firstSession] = await db
    .insert(sessions)
    .values(
      people.map((_, index) => ({
        userId: userId(index),
        nonce: NONCE,
        epoch: 1,
        deviceLabel: "chaos",
        createdAt: now,
        lastUsedAt: now,
        expiresAt: new Date(now.getTime() + SESSION_MS),
      })),
    )
    .$returningId();
  const [firstBoard] = await db
    .insert(boards)
    .values(
      plans.map(() => {
        const slug = `chaos-${crypto.randomUUID()}`;
        return { name: slug, slug, description: "", position: 9_999, postCount: 1, createdAt: now };
      }),
    )
    .$returningId();
  const everybody = await Promise.all(
    people.map(async (username, index) => {
      const actor = { id: userId(index), username, role: "user" as const, nonce: NONCE, epoch: 1 };
      const token = await tokens.issue({ ...actor, sessionId: (firstSession?.id ?? 0) + index }, now);
      return { id: actor.id, username, token };
    }),
  );
  const casts = plans.map(({ actors }, index) => ({
    boardId: (firstBoard?.id ?? 0) + index,
    actors: everybody.splice(0, actors),
  }));
  const [firstPost] = await db
    .insert(posts)
    .values(
      casts.map(({ boardId, actors }) => ({
        boardId,
        authorId: actors[0]?.id ?? 0,
        title: "t",
        content: "c",
        excerpt: "c",
        counted: true,
        createdAt: now,
        updatedAt: now,
      })),
    )
    .$returningId();
  return casts.map((cast, index) => ({ ...cast, postId: (firstPost?.id ?? 0) + index }));
}

/**
 * Makes everything that is due of these runs as old as a sweep wants it, and lets the time pass for which frames of a
 * storm are held back.
 * @param dueSince long ago
 */
export async function letTimePass(db: Db, casts: readonly Cast[], dueSince: Date): Promise<void> {
  const userIds = casts.flatMap(({ actors }) => actors.map(({ id }) => id));
  const postIds = casts.map(({ postId }) => postId);
  const boardIds = casts.map(({ boardId }) => boardId);
  const effectsDueAt = dueSince;
  const tables = [
    db
      .update(posts)
      .set({ effectsDueAt })
      .where(and(inArray(posts.boardId, boardIds), isNotNull(posts.effectsDueAt))),
    db
      .update(comments)
      .set({ effectsDueAt })
      .where(and(inArray(comments.postId, postIds), isNotNull(comments.effectsDueAt))),
    db
      .update(likes)
      .set({ effectsDueAt })
      .where(and(inArray(likes.postId, postsOf(db, boardIds)), isNotNull(likes.effectsDueAt))),
    db
      .update(users)
      .set({ effectsDueAt })
      .where(and(inArray(users.id, userIds), isNotNull(users.effectsDueAt))),
    db
      .update(notifications)
      .set({
        effectsDueAt: sql`least(${notifications.effectsDueAt}, ${new Date(Date.now() - 3_000)})`,
        frames: "",
      })
      .where(and(inArray(notifications.userId, userIds), isNotNull(notifications.effectsDueAt))),
  ];
  await Promise.all(tables);
  // Whoever died with it has had it long enough.
  await db
    .update(notificationReaders)
    .set({ leasedUntil: 0 })
    .where(inArray(notificationReaders.userId, userIds));
}

/** Ids of all posts of the boards, as a part of a statement. */
export function postsOf(db: Db, boardIds: number[]) {
  return db.select({ id: posts.id }).from(posts).where(inArray(posts.boardId, boardIds));
}

export type Truth = Awaited<ReturnType<typeof truthOf>>;

/** What there is of a run. */
export async function truthOf(db: Db, { boardId, postId, actors }: Cast) {
  const userIds = actors.map(({ id }) => id);
  const [board, postRows, commentRows, likeRows, userRows, notificationRows] = await Promise.all([
    db.select().from(boards).where(eq(boards.id, boardId)),
    db.select().from(posts).where(eq(posts.boardId, boardId)),
    db.select().from(comments).where(eq(comments.postId, postId)),
    db
      .select()
      .from(likes)
      .where(inArray(likes.postId, postsOf(db, [boardId]))),
    db.select().from(users).where(inArray(users.id, userIds)),
    db.select().from(notifications).where(inArray(notifications.userId, userIds)),
  ]);
  const ids = notificationRows.map(({ id }) => id);
  const behind =
    ids.length === 0
      ? []
      : await db.select().from(notificationActors).where(inArray(notificationActors.notificationId, ids));
  return {
    postCount: board[0]?.postCount ?? 0,
    posts: postRows,
    comments: commentRows,
    likes: likeRows,
    users: userRows,
    notifications: notificationRows,
    behind,
  };
}
