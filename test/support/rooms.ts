/**
 * Rooms as clients use them: over the API's upgrade, with a picture of the post that the frames keep up to date.
 * @module
 */
import { exports } from "cloudflare:workers";
import type {
  EventFrame,
  Position,
  ReadyFrame,
  RoomComment,
  RoomPost,
  ServerFrame,
} from "../../src/realtime/events.ts";
import { type Client, ORIGIN, randomAddress } from "./client.ts";
import { socketOf, type TestSocket } from "./sockets.ts";
import { readPost, thread } from "./threads.ts";

/** Asks the API for a socket. */
export async function upgrade(room: string, accessToken: string, position?: Position): Promise<Response> {
  return exports.default.fetch(upgradeRequest(room, accessToken, position));
}

export function upgradeRequest(room: string, accessToken: string, position?: Position): Request {
  const query = position ? `?epoch=${position.epoch}&after=${position.after}` : "";
  return new Request(`${ORIGIN}/api/rooms/${room}${query}`, {
    headers: {
      upgrade: "websocket",
      "sec-websocket-protocol": `liveforum.v1, bearer.${accessToken}`,
      "cf-connecting-ip": randomAddress(),
    },
  });
}

/** Joins a room over the API, and takes `ready`. @throws when it is refused */
export async function join(
  room: string,
  accessToken: string,
  position?: Position,
): Promise<{ socket: TestSocket; ready: ReadyFrame }> {
  const socket = socketOf(await upgrade(room, accessToken, position));
  return { socket, ready: await socket.next("ready") };
}

/** A post with its comments by id; what depends on the reader or only REST tells (views, number of comments) is left out. */
export type Picture = {
  post: Omit<RoomPost, "viewCount" | "commentCount"> | null;
  comments: Map<number, RoomComment>;
};

/** What REST shows at this moment. */
export async function pictureOf(postId: number, client: Client): Promise<Picture> {
  const { viewCount: _, commentCount: __, likedByMe: ___, ...post } = await readPost(postId, client);
  const comments = await thread(postId, client);
  return {
    post,
    comments: new Map(
      comments.map((comment) => {
        const { likedByMe: _, ...rest } = comment;
        return [comment.id, rest];
      }),
    ),
  };
}

/** A frame put into a picture as a client does that believes what it is told last. */
export function apply(picture: Picture, frame: ServerFrame): void {
  switch (frame.type) {
    case "comment_added":
    case "comment_updated":
    case "comment_deleted":
      picture.comments.set(frame.data.id, frame.data);
      break;
    case "post_updated": {
      const { viewCount: _, commentCount: __, ...post } = frame.data;
      picture.post = post;
      break;
    }
    case "post_deleted":
      picture.post = null;
      break;
    case "post_liked":
      if (picture.post) picture.post = { ...picture.post, likeCount: frame.data.likeCount };
      break;
    case "comment_liked": {
      const { targetId, likeCount } = frame.data;
      const comment = picture.comments.get(targetId);
      if (comment) picture.comments.set(targetId, { ...comment, likeCount });
      break;
    }
    default:
      break;
  }
}

/** The picture after all of the frames. */
export function fold(picture: Picture, frames: readonly ServerFrame[]): Picture {
  const next: Picture = { post: picture.post, comments: new Map(picture.comments) };
  for (const frame of frames) apply(next, frame);
  return next;
}

/** What one picture shows otherwise than another, each with the events that told of it. */
export function differences(rest: Picture, followed: Picture, events: readonly EventFrame[]): string[] {
  const things = (picture: Picture) =>
    new Map<"post" | number, object | null>([["post", picture.post], ...picture.comments]);
  const [right, wrong] = [things(rest), things(followed)];
  return [...new Set([...right.keys(), ...wrong.keys()])].flatMap((key) => {
    if (sortedText(right.get(key)) === sortedText(wrong.get(key))) return [];
    const told = events.filter(({ type, data }) =>
      key === "post"
        ? type.startsWith("post_")
        : type.startsWith("comment_") &&
          ("id" in data ? data.id : "targetId" in data && data.targetId) === key,
    );
    return [
      `${key}: REST ${sortedText(right.get(key))}, frames ${sortedText(wrong.get(key))}`,
      ...told.map((event) => sortedText(event)),
    ];
  });
}

function sortedText(value: object | null | undefined): string {
  return JSON.stringify(value && Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
