// Made from api/asyncapi.json by `npm run client:types`. Do not edit.

/** Whatever a post's room sends. */
export type PostRoomFrame = Ready | CommentAdded | CommentUpdated | CommentDeleted | PostUpdated | PostDeleted | PostLiked | CommentLiked | Presence | Typing | Pong | RoomError;

/** Always the first frame of a socket, and of the answer to a long poll. */
export type Ready = {
  type: "ready";
  /** The room's name: `post:7`, `user:7` */
  room: string;
  /** Changes only when the room's log was lost */
  epoch: string;
  /** The last event of the room */
  seq: number;
  /** `fresh`: no position was named. `replayed`: every event after it follows. `resync`: the log does not reach back; read by REST */
  resume: "fresh" | "replayed" | "resync";
  /** People in the room */
  viewers: number;
};

/** A comment was written. */
export type CommentAdded = {
  type: "comment_added";
  /** The room's name: `post:7`, `user:7` */
  room: string;
  /** Grows by exactly 1 from event to event of the room */
  seq: number;
  at: string;
  data: RoomComment;
};

export type RoomComment = {
  id: number;
  postId: number;
  author: {
    id: number;
    username: string;
  } | null;
  content: string | null;
  likeCount: number;
  version: number;
  createdAt: string;
  updatedAt: string;
  deletedAt: string | null;
};

/** A comment was edited. */
export type CommentUpdated = {
  type: "comment_updated";
  /** The room's name: `post:7`, `user:7` */
  room: string;
  /** Grows by exactly 1 from event to event of the room */
  seq: number;
  at: string;
  data: RoomComment;
};

/** A comment was deleted. It keeps its place; `content` and `author` are `null`. */
export type CommentDeleted = {
  type: "comment_deleted";
  /** The room's name: `post:7`, `user:7` */
  room: string;
  /** Grows by exactly 1 from event to event of the room */
  seq: number;
  at: string;
  data: RoomComment;
};

/** The post was edited. */
export type PostUpdated = {
  type: "post_updated";
  /** The room's name: `post:7`, `user:7` */
  room: string;
  /** Grows by exactly 1 from event to event of the room */
  seq: number;
  at: string;
  data: RoomPost;
};

export type RoomPost = {
  id: number;
  board: {
    id: number;
    name: string;
    slug: string;
  };
  author: {
    id: number;
    username: string;
  } | null;
  title: string;
  content: string;
  viewCount: number;
  likeCount: number;
  commentCount: number;
  version: number;
  createdAt: string;
  updatedAt: string;
};

/** The post was deleted. The room's last frame: it closes with 4404. */
export type PostDeleted = {
  type: "post_deleted";
  /** The room's name: `post:7`, `user:7` */
  room: string;
  /** Grows by exactly 1 from event to event of the room */
  seq: number;
  at: string;
  data: {
    id: number;
  };
};

/** The post's likes, as an absolute count. At most 4 frames a second, the last one exact. */
export type PostLiked = {
  type: "post_liked";
  /** The room's name: `post:7`, `user:7` */
  room: string;
  /** Grows by exactly 1 from event to event of the room */
  seq: number;
  at: string;
  data: {
    targetId: number;
    likeCount: number;
  };
};

/** A comment's likes, as an absolute count. At most 4 frames a second for each, the last one exact. */
export type CommentLiked = {
  type: "comment_liked";
  /** The room's name: `post:7`, `user:7` */
  room: string;
  /** Grows by exactly 1 from event to event of the room */
  seq: number;
  at: string;
  data: {
    targetId: number;
    likeCount: number;
  };
};

/** How many people (not sockets) are in the room. At most one a second; not logged. */
export type Presence = {
  type: "presence";
  /** The room's name: `post:7`, `user:7` */
  room: string;
  at: string;
  data: {
    viewers: number;
  };
};

/** Somebody else types. Stands for 6 s after the last one of the same user; not logged. */
export type Typing = {
  type: "typing";
  /** The room's name: `post:7`, `user:7` */
  room: string;
  at: string;
  data: {
    user: {
      id: number;
      username: string;
    };
  };
};

/** The answer to `ping`. */
export type Pong = {
  type: "pong";
};

/** A frame of the client was refused. The socket stays open. */
export type RoomError = {
  type: "error";
  /** More may come */
  code: "invalid_frame" | "unknown_type" | "binary_frame" | "unauthenticated" | "token_expired" | "unavailable" | "internal";
};

/** Whatever a user's room sends. */
export type UserRoomFrame = Ready | NotifyUser | NotificationRead | Pong | RoomError;

/** A notification arrived, or changed: more people did the same. */
export type NotifyUser = {
  type: "notify_user";
  /** The room's name: `post:7`, `user:7` */
  room: string;
  /** Grows by exactly 1 from event to event of the room */
  seq: number;
  at: string;
  data: {
    notification: RoomNotification;
    unreadCount: number;
  };
};

export type RoomNotification = {
  id: number;
  type: "comment" | "like";
  targetType: "post" | "comment";
  targetId: number;
  postId: number;
  actor: {
    id: number;
    username: string;
  } | null;
  actorCount: number;
  message: string;
  isRead: boolean;
  createdAt: string;
};

/** Notifications were read, or taken back: those in `ids`, or all up to `upTo`. */
export type NotificationRead = {
  type: "notification_read";
  /** The room's name: `post:7`, `user:7` */
  room: string;
  /** Grows by exactly 1 from event to event of the room */
  seq: number;
  at: string;
  data: {
    ids: Array<number>;
    unreadCount: number;
  } | {
    upTo: number;
    unreadCount: number;
  };
};

export type RoomPolledFrame = Ready | CommentAdded | CommentUpdated | CommentDeleted | PostUpdated | PostDeleted | PostLiked | CommentLiked | NotifyUser | NotificationRead;

export type ClientFrame = ClientPing | ClientAuth | ClientTyping;

/** Answered `pong`. Spelled as `{"type":"ping"}` it does not wake the room. */
export type ClientPing = {
  type: "ping";
};

/** A fresh access token of the same user: the socket lives as long as that. No answer means yes. */
export type ClientAuth = {
  type: "auth";
  token: string;
};

/** The user types; the others are told, at most once in 2 s. */
export type ClientTyping = {
  type: "typing";
};

/** Whatever a room sends. */
export type ServerFrame = PostRoomFrame | UserRoomFrame;
