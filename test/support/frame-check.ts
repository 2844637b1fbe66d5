/**
 * Holds frames against the AsyncAPI document, in workerd and in Node: a frame that its channel does not list, one that
 * does not fit its schema, and a field that no schema knows are violations.
 * @module
 */
import { type AsyncApiDocument, asyncApiDocument, type Message } from "../../src/docs/asyncapi.ts";
import type { PolledFrame, ServerFrame } from "../../src/realtime/events.ts";
import { type Schema, schemaViolations } from "./openapi-check.ts";

const document = asyncApiDocument();
const components = document.components as unknown as { schemas: Record<string, Schema> };

/** Frames by the name of their type, as the server sends them: on both channels, or on one. */
const sent = {
  all: sentOn(document),
  post: sentOn(document, "postRoom"),
  user: sentOn(document, "userRoom"),
};

/** @returns what is wrong with a frame of the server; empty when it is as documented */
export function serverFrameViolations(frame: unknown): string[] {
  const { type, room } = (frame ?? {}) as { type?: unknown; room?: unknown };
  if (typeof type !== "string") return ["the frame has no type"];
  const kind = typeof room === "string" ? room.split(":")[0] : "all";
  if (kind !== "all" && kind !== "post" && kind !== "user") return [`there is no room ${String(room)}`];
  const message = sent[kind].get(type);
  if (!message) return [`${type} is not a frame of ${kind === "all" ? "any room" : `a ${kind}'s room`}`];
  return schemaViolations({ components }, message.payload, frame, type);
}

/** A frame of the server. @throws when it is not as documented */
export function readServerFrame(text: string): ServerFrame {
  const frame: unknown = JSON.parse(text);
  const violations = serverFrameViolations(frame);
  if (violations.length > 0)
    throw new Error(`a frame is not as documented: ${violations.join("; ")}\n${text}`);
  return frame as ServerFrame;
}

/** The frames of a long poll. @throws when one is not as documented */
export function checkPolledFrames(frames: readonly unknown[]): readonly PolledFrame[] {
  const union = components.schemas["RoomPolledFrame"] ?? {};
  for (const frame of frames) {
    const violations = [
      ...serverFrameViolations(frame),
      ...schemaViolations({ components }, union, frame, "polled"),
    ];
    if (violations.length > 0) {
      throw new Error(
        `a polled frame is not as documented: ${violations.join("; ")}\n${JSON.stringify(frame)}`,
      );
    }
  }
  return frames as readonly PolledFrame[];
}

/** What the operations send and reply on a channel, or on any. */
function sentOn({ operations, components }: AsyncApiDocument, channel?: string): Map<string, Message> {
  const references = Object.values(operations)
    .filter(({ channel: { $ref } }) => channel === undefined || $ref === `#/channels/${channel}`)
    .flatMap(({ action, messages, reply }) => (action === "send" ? messages : (reply?.messages ?? [])));
  return new Map(
    references.flatMap(({ $ref }) => {
      const message = components.messages[$ref.split("/").at(-1) ?? ""];
      return message ? [[message.name, message]] : [];
    }),
  );
}
