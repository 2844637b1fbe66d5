/**
 * What the Worker asks a room on behalf of a client without WebSocket.
 * @module
 */
import type { Position } from "./events.ts";

export type PollRequest = {
  userId: number;
  sessionId: number;
  /** The user's session epoch that the token was issued under. */
  epoch: number;
  /** Where the client stands in the log; null: nowhere yet. */
  position: Position | null;
  /** Names the waiting, so that it can be stopped. */
  waiter: string;
  /** How long the client waits for the first event; 0: not at all. The Worker stops the waiter then. */
  waitMs: number;
};

/** `frames` as JSON texts: a `ready` frame, then the events behind the position in order. */
export type PollAnswer = { status: "ok"; frames: string[] } | { status: "gone" } | { status: "ended" };
