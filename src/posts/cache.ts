/**
 * Cached posts, lists of them, and their views. See `scripts.ts` for the rules that keep them from being stale.
 * @module
 */
import type { RedisClient } from "../cache/client.ts";
import { createHold, FENCE_TTL_SECONDS, type Hold, HOLD_MS } from "../cache/hold.ts";
import { keys } from "../cache/keys.ts";
import type { Post, PostSummary } from "./schema.ts";
import { FENCE_POST, FILL_POST, HOLD_POST, READ_POST, RELEASE_POST } from "./scripts.ts";
import { END_VIEWS, TAKE_VIEWS } from "./view-scripts.ts";

/** A view counts once per viewer and post in this time. */
const VIEW_SECONDS = 3_600;

/** A post as it is cached: what lists show and what its readers are shown. */
export type StoredPost = Post & PostSummary;
/** What a miss must remember for the fill to be accepted: Redis's time before the read of the database, in milliseconds. */
export type FillTicket = { readAt: string };
export type CachedRead =
  | { hit: true; post: Post }
  /** `unflushedViews` come on top of the database's count and include the reader's own. */
  | { hit: false; ticket: FillTicket; unflushedViews: number };

export type PostCache = {
  /** Reads a post and counts the view if it is cached. One Redis command. @param viewer null: not a view */
  read: (id: number, viewer: string | null) => Promise<CachedRead>;
  /** After a miss: counts the view and caches the post, unless it changed meanwhile. One Redis command. */
  fill: (ticket: FillTicket, post: StoredPost, revision: number, viewer: string | null) => Promise<void>;
  /** Announces a new revision: no older state is served after this. One Redis command. */
  fence: (id: number, revision: number) => Promise<void>;
  /** Keeps the post out of the cache until the release, for 25 s at most. One Redis command each. */
  hold: (id: number) => Hold;
  /** Views that are to be written to the database, by post. Null: none. */
  takeViews: () => Promise<{ batchId: string; views: Map<number, number> } | null>;
  endViews: (batchId: string) => Promise<void>;
};

export function createPostCache(redis: RedisClient): PostCache {
  const viewSeconds = (viewer: string | null) => (viewer === null ? 0 : VIEW_SECONDS);
  const viewKeys = (id: number, viewer: string | null) => [keys.post(id), keys.viewed(id, viewer ?? "none")];

  return {
    async read(id, viewer) {
      const answer = await redis.script<[string, string, string, string, string] | [null, string, number]>(
        READ_POST,
        viewKeys(id, viewer),
        [id, viewSeconds(viewer)],
      );
      if (answer[0] === null) return { hit: false, ticket: { readAt: answer[1] }, unflushedViews: answer[2] };
      const [summary, likes, comments, views, content] = answer;
      const { excerpt: _, ...post } = parseSummary(summary, likes, comments, views);
      return { hit: true, post: { ...post, content: JSON.parse(content) as string } };
    },

    async fill(ticket, post, revision, viewer) {
      await redis.script(FILL_POST, viewKeys(post.id, viewer), [
        post.id,
        viewSeconds(viewer),
        ticket.readAt,
        ...fillValues(post, revision),
        // As JSON: the client of Redis drops a byte order mark in front of a text.
        JSON.stringify(post.content),
      ]);
    },

    async fence(id, revision) {
      await redis.script(FENCE_POST, [keys.post(id)], [revision]);
    },

    hold(id) {
      const token = crypto.randomUUID();
      const scriptKeys = [keys.post(id), keys.postHolds(id)];
      return createHold(
        redis.script(HOLD_POST, scriptKeys, [token, HOLD_MS]),
        async (revision, { likeCount, commentCount } = {}) => {
          await redis.script(RELEASE_POST, scriptKeys, [
            token,
            revision,
            likeCount ?? "",
            commentCount ?? "",
          ]);
        },
      );
    },

    async takeViews() {
      const flat = await redis.script<string[]>(
        TAKE_VIEWS,
        [keys.pendingViews(), keys.viewBatch()],
        [crypto.randomUUID()],
      );
      let batchId: string | undefined;
      const views = new Map<number, number>();
      for (let index = 0; index < flat.length; index += 2) {
        if (flat[index] === "id") batchId = flat[index + 1];
        else views.set(Number(flat[index]), Number(flat[index + 1]));
      }
      return batchId === undefined ? null : { batchId, views };
    },

    async endViews(batchId) {
      await redis.script(END_VIEWS, [keys.viewBatch(), keys.viewsFlushedAt()], [batchId, FENCE_TTL_SECONDS]);
    },
  };
}

/** What `FILL_POST` and `FILL_LISTED` are told of a post, after its id. */
export function fillValues(post: PostSummary, revision: number): (string | number)[] {
  const { id, board, author, title, excerpt, version, createdAt, updatedAt } = post;
  return [
    revision,
    JSON.stringify({ id, board, author, title, excerpt, version, createdAt, updatedAt }),
    // An author whose account is gone has no name that could change.
    author?.id ?? 0,
    board.id,
    post.likeCount,
    post.commentCount,
    post.viewCount,
  ];
}

/** A post's summary out of what is cached of it. */
export function parseSummary(
  json: string,
  likes: string | number,
  comments: string | number,
  views: string | number,
): PostSummary {
  const summary = JSON.parse(json) as Omit<PostSummary, "likeCount" | "commentCount" | "viewCount">;
  return {
    ...summary,
    likeCount: Number(likes),
    commentCount: Number(comments),
    viewCount: Number(views),
  };
}
