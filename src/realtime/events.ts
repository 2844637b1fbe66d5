/**
 * What goes over a room's socket, both ways: one source for publishers, rooms, clients and tests. Pure: zod only.
 * @module
 */
import { z } from "zod";

/** The subprotocol that a server answers with. */
export const SUBPROTOCOL = "liveforum.v1";
/** A browser sends its access token as a second subprotocol: `bearer.<token>`. */
export const BEARER_PROTOCOL_PREFIX = "bearer.";

/** A longer frame from a client closes its socket. UTF-8 bytes. */
export const CLIENT_FRAME_MAX_BYTES = 4_096;
/** More frames than this from one socket within the window close it. Pings that are spelled as `PING` do not count. */
export const FLOOD_FRAMES_MAX = 50;
export const FLOOD_WINDOW_MS = 10_000;

/** The only spelling of a ping that is answered without waking the room, and its answer. */
export const PING = '{"type":"ping"}';
export const PONG = '{"type":"pong"}';

/** A client shows "is typing" for this long after the last `typing` of a user. */
export const TYPING_TTL_MS = 6_000;
/** A room passes on one `typing` of a socket in this time; more are dropped. */
export const TYPING_INTERVAL_MS = 2_000;

/** Longest wait of a long poll. */
export const POLL_WAIT_MAX_SECONDS = 25;

/** Codes with which a room closes a socket. */
export const CLOSE = {
  /** A frame over `CLIENT_FRAME_MAX_BYTES`. */
  tooLarge: 1009,
  /** The token ran out or was revoked: sign in or refresh, then come back. */
  unauthenticated: 4401,
  /** An `auth` frame with the token of somebody else. */
  forbidden: 4403,
  /** The post is gone. */
  gone: 4404,
  /** Over `FLOOD_FRAMES_MAX` frames in `FLOOD_WINDOW_MS`. */
  flooding: 4429,
  /** The room, or this user's share of it, is full. */
  full: 4503,
} as const;

const id = z.int().positive();
const count = z.int().nonnegative();
const instant = z.iso.datetime({ precision: 3 });
const person = z.object({ id, username: z.string() });

/** A comment as rooms are told of it: nothing in it depends on the viewer. */
export const roomCommentSchema = z
  .object({
    id,
    postId: id,
    author: person.nullable(),
    content: z.string().nullable(),
    likeCount: count,
    version: id,
    createdAt: instant,
    updatedAt: instant,
    deletedAt: instant.nullable(),
  })
  .meta({ id: "RoomComment" });

/** A post as rooms are told of it. */
export const roomPostSchema = z
  .object({
    id,
    board: z.object({ id, name: z.string(), slug: z.string() }),
    author: person.nullable(),
    title: z.string(),
    content: z.string(),
    viewCount: count,
    likeCount: count,
    commentCount: count,
    version: id,
    createdAt: instant,
    updatedAt: instant,
  })
  .meta({ id: "RoomPost" });

/** A notification as its reader is told of it. */
export const roomNotificationSchema = z
  .object({
    id,
    type: z.enum(["comment", "like"]),
    targetType: z.enum(["post", "comment"]),
    targetId: id,
    postId: id,
    actor: person.nullable(),
    actorCount: count,
    message: z.string(),
    isRead: z.boolean(),
    createdAt: instant,
  })
  .meta({ id: "RoomNotification" });

const likeCountSchema = z.object({ targetId: id, likeCount: count });

/** A frame that has its place in the room's log. */
function eventFrame<Type extends string, Data extends z.ZodType>(type: Type, data: Data) {
  return z.object({ type: z.literal(type), room: z.string(), seq: id, at: instant, data });
}

const commentAdded = eventFrame("comment_added", roomCommentSchema);
const commentUpdated = eventFrame("comment_updated", roomCommentSchema);
const commentDeleted = eventFrame("comment_deleted", roomCommentSchema);
const postUpdated = eventFrame("post_updated", roomPostSchema);
const postDeleted = eventFrame("post_deleted", z.object({ id }));
const postLiked = eventFrame("post_liked", likeCountSchema);
const commentLiked = eventFrame("comment_liked", likeCountSchema);
const notifyUser = eventFrame(
  "notify_user",
  z.object({ notification: roomNotificationSchema, unreadCount: count }),
);
const notificationRead = eventFrame(
  "notification_read",
  z.union([
    z.object({ ids: z.array(id), unreadCount: count }),
    z.object({ upTo: count, unreadCount: count }),
  ]),
);

