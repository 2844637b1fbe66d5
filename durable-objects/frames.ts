/**
 * Reads the frames of clients: parsed, never cast.
 * @module
 */
import { byteLength } from "../src/common/text.ts";
import {
  CLIENT_FRAME_MAX_BYTES,
  CLIENT_FRAME_TYPES,
  type ClientFrame,
  clientFrameSchema,
  type ErrorFrame,
} from "../src/realtime/events.ts";

/** A frame, or why it is none. */
export type ReadFrame = ClientFrame | { type: "too_large" } | { type: "refused"; code: ErrorFrame["code"] };

export function readFrame(message: string | ArrayBuffer): ReadFrame {
  const bytes = typeof message === "string" ? byteLength(message) : message.byteLength;
  if (bytes > CLIENT_FRAME_MAX_BYTES) return { type: "too_large" };
  if (typeof message !== "string") return { type: "refused", code: "binary_frame" };
  let json: unknown;
  try {
    json = JSON.parse(message);
  } catch {
    return { type: "refused", code: "invalid_frame" };
  }
  const frame = clientFrameSchema.safeParse(json);
  if (frame.success) return frame.data;
  const type = typeof json === "object" && json !== null && "type" in json ? json.type : undefined;
  const unknown = typeof type === "string" && !CLIENT_FRAME_TYPES.includes(type);
  return { type: "refused", code: unknown ? "unknown_type" : "invalid_frame" };
}

export function errorFrame(code: ErrorFrame["code"]): string {
  return JSON.stringify({ type: "error", code } satisfies ErrorFrame);
}
