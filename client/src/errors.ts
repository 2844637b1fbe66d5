/**
 * What can go wrong, each as a class of its own.
 * @module
 */
import type { Problem } from "./generated/rest.ts";

/** The stable codes of problem documents. */
export type ProblemCode = Problem["code"];

/** What all errors of this package are. */
export class LiveForumError extends Error {
  override name = "LiveForumError";
}

/**
 * The server refused: a problem document (RFC 9457). `code` is stable; an answer from something in between, which is no
 * problem document, gets the code that its status comes nearest to.
 */
export class ProblemError extends LiveForumError {
  override name = "ProblemError";
  readonly status: number;
  readonly code: ProblemCode;
  /** For the server's operators: names the request in their log. Empty when nothing said it. */
  readonly requestId: string;
  /** The refused fields; `path` is dotted. */
  readonly errors: readonly { path: string; message: string }[];
  /** How long the server asks to be left alone; undefined where it does not. */
  readonly retryAfterMs: number | undefined;

  constructor(problem: Omit<Problem, "type" | "title">, retryAfterMs?: number) {
    super(problem.detail);
    this.status = problem.status;
    this.code = problem.code;
    this.requestId = problem.requestId;
    this.errors = problem.errors ?? [];
    this.retryAfterMs = retryAfterMs;
  }
}

/** No answer came, or not in time. What was sent with a write may have happened or not. */
export class UnreachableError extends LiveForumError {
  override name = "UnreachableError";
}

/** The session is over: it was ended elsewhere, or its refresh token is no longer good. Sign in again. */
export class SessionEndedError extends LiveForumError {
  override name = "SessionEndedError";
}

/** A room that cannot be entered, or not any more. `forbidden`: somebody else's; `gone`: there is no such post. */
export class RoomClosedError extends LiveForumError {
  override name = "RoomClosedError";
  readonly room: string;
  readonly reason: "forbidden" | "gone";

  constructor(room: string, reason: "forbidden" | "gone", message: string, options?: ErrorOptions) {
    super(message, options);
    this.room = room;
    this.reason = reason;
  }
}

/** Whether trying again later may help. */
export function isTransient(error: unknown): boolean {
  if (error instanceof UnreachableError) return true;
  return error instanceof ProblemError && (error.status === 429 || error.status >= 500);
}

/** The problem that an answer tells of. @param body parsed JSON, or undefined */
export function problemFrom(status: number, headers: Headers, body: unknown): ProblemError {
  const seconds = Number(headers.get("retry-after") ?? Number.NaN);
  const retryAfterMs = Number.isFinite(seconds) ? seconds * 1000 : undefined;
  if (isProblem(body)) return new ProblemError(body, retryAfterMs);
  const code = status === 429 ? "rate_limited" : status >= 500 ? "unavailable" : "internal";
  const requestId = headers.get("x-request-id") ?? "";
  return new ProblemError({ status, code, detail: `The answer was ${status}`, requestId }, retryAfterMs);
}

function isProblem(body: unknown): body is Problem {
  return typeof body === "object" && body !== null && "code" in body && "detail" in body;
}
