/**
 * What everybody is shown when all is quiet: lists, logs of rooms, unread counts, and who counted as a viewer.
 * @module
 */
import type { RedisClient } from "../../src/cache/client.ts";
import { keys } from "../../src/cache/keys.ts";
import type { EventFrame, ServerFrame } from "../../src/realtime/events.ts";
import { listsOf } from "./deeds.ts";
import type { Ear } from "./ear.ts";
import type { Actor, History, Stage } from "./play.ts";

export type ShownPost = {
  id: number;
  title: string;
  version: number;
  likeCount: number;
  commentCount: number;
  viewCount: number;
  likedByMe: boolean | null;
};
export type ShownComment = { id: number; content: string | null; likeCount: number; version: number };

/** A list is null when it could not be read, a log when its room is gone. */
export type Quiet = {
  latest: ShownPost[] | null;
  popular: ShownPost[] | null;
  ofAuthor: ShownPost[] | null;
  comments: ShownComment[] | null;
  postCount: number | null;
  logs: { post: EventFrame[] | null; user: EventFrame[] | null };
  /** By user. */
  unreadCounts: [number, number | null][];
  /** Users whose view of the post was counted in Redis. */
  viewers: number[];
};

const READER = "reader-0";

/** Reads all of it, from the cache where the run has left something there. */
export async function quietOf(
  { cast, post, user }: History,
  send: Stage["send"],
  redis: RedisClient,
): Promise<Quiet> {
  const [author] = cast.actors;
  if (!author) throw new Error("a cast without anybody");
  const get = async <Body>(path: string, as: Actor = author): Promise<Body | null> => {
    const answer = await send(as, { method: "GET", path }, null, READER);
    return answer?.status === 200 ? (answer.body as Body) : null;
  };
  const items = async <Item>(path: string) => (await get<{ items: Item[] }>(path))?.items ?? null;
  const logOf = async (ear: Ear) => {
    if (!ear.start) return null;
    const { epoch, after } = ear.start;
    const path = (seq: number) => `/api/rooms/${ear.room}/events?epoch=${epoch}&after=${seq}&wait=0`;
    const log: EventFrame[] = [];
    // A long log comes in pieces; `ready` says where it ends.
    for (;;) {
      const at = log.at(-1)?.seq ?? after;
      const answer = await get<{ frames: ServerFrame[] }>(path(at), ear.actor);
      if (!answer) return null;
      const [ready] = answer.frames;
      const events = answer.frames.filter((frame): frame is EventFrame => "seq" in frame && "data" in frame);
      log.push(...events);
      if (ready?.type !== "ready" || events.length === 0 || events.at(-1)?.seq === ready.seq) return log;
    }
  };
  const lists = listsOf(cast);
  const [shown, comments, board, postLog, userLog, unreadCounts, viewers] = await Promise.all([
    Promise.all(lists.map((path) => items<ShownPost>(path))),
    items<ShownComment>(`/api/posts/${cast.postId}/comments?limit=100`),
    get<{ postCount: number }>(`/api/boards/${cast.boardId}`),
    logOf(post),
    logOf(user),
    Promise.all(
      cast.actors.map(async (actor): Promise<[number, number | null]> => {
        const count = await get<{ unreadCount: number }>("/api/notifications/unread-count", actor);
        return [actor.id, count?.unreadCount ?? null];
      }),
    ),
    viewersOf(
      redis,
      cast.postId,
      cast.actors.map(({ id }) => id),
    ),
  ]);
  const [latest = null, popular = null, ofAuthor = null] = shown;
  return {
    latest,
    popular,
    ofAuthor,
    comments,
    postCount: board?.postCount ?? null,
    logs: { post: postLog, user: userLog },
    unreadCounts,
    viewers,
  };
}

/** Whose view of a post does not count again, because it did. */
async function viewersOf(redis: RedisClient, postId: number, userIds: number[]): Promise<number[]> {
  const known = await Promise.all(
    userIds.map((id) => redis.run<number>((pipe) => pipe.exists(keys.viewed(postId, `u${id}`)))),
  );
  return userIds.filter((_, index) => known[index] === 1);
}