const events = [
  commentAdded,
  commentUpdated,
  commentDeleted,
  postUpdated,
  postDeleted,
  postLiked,
  commentLiked,
  notifyUser,
  notificationRead,
] as const;

/** Always the first frame of a socket, and of the answer to a long poll. */
const ready = z.object({
  type: z.literal("ready"),
  room: z.string(),
  epoch: z.string().meta({ description: "Changes only when the room's log was lost" }),
  seq: count.meta({ description: "The last event of the room" }),
  resume: z.enum(["fresh", "replayed", "resync"]),
  viewers: count.meta({ description: "People in the room" }),
});

const presence = z.object({
  type: z.literal("presence"),
  room: z.string(),
  at: instant,
  data: z.object({ viewers: count }),
});
const typing = z.object({
  type: z.literal("typing"),
  room: z.string(),
  at: instant,
  data: z.object({ user: person }),
});
const pong = z.object({ type: z.literal("pong") });
const error = z.object({
  type: z.literal("error"),
  code: z.enum([
    "invalid_frame",
    "unknown_type",
    "binary_frame",
    "unauthenticated",
    "token_expired",
    "unavailable",
    "internal",
  ]),
});

/** A frame of the log: what is replayed. */
export const eventFrameSchema = z.discriminatedUnion("type", events);
/** What a long poll answers with. */
export const polledFrameSchema = z
  .discriminatedUnion("type", [ready, ...events])
  .meta({ id: "RoomPolledFrame" });
/** Whatever a room may send. */
export const serverFrameSchema = z.discriminatedUnion("type", [
  ready,
  ...events,
  presence,
  typing,
  pong,
  error,
]);

/** Whatever a client may send. */
export const clientFrameSchema = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("ping") }),
  z.strictObject({ type: z.literal("auth"), token: z.string().min(1) }),
  z.strictObject({ type: z.literal("typing") }),
]);

export type EventFrame = z.infer<typeof eventFrameSchema>;
export type PolledFrame = z.infer<typeof polledFrameSchema>;
export type ServerFrame = z.infer<typeof serverFrameSchema>;
export type ReadyFrame = z.infer<typeof ready>;
export type ErrorFrame = z.infer<typeof error>;
export type ClientFrame = z.infer<typeof clientFrameSchema>;
export type RoomComment = z.infer<typeof roomCommentSchema>;
export type RoomPost = z.infer<typeof roomPostSchema>;
export type RoomNotification = z.infer<typeof roomNotificationSchema>;

/** The types that `clientFrameSchema` knows. */
export const CLIENT_FRAME_TYPES: readonly string[] = [
  "ping",
  "auth",
  "typing",
] satisfies ClientFrame["type"][];

/** What a publisher says of an event; the room adds its name, `seq` and `at`. */
type Announced<Frame> = Frame extends { type: infer Type; data: infer Data }
  ? {
      /** Names the event within its room for good: the second event under the same key is the first one. */
      key: string;
      type: Type;
      data: Data;
      /** Which thing's state the data is, and its order among them: what is older than the room was told is not told. */
      state?: { of: string; revision: number };
    }
  : never;

/** An event of a post's room. Likes go another way: see `LikeCount`. */
export type PostEvent = Announced<
  | z.infer<typeof commentAdded>
  | z.infer<typeof commentUpdated>
  | z.infer<typeof commentDeleted>
  | z.infer<typeof postUpdated>
  | z.infer<typeof postDeleted>
>;
/** An event of a user's room. */
export type UserEvent = Announced<z.infer<typeof notifyUser> | z.infer<typeof notificationRead>>;

/** The likes of one target as of `revision`. */
export type LikeCount = {
  type: "post_liked" | "comment_liked";
  targetId: number;
  likeCount: number;
  /** Orders the states of one target: a count of an older revision changes nothing. */
  revision: number;
};

/** Where a client stands in a room's log. */
export type Position = {
  epoch: string;
  /** The `seq` of the last event that it has. */
  after: number;
};

/** Which sessions of a user have ended. */
export type EndedSessions =
  | { sessionId: number }
  /** All that began under an older epoch, but for one. */
  | { epoch: number; keptSessionId?: number }
  /** The account is gone. */
  | { erased: true };

/** What became of a publication. `seqs` has one entry for each event, in order, whether it was new or known. */
export type Published = { status: "stored"; seqs: number[] } | { status: "gone" };

/** What became of a like count: announced at once, kept for a moment, or known already. */
export type CountPublished = { status: "sent" | "held" | "known" | "gone" };
