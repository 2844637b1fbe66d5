/**
 * Answers in QStash's dialect.
 * @module
 */
import type { GatewayReply } from "../server.ts";

/** A refusal: becomes the HTTP status and the body `{"error": message}`. */
export class QstashProblem extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = "QstashProblem";
    this.status = status;
  }
}

export function jsonReply(status: number, value: unknown): GatewayReply {
  return { status, headers: { "content-type": "application/json" }, body: JSON.stringify(value) };
}

export function problemReply(status: number, message: string): GatewayReply {
  return jsonReply(status, { error: message });
}
