// Made from api/openapi.json by `npm run client:types`. Do not edit.

import type { Ready, CommentAdded, CommentUpdated, CommentDeleted, PostUpdated, PostDeleted, PostLiked, CommentLiked, Presence, Typing, Pong, RoomError, NotifyUser, NotificationRead, RoomPolledFrame } from "./frames.ts";

export type Session = {
  user: User;
  accessToken: string;
  /** Seconds until the access token expires */
  expiresIn: number;
  refreshToken: string;
};

export type User = {
  id: number;
  username: string;
  role: "user" | "admin";
  createdAt: string;
};

/** A problem document (RFC 9457). `code` is stable. */
export type Problem = {
  type: string;
  title: string;
  status: number;
  detail: string;
  /** More may come: go by the status for one that you do not know */
  code: "validation_failed" | "invalid_cursor" | "unauthenticated" | "token_expired" | "invalid_credentials" | "forbidden" | "not_found" | "method_not_allowed" | "conflict" | "version_mismatch" | "payload_too_large" | "unsupported_media_type" | "idempotency_conflict" | "upgrade_required" | "rate_limited" | "internal" | "unavailable";
  requestId: string;
  errors?: Array<{
    path: string;
    message: string;
  }>;
};

export type Register = {
  email: string;
  /** 3-30 letters of any script, digits, `_` and `-`; unique regardless of case */
  username: string;
  /** 8-72 bytes of UTF-8 */
  password: string;
};

export type Login = {
  email: string;
  password: string;
};

export type Refresh = {
  /** Left out by browsers, which send the cookie */
  refreshToken?: string | undefined;
};

export type ChangePassword = {
  currentPassword: string;
  /** 8-72 bytes of UTF-8 */
  newPassword: string;
};

export type SessionInfo = {
  id: number;
  deviceLabel: string;
  createdAt: string;
  lastUsedAt: string;
  current: boolean;
};

/** One's own account */
export type Profile = {
  id: number;
  username: string;
  role: "user" | "admin";
  createdAt: string;
  email: string;
};

export type UpdateProfile = {
  /** 3-30 letters of any script, digits, `_` and `-`; unique regardless of case */
  username?: string | undefined;
  email?: string | undefined;
  /** Needed to change the email address */
  currentPassword?: string | undefined;
};

export type PostSummary = {
  id: number;
  board: BoardReference;
  author: Author;
  title: string;
  viewCount: number;
  likeCount: number;
  commentCount: number;
  /** Starts at 1, +1 for each edit */
  version: number;
  createdAt: string;
  updatedAt: string;
  /** `null` for anonymous readers, and while it cannot be told because the database is away */
  likedByMe: boolean | null;
  /** The beginning of the content, as one line */
  excerpt: string;
};

export type BoardReference = {
  id: number;
  name: string;
  slug: string;
};

export type Author = {
  id: number;
  username: string;
} | null;

export type Board = {
  id: number;
  name: string;
  slug: string;
  description: string;
  position: number;
  postCount: number;
  createdAt: string;
};

export type CreateBoard = {
  name: string;
  slug: string;
  description?: string | undefined;
  /** Boards are listed by position, then by age */
  position?: number | undefined;
};

export type UpdateBoard = {
  name?: string | undefined;
  slug?: string | undefined;
  description?: string | undefined;
  /** Boards are listed by position, then by age */
  position?: number | undefined;
};

export type Post = {
  id: number;
  board: BoardReference;
  author: Author;
  title: string;
  viewCount: number;
  likeCount: number;
  commentCount: number;
  /** Starts at 1, +1 for each edit */
  version: number;
  createdAt: string;
  updatedAt: string;
  /** `null` for anonymous readers, and while it cannot be told because the database is away */
  likedByMe: boolean | null;
  content: string;
};

export type CreatePost = {
  boardId: number;
  title: string;
  content: string;
};

export type UpdatePost = {
  title?: string | undefined;
  content?: string | undefined;
};

/** A deleted comment keeps its place in the thread: `content` and `author` are `null`. */
export type Comment = {
  id: number;
  postId: number;
  author: Author;
  content: string | null;
  likeCount: number;
  /** Starts at 1, +1 for each edit */
  version: number;
  createdAt: string;
  updatedAt: string;
  deletedAt: string | null;
  /** `null` for anonymous readers */
  likedByMe: boolean | null;
};

export type WriteComment = {
  content: string;
};

export type Like = {
  liked: boolean;
  /** After the change */
  likeCount: number;
};

export type Notification = {
  id: number;
  type: "comment" | "like";
  /** What was commented on or liked */
  targetType: "post" | "comment";
  targetId: number;
  /** The post, or that of the comment */
  postId: number;
  actor: Author;
  /** How many people did it; `actor` did it last */
  actorCount: number;
  message: string;
  isRead: boolean;
  createdAt: string;
};

export type UnreadCount = {
  unreadCount: number;
};

