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

const room = z.string().meta({ description: "The room's name: `post:7`, `user:7`" });

/** A frame that has its place in the room's log. */
function eventFrame<Type extends string, Data extends z.ZodType>(type: Type, data: Data) {
  return z.object({
    type: z.literal(type),
    room,
    seq: id.meta({ description: "Grows by exactly 1 from event to event of the room" }),
    at: instant,
    data,
  });
}

const commentAdded = eventFrame("comment_added", roomCommentSchema).meta({
  id: "CommentAdded",
  description: "A comment was written.",
});
const commentUpdated = eventFrame("comment_updated", roomCommentSchema).meta({
  id: "CommentUpdated",
  description: "A comment was edited.",
});
const commentDeleted = eventFrame("comment_deleted", roomCommentSchema).meta({
  id: "CommentDeleted",
  description: "A comment was deleted. It keeps its place; `content` and `author` are `null`.",
});
const postUpdated = eventFrame("post_updated", roomPostSchema).meta({
  id: "PostUpdated",
  description: "The post was edited.",
});
const postDeleted = eventFrame("post_deleted", z.object({ id })).meta({
  id: "PostDeleted",
  description: "The post was deleted. The room's last frame: it closes with 4404.",
});
const postLiked = eventFrame("post_liked", likeCountSchema).meta({
  id: "PostLiked",
  description: "The post's likes, as an absolute count. At most 4 frames a second, the last one exact.",
});
const commentLiked = eventFrame("comment_liked", likeCountSchema).meta({
  id: "CommentLiked",
  description:
    "A comment's likes, as an absolute count. At most 4 frames a second for each, the last one exact.",
});
const notifyUser = eventFrame(
  "notify_user",
  z.object({ notification: roomNotificationSchema, unreadCount: count }),
).meta({ id: "NotifyUser", description: "A notification arrived, or changed: more people did the same." });
const notificationRead = eventFrame(
  "notification_read",
  z.union([
    z.object({ ids: z.array(id), unreadCount: count }),
    z.object({ upTo: count, unreadCount: count }),
  ]),
).meta({
  id: "NotificationRead",
  description: "Notifications were read, or taken back: those in `ids`, or all up to `upTo`.",
});

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

const ready = z
  .object({
    type: z.literal("ready"),
    room,
    epoch: z.string().meta({ description: "Changes only when the room's log was lost" }),
    seq: count.meta({ description: "The last event of the room" }),
    resume: z.enum(["fresh", "replayed", "resync"]).meta({
      description:
        "`fresh`: no position was named. `replayed`: every event after it follows. `resync`: the log does not reach back; read by REST",
    }),
    viewers: count.meta({ description: "People in the room" }),
  })
  .meta({
    id: "Ready",
    description: "Always the first frame of a socket, and of the answer to a long poll.",
  });

const presence = z
  .object({ type: z.literal("presence"), room, at: instant, data: z.object({ viewers: count }) })
  .meta({
    id: "Presence",
    description: "How many people (not sockets) are in the room. At most one a second; not logged.",
  });
const typing = z
  .object({ type: z.literal("typing"), room, at: instant, data: z.object({ user: person }) })
  .meta({
    id: "Typing",
    description: `Somebody else types. Stands for ${TYPING_TTL_MS / 1000} s after the last one of the same user; not logged.`,
  });
const pong = z.object({ type: z.literal("pong") }).meta({ id: "Pong", description: "The answer to `ping`." });
const error = z
  .object({
    type: z.literal("error"),
    code: z
      .enum([
        "invalid_frame",
        "unknown_type",
        "binary_frame",
        "unauthenticated",
        "token_expired",
        "unavailable",
        "internal",
      ])
      .meta({ description: "More may come", "x-open-enum": true }),
  })
  .meta({ id: "RoomError", description: "A frame of the client was refused. The socket stays open." });

/** A frame of the log: what is replayed. */
export const eventFrameSchema = z.discriminatedUnion("type", events);
/** What a long poll answers with. */
export const polledFrameSchema = z
  .discriminatedUnion("type", [ready, ...events])
  .meta({ id: "RoomPolledFrame" });
/** Whatever a room may send. */
export const serverFrameSchema = z
  .discriminatedUnion("type", [ready, ...events, presence, typing, pong, error])
  .meta({ id: "RoomServerFrame" });

const clientPing = z.strictObject({ type: z.literal("ping") }).meta({
  id: "ClientPing",
  description: `Answered \`pong\`. Spelled as \`${PING}\` it does not wake the room.`,
});
const clientAuth = z.strictObject({ type: z.literal("auth"), token: z.string().min(1) }).meta({
  id: "ClientAuth",
  description:
    "A fresh access token of the same user: the socket lives as long as that. No answer means yes.",
});
const clientTyping = z.strictObject({ type: z.literal("typing") }).meta({
  id: "ClientTyping",
  description: `The user types; the others are told, at most once in ${TYPING_INTERVAL_MS / 1000} s.`,
});

/** Whatever a client may send. */
export const clientFrameSchema = z
  .discriminatedUnion("type", [clientPing, clientAuth, clientTyping])
  .meta({ id: "ClientFrame" });

/** What goes over the sockets of each kind of room, from the server and from clients. */
export const ROOM_FRAMES = {
  post: {
    server: z
      .discriminatedUnion("type", [
        ready,
        commentAdded,
        commentUpdated,
        commentDeleted,
        postUpdated,
        postDeleted,
        postLiked,
        commentLiked,
        presence,
        typing,
        pong,
        error,
      ])
      .meta({ id: "PostRoomFrame", description: "Whatever a post's room sends." }),
    client: [clientPing, clientAuth, clientTyping],
  },
  user: {
    server: z
      .discriminatedUnion("type", [ready, notifyUser, notificationRead, pong, error])
      .meta({ id: "UserRoomFrame", description: "Whatever a user's room sends." }),
    client: [clientPing, clientAuth],
  },
} as const;

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
