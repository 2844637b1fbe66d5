/**
 * One example of each frame, for the AsyncAPI document and its page.
 * @module
 */
import type { ClientFrame, ServerFrame } from "../realtime/events.ts";

const AT = "2026-11-22T06:00:00.000Z";
const mina = { id: 3, username: "mina" };
const jun = { id: 4, username: "jun" };

const comment = {
  id: 51,
  postId: 7,
  author: mina,
  content: "Well said.",
  likeCount: 0,
  version: 1,
  createdAt: AT,
  updatedAt: AT,
  deletedAt: null,
};

const post = {
  id: 7,
  board: { id: 5, name: "Photography", slug: "photography" },
  author: jun,
  title: "안녕하세요 👋",
  content: "First light on the ridge, second try.",
  viewCount: 41,
  likeCount: 12,
  commentCount: 2,
  version: 2,
  createdAt: AT,
  updatedAt: "2026-11-22T06:05:00.000Z",
};

const notification = {
  id: 90,
  type: "comment",
  targetType: "post",
  targetId: 7,
  postId: 7,
  actor: mina,
  actorCount: 1,
  message: "mina commented on your post",
  isRead: false,
  createdAt: AT,
} as const;

const inPost = (seq: number) => ({ room: "post:7", seq, at: AT });
const inUser = (seq: number) => ({ room: "user:4", seq, at: AT });

/** `schema` is the id of the frame's schema. */
type Example = { schema: string; payload: ServerFrame | ClientFrame };

export const FRAME_EXAMPLES: readonly Example[] = [
  {
    schema: "Ready",
    payload: { type: "ready", room: "post:7", epoch: "k3v9q0", seq: 41, resume: "fresh", viewers: 3 },
  },
  { schema: "CommentAdded", payload: { type: "comment_added", ...inPost(42), data: comment } },
  {
    schema: "CommentUpdated",
    payload: {
      type: "comment_updated",
      ...inPost(43),
      data: { ...comment, content: "Well said!", version: 2 },
    },
  },
  {
    schema: "CommentDeleted",
    payload: {
      type: "comment_deleted",
      ...inPost(44),
      data: { ...comment, author: null, content: null, version: 2, deletedAt: AT },
    },
  },
  { schema: "PostUpdated", payload: { type: "post_updated", ...inPost(45), data: post } },
  { schema: "PostDeleted", payload: { type: "post_deleted", ...inPost(46), data: { id: 7 } } },
  {
    schema: "PostLiked",
    payload: { type: "post_liked", ...inPost(47), data: { targetId: 7, likeCount: 12 } },
  },
  {
    schema: "CommentLiked",
    payload: { type: "comment_liked", ...inPost(48), data: { targetId: 51, likeCount: 3 } },
  },
  { schema: "Presence", payload: { type: "presence", room: "post:7", at: AT, data: { viewers: 4 } } },
  { schema: "Typing", payload: { type: "typing", room: "post:7", at: AT, data: { user: mina } } },
  {
    schema: "NotifyUser",
    payload: { type: "notify_user", ...inUser(8), data: { notification, unreadCount: 2 } },
  },
  {
    schema: "NotificationRead",
    payload: { type: "notification_read", ...inUser(9), data: { ids: [90], unreadCount: 1 } },
  },
  {
    schema: "NotificationRead",
    payload: { type: "notification_read", ...inUser(10), data: { upTo: 90, unreadCount: 0 } },
  },
  { schema: "Pong", payload: { type: "pong" } },
  { schema: "RoomError", payload: { type: "error", code: "unknown_type" } },
  { schema: "ClientPing", payload: { type: "ping" } },
  { schema: "ClientAuth", payload: { type: "auth", token: "eyJhbGciOi…" } },
  { schema: "ClientTyping", payload: { type: "typing" } },
];