export type ReadAll = {
  /** The newest notification that was shown; newer ones stay unread */
  upTo: number;
};

export type RoomServerFrame = Ready | CommentAdded | CommentUpdated | CommentDeleted | PostUpdated | PostDeleted | PostLiked | CommentLiked | NotifyUser | NotificationRead | Presence | Typing | Pong | RoomError;

/** What was created on each day, oldest first */
export type DailyStats = {
  items: Array<{
    date: string;
    posts: number;
    comments: number;
    likes: number;
    users: number;
  }>;
};

export type Health = {
  status: "ok" | "degraded";
  checks: {
    db: "ok" | "down";
    redis: "ok" | "down";
    qstash: "ok" | "down";
    /** `late`: what is done behind an answer (rooms, counts, notifications) has waited for over 5 minutes */
    effects: "ok" | "late";
  };
};

/** Every call: what is sent, and what a success is answered with. */
export type Operations = {
  /** Create an account and sign in */
  "POST /api/auth/register": {
    path: undefined;
    query: undefined;
    body: Register;
    answer: Session;
  };
  /** Sign in */
  "POST /api/auth/login": {
    path: undefined;
    query: undefined;
    body: Login;
    answer: Session;
  };
  /** Renew a session */
  "POST /api/auth/refresh": {
    path: undefined;
    query: undefined;
    body: Refresh | undefined;
    answer: Session;
  };
  /** End this session */
  "POST /api/auth/logout": {
    path: undefined;
    query: undefined;
    body: undefined;
    answer: undefined;
  };
  /** End all sessions */
  "POST /api/auth/logout-all": {
    path: undefined;
    query: undefined;
    body: undefined;
    answer: undefined;
  };
  /** Change the password and end the other sessions */
  "POST /api/auth/password": {
    path: undefined;
    query: undefined;
    body: ChangePassword;
    answer: undefined;
  };
  /** One's own sessions, newest first */
  "GET /api/auth/sessions": {
    path: undefined;
    query: {
      limit?: number | undefined;
      cursor?: string | undefined;
    };
    body: undefined;
    answer: {
      items: Array<SessionInfo>;
      nextCursor: string | null;
    };
  };
  /** End one of one's own sessions */
  "DELETE /api/auth/sessions/{id}": {
    path: {
      id: number;
    };
    query: undefined;
    body: undefined;
    answer: undefined;
  };
  /** One's own profile */
  "GET /api/users/me": {
    path: undefined;
    query: undefined;
    body: undefined;
    answer: Profile;
  };
  /** Change one's own profile */
  "PATCH /api/users/me": {
    path: undefined;
    query: undefined;
    body: UpdateProfile;
    answer: Profile;
  };
  /** Erase one's own account */
  "DELETE /api/users/me": {
    path: undefined;
    query: undefined;
    body: undefined;
    answer: undefined;
  };
  /** A user's public profile */
  "GET /api/users/{id}": {
    path: {
      id: number;
    };
    query: undefined;
    body: undefined;
    answer: User;
  };
  /** A user's posts, newest first */
  "GET /api/users/{id}/posts": {
    path: {
      id: number;
    };
    query: {
      limit?: number | undefined;
      cursor?: string | undefined;
    };
    body: undefined;
    answer: {
      items: Array<PostSummary>;
      nextCursor: string | null;
    };
  };
  /** All boards, in board order */
  "GET /api/boards": {
    path: undefined;
    query: {
      limit?: number | undefined;
      cursor?: string | undefined;
    };
    body: undefined;
    answer: {
      items: Array<Board>;
      nextCursor: string | null;
    };
  };
  /** Create a board (admins) */
  "POST /api/boards": {
    path: undefined;
    query: undefined;
    body: CreateBoard;
    answer: Board;
  };
  /** A board */
  "GET /api/boards/{id}": {
    path: {
      id: number;
    };
    query: undefined;
    body: undefined;
    answer: Board;
  };
  /** Change a board (admins) */
  "PATCH /api/boards/{id}": {
    path: {
      id: number;
    };
    query: undefined;
    body: UpdateBoard;
    answer: Board;
  };
  /** Delete a board that has no posts (admins) */
  "DELETE /api/boards/{id}": {
    path: {
      id: number;
    };
    query: undefined;
    body: undefined;
    answer: undefined;
  };
  /** Posts, newest first */
  "GET /api/posts": {
    path: undefined;
    query: {
      limit?: number | undefined;
      cursor?: string | undefined;
      boardId?: number | undefined;
      authorId?: number | undefined;
      sort?: "latest" | undefined;
    };
    body: undefined;
    answer: {
      items: Array<PostSummary>;
      nextCursor: string | null;
    };
  };
  /** Write a post */
  "POST /api/posts": {
    path: undefined;
    query: undefined;
    body: CreatePost;
    answer: Post;
  };
  /** Popular posts, best first */
  "GET /api/posts/popular": {
    path: undefined;
    query: {
      boardId?: number | undefined;
      limit?: number | undefined;
    };
    body: undefined;
    answer: {
      items: Array<PostSummary>;
      nextCursor: string | null;
    };
  };
  /** A post; counts a view */
  "GET /api/posts/{id}": {
    path: {
      id: number;
    };
    query: undefined;
    body: undefined;
    answer: Post;
  };
  /** Change a post (its author, admins) */
  "PATCH /api/posts/{id}": {
    path: {
      id: number;
    };
    query: undefined;
    body: UpdatePost;
    answer: Post;
  };
  /** Delete a post (its author, admins) */
  "DELETE /api/posts/{id}": {
    path: {
      id: number;
    };
    query: undefined;
    body: undefined;
    answer: undefined;
  };
  /** Comments of a post, oldest first */
  "GET /api/posts/{id}/comments": {
    path: {
      id: number;
    };
    query: {
      limit?: number | undefined;
      cursor?: string | undefined;
    };
    body: undefined;
    answer: {
      items: Array<Comment>;
      nextCursor: string | null;
    };
  };
  /** Comment on a post */
  "POST /api/posts/{id}/comments": {
    path: {
      id: number;
    };
    query: undefined;
    body: WriteComment;
    answer: Comment;
  };
  /** A user's comments, newest first */
  "GET /api/users/{id}/comments": {
    path: {
      id: number;
    };
    query: {
      limit?: number | undefined;
      cursor?: string | undefined;
    };
    body: undefined;
    answer: {
      items: Array<Comment>;
      nextCursor: string | null;
    };
  };
  /** Change a comment (its author, admins) */
  "PATCH /api/comments/{id}": {
    path: {
      id: number;
    };
    query: undefined;
    body: WriteComment;
    answer: Comment;
  };
  /** Delete a comment (its author, admins) */
  "DELETE /api/comments/{id}": {
    path: {
      id: number;
    };
    query: undefined;
    body: undefined;
    answer: undefined;
  };
  /** Like a post */
  "PUT /api/posts/{id}/like": {
    path: {
      id: number;
    };
    query: undefined;
    body: undefined;
    answer: Like;
  };
  /** Take back the like of a post */
  "DELETE /api/posts/{id}/like": {
    path: {
      id: number;
    };
    query: undefined;
    body: undefined;
    answer: Like;
  };
  /** Like a comment */
  "PUT /api/comments/{id}/like": {
    path: {
      id: number;
    };
    query: undefined;
    body: undefined;
    answer: Like;
  };
  /** Take back the like of a comment */
  "DELETE /api/comments/{id}/like": {
    path: {
      id: number;
    };
    query: undefined;
    body: undefined;
    answer: Like;
  };
  /** One's own notifications, newest first */
  "GET /api/notifications": {
    path: undefined;
    query: {
      limit?: number | undefined;
      cursor?: string | undefined;
      /** `true`: unread ones only */
      unread?: "true" | "false" | undefined;
    };
    body: undefined;
    answer: {
      items: Array<Notification>;
      nextCursor: string | null;
    };
  };
  /** How many are unread */
  "GET /api/notifications/unread-count": {
    path: undefined;
    query: undefined;
    body: undefined;
    answer: UnreadCount;
  };
  /** Mark one as read */
  "PATCH /api/notifications/{id}/read": {
    path: {
      id: number;
    };
    query: undefined;
    body: undefined;
    answer: Notification;
  };
  /** Mark all up to one as read */
  "POST /api/notifications/read-all": {
    path: undefined;
    query: undefined;
    body: ReadAll;
    answer: UnreadCount;
  };
  /** The frames of a room, by long poll */
  "GET /api/rooms/{room}/events": {
    path: {
      /** `post:{id}` or `user:{id}` */
      room: string;
    };
    query: {
      /** The room's epoch, from `ready`; needed with `after` */
      epoch?: string | undefined;
      /** `seq` of the last event that the client has */
      after?: number | undefined;
      /** Longest wait for the first event, in seconds */
      wait?: number | undefined;
    };
    body: undefined;
    answer: {
      frames: Array<RoomPolledFrame>;
    };
  };
  /** What was created on each day */
  "GET /api/stats/daily": {
    path: undefined;
    query: {
      /** First day; default: 29 days before `to` */
      from?: string | undefined;
      /** Last day; default: today */
      to?: string | undefined;
      /** IANA time zone whose days are counted */
      timeZone?: string | undefined;
    };
    body: undefined;
    answer: DailyStats;
  };
  /** Whether the service and its parts work, and late work is done */
  "GET /api/health": {
    path: undefined;
    query: undefined;
    body: undefined;
    answer: Health;
  };
};

/** Calls that take an idempotency key. */
export const KEYED_OPERATIONS: readonly (keyof Operations)[] = [
  "POST /api/posts",
  "POST /api/posts/{id}/comments",
];
