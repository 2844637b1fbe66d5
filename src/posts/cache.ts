/**
 * Cached posts and their views. See `scripts.ts` for the rules that keep them from being stale.
 * @module
 */
import { type RedisClient, RedisUnavailableError } from "../cache/client.ts";
import { keys } from "../cache/keys.ts";
import {
  END_VIEWS,
  FENCE_POST,
  FILL_POST,
  HOLD_POST,
  READ_POST,
  RELEASE_POST,
  TAKE_VIEWS,
} from "./scripts.ts";
import type { Post } from "./schema.ts";

const POST_TTL_SECONDS = 600;
/** Longer than any read that may still be under way when a write is announced. */
const FENCE_TTL_SECONDS = 900;
/** A view counts once per viewer and post in this time. */
const VIEW_SECONDS = 3_600;
/** Longer than a statement and a read begun before it may take together: see db/client.ts. */
const HOLD_MS = 25_000;
/** Of a deleted post: higher than any revision. */
export const FINAL_REVISION = Number.MAX_SAFE_INTEGER;

/** What a miss must remember for the fill to be accepted. */
export type FillTicket = { readAt: string; names: string };
export type CachedRead =
  | { hit: true; post: Post }
  /** `unflushedViews` come on top of the database's count and include the reader's own. */
  | { hit: false; ticket: FillTicket; unflushedViews: number };

export type PostHold = {
  /** Settles when the post is held; never rejects, because without Redis there is nothing to hold. */
  held: Promise<void>;
  /** @param revision of the row after the write; 0 when nothing was written */
  release: (revision: number) => Promise<void>;
};

export type PostCache = {
  /** Reads a post and counts the view if it is cached. One Redis command. @param viewer null: not a view */
  read: (id: number, viewer: string | null) => Promise<CachedRead>;
  /** After a miss: counts the view and caches the post, unless it changed meanwhile. One Redis command. */
  fill: (post: Post, revision: number, ticket: FillTicket, viewer: string | null) => Promise<void>;
  /** Announces a new revision: no older state is served after this. One Redis command. */
  fence: (id: number, revision: number) => Promise<void>;
  /** Keeps the post out of the cache until the release, for 25 s at most. One Redis command each. */
  hold: (id: number) => PostHold;
  /** Makes the names inside all cached posts out of date. One Redis command. */
  forgetNames: () => Promise<void>;
  /** Views that are to be written to the database, by post. Null: none. */
  takeViews: () => Promise<{ batchId: string; views: Map<number, number> } | null>;
  endViews: (batchId: string) => Promise<void>;
};

export function createPostCache(redis: RedisClient): PostCache {
  const scriptKeys = (id: number, viewer: string | null) => [
    keys.post(id),
    keys.postHolds(id),
    keys.names(),
    keys.pendingViews(),
    keys.viewBatch(),
    keys.viewed(id, viewer ?? "none"),
  ];
  const viewSeconds = (viewer: string | null) => (viewer === null ? 0 : VIEW_SECONDS);

  return {
    async read(id, viewer) {
      const [json, ...rest] = await redis.script<[string | null, string, string, number]>(
        READ_POST,
        scriptKeys(id, viewer),
        [id, viewSeconds(viewer)],
      );
      if (json) return { hit: true, post: { ...(JSON.parse(json) as Post), viewCount: Number(rest[0]) } };
      return { hit: false, ticket: { readAt: rest[0], names: rest[1] }, unflushedViews: rest[2] };
    },

    async fill(post, revision, ticket, viewer) {
      // Entries that were filled together do not end together.
      const ttlSeconds = Math.round(POST_TTL_SECONDS * (0.9 + Math.random() * 0.2));
      await redis.script(
        FILL_POST,
        [...scriptKeys(post.id, viewer), keys.viewsFlushedAt()],
        [
          post.id,
          viewSeconds(viewer),
          ticket.readAt,
          ticket.names,
          revision,
          JSON.stringify(post),
          post.viewCount,
          ttlSeconds,
        ],
      );
    },

    async fence(id, revision) {
      await redis.script(FENCE_POST, [keys.post(id)], [revision, FENCE_TTL_SECONDS]);
    },

    hold(id) {
      const token = crypto.randomUUID();
      const scriptKeys = [keys.post(id), keys.postHolds(id)];
      return {
        held: redis.script(HOLD_POST, scriptKeys, [token, HOLD_MS, FENCE_TTL_SECONDS]).then(
          () => undefined,
          (error: unknown) => {
            if (!(error instanceof RedisUnavailableError)) throw error;
          },
        ),
        async release(revision) {
          await redis.script(RELEASE_POST, scriptKeys, [token, revision, FENCE_TTL_SECONDS]);
        },
      };
    },

    async forgetNames() {
      await redis.run((pipe) => pipe.set(keys.names(), crypto.randomUUID()));
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
