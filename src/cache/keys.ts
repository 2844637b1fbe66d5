/**
 * Every key that LiveForum keeps in Redis. The version in the prefix changes when the shape of a value does.
 * @module
 */

const PREFIX = "lf:1";

export const keys = {
  /** Hash: what changed about a signed-in user within the life of an access token. */
  authOverride: (userId: number) => `${PREFIX}:auth:${userId}`,
  /** Present while access tokens of an ended session may still be about. With the user: an id may be another's after a restored backup. */
  endedSession: (userId: number, sessionId: number) => `${PREFIX}:ended:${userId}:${sessionId}`,
  /** The nonce of the session that has the id, from its sign-in or last refresh on. */
  session: (sessionId: number) => `${PREFIX}:session:${sessionId}`,
  /** Prefix of the limiter's own keys. */
  limit: (policy: string) => `${PREFIX}:limit:${policy}`,
  /** When the name of a user or board, as it is shown inside cached posts, last changed. Absent: not lately. */
  renamed: (of: NameOf | "") => `${PREFIX}:renamed:${of}`,
  /** JSON: what posts show of a board, with the time it was read at. */
  board: (boardId: number) => `${PREFIX}:board:${boardId}`,
  /** Hash: a cached post, and the revision below which nothing may be cached. */
  post: (postId: number | string) => `${PREFIX}:post:${postId}`,
  /** Sorted set: writers that are at work on the post, by the time until which they count. */
  postHolds: (postId: number | string) => `${PREFIX}:post:${postId}:holds`,
  /** Present while a viewer's view of a post does not count again. */
  viewed: (postId: number, viewer: string) => `${PREFIX}:viewed:${postId}:${viewer}`,
  /** Hash: views by post that are not yet in the database. */
  pendingViews: () => `${PREFIX}:views:pending`,
  /** Hash: views by post that are being written to the database. */
  viewBatch: () => `${PREFIX}:views:batch`,
  /** When the last batch of views was done, in Redis's milliseconds. */
  viewsFlushedAt: () => `${PREFIX}:views:flushed`,
  /** Hash: the first page of a list, and since when nothing older may be cached. */
  list: (name: ListName) => `${PREFIX}:list:${name}`,
  /** Sorted set: writers that are at work on the list, by the time until which they count. */
  listHolds: (name: ListName) => `${PREFIX}:list:${name}:holds`,
  /** Hash: ids of the popular posts, best first. `scope` is a board's id or `all`. */
  popular: (scope: number | "all") => `${PREFIX}:ranking:${scope}`,
  /** Nobody holds a ranking: what it shows of a post is the post's own state. */
  popularHolds: (scope: number | "all") => `${PREFIX}:ranking:${scope}:holds`,
  /** Present while somebody computes a ranking. */
  popularLock: (scope: number | "all") => `${PREFIX}:ranking:${scope}:lock`,
  /** Sorted set: rankings by the time they were last asked for. */
  popularDemand: () => `${PREFIX}:rankings`,
} as const;

/** Whose name changed. */
export type NameOf = `user:${number}` | `board:${number}`;
/** Boards, or posts by board and author (`*`: of all). */
export type ListName = "boards" | `posts:${number | "*"}:${number | "*"}`;
