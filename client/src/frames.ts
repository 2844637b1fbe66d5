/**
 * Rooms' frames: what this package reads and what it tells its users.
 * @module
 */
import type { ServerFrame } from "./generated/frames.ts";

/** A frame that has its place in the room's log: `seq` grows by one from each to the next. */
export type EventFrame = Extract<ServerFrame, { seq: number; data: unknown }>;
/** Who is there, and who is typing: not logged, never repeated. */
export type PassingFrame = Extract<ServerFrame, { type: "presence" | "typing" }>;
export type ReadyFrame = Extract<ServerFrame, { type: "ready" }>;
export type ErrorFrame = Extract<ServerFrame, { type: "error" }>;

/**
 * Read by REST now: what follows is newer. `joined`: the room was just entered; `missed`: more happened while away than
 * the room remembers; `overflow`: the consumer was too slow, and events were dropped.
 */
export type Resync = { type: "resync"; reason: "joined" | "missed" | "overflow" };

/** What a room tells. */
export type RoomEvent = EventFrame | PassingFrame | Resync;

/** The subprotocol that the server answers with, and how the token goes along: no header can be set in browsers. */
export const SUBPROTOCOL = "liveforum.v1";
export const BEARER_PREFIX = "bearer.";

/** The only spelling of a ping that does not wake the room. */
export const PING = '{"type":"ping"}';

/** Codes with which a room closes a socket. */
export const CLOSE = {
  unauthenticated: 4401,
  forbidden: 4403,
  gone: 4404,
  flooding: 4429,
  full: 4503,
} as const;

/** A frame, also one of a type that is newer than this package; undefined for what is none. */
export function readFrame(text: string): ServerFrame | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const type = typeof value === "object" && value !== null && "type" in value ? value.type : undefined;
    // A trusted cast: rooms send what the document says.
    return typeof type === "string" ? (value as ServerFrame) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a frame is in the log, whatever its type. */
export function isEvent(frame: ServerFrame): frame is EventFrame {
  return "seq" in frame && frame.type !== "ready";
}
