/**
 * What is wrong with what is shown when all is quiet: lists against rows, logs against what was heard, views against
 * viewers. Pure.
 * @module
 */
import type { Truth } from "./database.ts";
import type { Ear } from "./ear.ts";
import type { History } from "./play.ts";
import type { Quiet, ShownPost } from "./quiet.ts";
import { checker, type Check } from "./verdict.ts";

/** Complaints, each a line; none when all is well. */
export function quietVerdict(history: History, truth: Truth, quiet: Quiet): string[] {
  const { wrong, check } = checker();
  checkLists(history, truth, quiet, check);
  checkComments(history, truth, quiet, check);
  checkLog(history.post, quiet.logs.post, check);
  checkLog(history.user, quiet.logs.user, check);
  checkUnread(truth, quiet, check);
  checkViews(history, truth, quiet, check);
  return wrong;
}

function checkLists({ cast }: History, truth: Truth, quiet: Quiet, check: Check): void {
  const [author] = cast.actors;
  const liked = (postId: number) =>
    truth.likes.some(
      (like) =>
        like.active && like.targetType === "post" && like.targetId === postId && like.userId === author?.id,
    );
  const living = truth.posts
    .filter(({ deletedAt }) => deletedAt === null)
    .sort((a, b) => b.id - a.id)
    .map(({ id, title, version, likeCount, commentCount, viewCount, authorId }) => ({
      authorId,
      line: lineOf({ id, title, version, likeCount, commentCount, viewCount, likedByMe: liked(id) }),
    }));
  const all = living.map(({ line }) => line);
  check("the board's list", quiet.latest?.map(lineOf), all);
  // Their order is of scores that decay; the cache keeps it for a while.
  check("popular posts", quiet.popular?.map(lineOf).sort(), all.toSorted());
  const own = living.filter(({ authorId }) => authorId === author?.id).map(({ line }) => line);
  check("the author's list", quiet.ofAuthor?.map(lineOf), own);
  check("posts of the board as shown", quiet.postCount, living.length);
}

function lineOf(post: ShownPost): string {
  const { id, title, version, likeCount, commentCount, viewCount, likedByMe } = post;
  return `${id} ${title} v${version} ${likeCount} likes ${commentCount} comments ${viewCount} views ${likedByMe}`;
}

function checkComments({ cast }: History, truth: Truth, quiet: Quiet, check: Check): void {
  const post = truth.posts.find(({ id }) => id === cast.postId);
  if (post?.deletedAt !== null) return;
  check(
    "comments shown",
    quiet.comments?.map(({ id, content, likeCount, version }) => [id, content, likeCount, version]),
    truth.comments
      .toSorted((a, b) => a.id - b.id)
      .map(({ id, content, likeCount, version, deletedAt }) => [
        id,
        deletedAt === null ? content : null,
        deletedAt === null ? likeCount : quiet.comments?.find((shown) => shown.id === id)?.likeCount,
        version,
      ]),
  );
}

/** Whoever came back again and again heard every event of the log once, in its order. */
function checkLog(ear: Ear, log: Quiet["logs"]["post"], check: Check): void {
  if (!log) return;
  check(
    `${ear.room}: events heard`,
    ear.events().map((event) => JSON.stringify(event)),
    log.map((event) => JSON.stringify(event)),
  );
}

function checkUnread(truth: Truth, quiet: Quiet, check: Check): void {
  const erased = new Set(truth.users.filter(({ erasedAt }) => erasedAt !== null).map(({ id }) => id));
  for (const [userId, count] of quiet.unreadCounts) {
    if (erased.has(userId)) continue;
    const unread = truth.notifications.filter(
      (row) => row.userId === userId && row.withdrawnAt === null && !row.isRead,
    );
    check(`unread count of ${userId}`, count, unread.length);
  }
}

/**
 * A view that Redis has counted reaches the row exactly once, whatever befell the flush. One is lost when Redis or the
 * Worker failed the reader who made it, and for no other reason.
 */
function checkViews({ attempts, cast, killed }: History, truth: Truth, quiet: Quiet, check: Check): void {
  const row = truth.posts.find(({ id }) => id === cast.postId);
  check("views of the post", row?.viewCount, quiet.viewers.length);
  if (killed) return;
  for (const { actorId, kind, statuses, faults } of attempts) {
    if (kind !== "read_post") continue;
    const untouched = statuses.some((status, index) => status === 200 && faults[index] === null);
    if (untouched) check(`view of ${actorId} counted`, quiet.viewers.includes(actorId), true);
  }
}
