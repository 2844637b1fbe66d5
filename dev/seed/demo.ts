/**
 * The demo forum that the local cloud makes on its first start.
 * @module
 */
import { createPasswords } from "../../src/auth/passwords.ts";
import { createMeter } from "../../src/common/meter.ts";
import { excerptOf } from "../../src/common/text.ts";
import { createDb } from "../../src/db/client.ts";
import { boards } from "../../src/db/schema/boards.ts";
import { comments } from "../../src/db/schema/comments.ts";
import { likes } from "../../src/db/schema/likes.ts";
import { posts } from "../../src/db/schema/posts.ts";
import { users } from "../../src/db/schema/users.ts";
import { QUARTER_MS } from "../../src/common/time-zone.ts";
import { createStatsRepository } from "../../src/stats/repository.ts";
import {
  DEMO_ADMIN,
  DEMO_BOARDS,
  DEMO_PASSWORD,
  DEMO_POSTS,
  DEMO_USERS,
  type DemoUser,
} from "./demo-content.ts";
import { startOfQuarter } from "./timeline.ts";
import { usernameKey } from "./username-key.ts";

const HOUR_MS = 3_600_000;
/** The community is a little older than its first post. */
const FOUNDED_HOURS_AGO = 340;

/**
 * Fills an empty database with boards, users, posts, comments and likes; does nothing when it has users. All or
 * nothing: one transaction of some ten statements. Statistics follow.
 * @param databaseUrl PlanetScale's URL form, or the local gateway's `http://user:password@host:port`
 * @param bcryptCost log2 of the rounds, 4 to 14
 * @throws when the database cannot be reached or lacks its tables
 */
export async function seedDemo(databaseUrl: string, bcryptCost: number): Promise<void> {
  const db = createDb(databaseUrl, createMeter());
  if (await hasUsers(db)) return;
  const accounts = await demoAccounts(bcryptCost);
  const now = Date.now();
  const hoursAgo = (hours: number): Date => new Date(now - hours * HOUR_MS);

  await db.transaction(async (tx) => {
    const userIds = await tx
      .insert(users)
      .values(accounts.map(({ row }) => ({ ...row, createdAt: hoursAgo(FOUNDED_HOURS_AGO) })))
      .$returningId();
    const userId = idsBy(
      accounts.map(({ key }) => key),
      userIds,
    );
    const boardIds = await tx
      .insert(boards)
      .values(
        DEMO_BOARDS.map((board, position) => ({
          ...board,
          position,
          postCount: DEMO_POSTS.filter((post) => post.board === board.slug).length,
          createdAt: hoursAgo(FOUNDED_HOURS_AGO),
        })),
      )
      .$returningId();
    const boardId = idsBy(
      DEMO_BOARDS.map(({ slug }) => slug),
      boardIds,
    );
    const postIds = await tx
      .insert(posts)
      .values(
        DEMO_POSTS.map((post) => ({
          boardId: boardId(post.board),
          authorId: userId(post.author),
          title: post.title,
          content: post.content,
          excerpt: excerptOf(post.content),
          viewCount: post.views,
          likeCount: post.likedBy.length,
          commentCount: post.comments.length,
          counted: true,
          createdAt: hoursAgo(post.hoursAgo),
          updatedAt: hoursAgo(post.hoursAgo),
        })),
      )
      .$returningId();

    const postIdOf = idsBy(DEMO_POSTS, postIds);
    const allComments = DEMO_POSTS.flatMap((post) =>
      post.comments.map((comment) => ({
        ...comment,
        postId: postIdOf(post),
        at: hoursAgo(post.hoursAgo - comment.afterHours),
      })),
    ).sort((a, b) => a.at.getTime() - b.at.getTime());
    const commentIds = await tx
      .insert(comments)
      .values(
        allComments.map((comment) => ({
          postId: comment.postId,
          authorId: userId(comment.author),
          content: comment.content,
          likeCount: comment.likedBy?.length ?? 0,
          counted: true,
          createdAt: comment.at,
          updatedAt: comment.at,
        })),
      )
      .$returningId();

    const commentIdOf = idsBy(allComments, commentIds);
    const allLikes = [
      ...DEMO_POSTS.flatMap((post) =>
        post.likedBy.map((user, index) => ({
          userId: userId(user),
          targetType: "post" as const,
          targetId: postIdOf(post),
          postId: postIdOf(post),
          createdAt: hoursAgo(post.hoursAgo - (index + 1) * 0.5),
        })),
      ),
      ...allComments.flatMap((comment) =>
        (comment.likedBy ?? []).map((user, index) => ({
          userId: userId(user),
          targetType: "comment" as const,
          targetId: commentIdOf(comment),
          postId: comment.postId,
          createdAt: new Date(comment.at.getTime() + (index + 1) * 0.25 * HOUR_MS),
        })),
      ),
    ].sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime());
    await tx
      .insert(likes)
      .values(allLikes.map((like) => ({ ...like, active: true, updatedAt: like.createdAt })));
  });
  // The Worker would do this at the next quarter of an hour.
  const from = startOfQuarter(hoursAgo(FOUNDED_HOURS_AGO).getTime());
  const to = startOfQuarter(now) + QUARTER_MS;
  await createStatsRepository(db).rollUp(new Date(from), new Date(to), new Date(now));
}

async function hasUsers(db: ReturnType<typeof createDb>): Promise<boolean> {
  return (await db.select({ id: users.id }).from(users).limit(1)).length > 0;
}

/** The admin first. The demo users share one hash: their password is public. */
async function demoAccounts(bcryptCost: number) {
  const { hash } = createPasswords(bcryptCost);
  const [adminHash, demoHash] = await Promise.all([hash(DEMO_ADMIN.password), hash(DEMO_PASSWORD)]);
  const admin = { key: "admin" as DemoUser, ...DEMO_ADMIN, passwordHash: adminHash, role: "admin" as const };
  const others = Object.entries(DEMO_USERS).map(([key, username]) => ({
    key: key as DemoUser,
    email: `${key}@liveforum.local`,
    username,
    passwordHash: demoHash,
    role: "user" as const,
  }));
  return Promise.all(
    [admin, ...others].map(async ({ key, email, username, passwordHash, role }) => ({
      key,
      row: { email, username, usernameKey: await usernameKey(username), passwordHash, role },
    })),
  );
}

/** Looks up the id that the row made for `key` was given. */
function idsBy<K>(keys: readonly K[], rows: readonly { id: number }[]): (key: K) => number {
  const ids = new Map(keys.map((key, index) => [key, rows[index]?.id]));
  return (key) => {
    const id = ids.get(key);
    if (id === undefined) throw new Error(`no row was made for ${JSON.stringify(key)}`);
    return id;
  };
}
