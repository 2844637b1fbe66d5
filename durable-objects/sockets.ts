/**
 * The sockets of an object under the hibernation API. What is known of a socket is in its attachment and nowhere else.
 * @module
 */
import { FLOOD_FRAMES_MAX, FLOOD_WINDOW_MS } from "../src/realtime/events.ts";

/** Survives sleep with its socket; 16,384 bytes at most. */
export type Attachment = {
  /** Made by the room. */
  id: string;
  userId: number;
  username: string;
  sessionId: number;
  /** The user's session epoch that the token was issued under. */
  epoch: number;
  /** When the token ends. Milliseconds since the epoch, as all times here. */
  expiresAt: number;
  /** When the frames of the flood window arrived, oldest first; at most `FLOOD_FRAMES_MAX`. */
  frames: number[];
  /** When `typing` was last passed on; 0: never. */
  typedAt: number;
  /** The room is done with it: it only waits for the other side to close. */
  parted: boolean;
};

/** A socket with what is known of it. */
export type Member = { socket: WebSocket; attachment: Attachment };

export function userTag(userId: number): string {
  return `user:${userId}`;
}

/** A trusted cast: only `setAttachment` writes attachments. */
export function attachmentOf(socket: WebSocket): Attachment {
  return socket.deserializeAttachment() as Attachment;
}

export function setAttachment(socket: WebSocket, attachment: Attachment): void {
  socket.serializeAttachment(attachment);
}

/** Sockets that can be sent to, of one user or of all. Closing ones stay in the platform's list for a while. */
export function openSockets(ctx: DurableObjectState, userId?: number): WebSocket[] {
  return ctx
    .getWebSockets(userId === undefined ? undefined : userTag(userId))
    .filter((socket) => socket.readyState === WebSocket.OPEN);
}

/** The same with what is known of each. */
export function openMembers(ctx: DurableObjectState, userId?: number): Member[] {
  return openSockets(ctx, userId).map((socket) => ({ socket, attachment: attachmentOf(socket) }));
}

/** Sends; a socket that fails does not concern the caller, the platform reports its end. */
export function send(socket: WebSocket, frame: string): void {
  try {
    socket.send(frame);
  } catch {
    // It closed meanwhile.
  }
}

/** Closes; one that is closed already stays so. @param reason 123 bytes at most */
export function close(socket: WebSocket, code: number, reason: string): void {
  try {
    socket.close(code, reason);
  } catch {
    // It closed meanwhile.
  }
}

const NO_STATUS = 1005;
const ABNORMAL = 1006;
const TLS_FAILED = 1015;

/**
 * Completes a close that the other side began. The runtime does not (hibernation API, seen at 2026-10-01), and the
 * client would see 1006. 1006 and 1015 mean that there is no transport left to write to.
 */
export function reciprocate(socket: WebSocket, code: number, reason: string): void {
  if (code === ABNORMAL || code === TLS_FAILED) return;
  try {
    if (code === NO_STATUS) socket.close();
    else socket.close(code, reason);
  } catch {
    // A code that only the other side may use.
    close(socket, 1000, "");
  }
}

/** Counts a frame in the socket's flood window. @returns false when it is one too many */
export function admitFrame(attachment: Attachment, now: number): boolean {
  attachment.frames = attachment.frames.filter((at) => at > now - FLOOD_WINDOW_MS);
  if (attachment.frames.length >= FLOOD_FRAMES_MAX) return false;
  attachment.frames.push(now);
  return true;
}

/** Answers an upgrade with a socket that is closed at once: browsers are told codes, not statuses. */
export function turnAway(code: number, reason: string): Response {
  const pair = new WebSocketPair();
  pair[1].accept();
  pair[1].close(code, reason);
  return new Response(null, { status: 101, webSocket: pair[0] });
}
