/**
 * The errors of the house. A service throws an `AppError` with a kind; the HTTP layer turns it into a problem
 * document once. The kind decides the status and the public code, never the other way round.
 * @module
 */

/** Every kind of refusal: its HTTP status, its public `code` (stable, part of the contract) and its title. */
export const PROBLEMS = {
  malformed_body: { status: 400, code: "validation_failed", title: "The body cannot be read" },
  invalid_cursor: { status: 400, code: "invalid_cursor", title: "The cursor is not valid" },
  unauthenticated: { status: 401, code: "unauthenticated", title: "Authentication is required" },
  token_expired: { status: 401, code: "token_expired", title: "The access token has expired" },
  invalid_credentials: { status: 401, code: "invalid_credentials", title: "The credentials are not valid" },
  forbidden: { status: 403, code: "forbidden", title: "This is not allowed" },
  not_found: { status: 404, code: "not_found", title: "Not found" },
  method_not_allowed: { status: 405, code: "method_not_allowed", title: "The method is not allowed here" },
  conflict: { status: 409, code: "conflict", title: "This conflicts with what exists" },
  version_mismatch: { status: 412, code: "version_mismatch", title: "The version has changed" },
  payload_too_large: { status: 413, code: "payload_too_large", title: "The body is too large" },
  unsupported_media_type: {
    status: 415,
    code: "unsupported_media_type",
    title: "The media type is not supported",
  },
  validation_failed: { status: 422, code: "validation_failed", title: "The request is not valid" },
  idempotency_conflict: {
    status: 422,
    code: "idempotency_conflict",
    title: "The idempotency key was used for another request",
  },
  upgrade_required: { status: 426, code: "upgrade_required", title: "A WebSocket upgrade is required" },
  rate_limited: { status: 429, code: "rate_limited", title: "Too many requests" },
  internal: { status: 500, code: "internal", title: "Something went wrong" },
  unavailable: { status: 503, code: "unavailable", title: "The service is not available" },
} as const satisfies Record<string, { status: number; code: string; title: string }>;

export type ProblemKind = keyof typeof PROBLEMS;
export type ProblemCode = (typeof PROBLEMS)[ProblemKind]["code"];

/** One refused field. `path` is dotted (`author.name`, `items.0`), `""` for the whole body. */
export type FieldError = { path: string; message: string };

type AppErrorOptions = {
  errors?: FieldError[];
  /** Response headers that belong to the refusal, such as `Retry-After` or `Allow`. */
  headers?: Record<string, string>;
  /** Goes to the log only. */
  cause?: unknown;
};

/** A refusal that the client is told about. `message` is shown to the client: nothing internal belongs in it. */
export class AppError extends Error {
  override readonly name = "AppError";
  readonly kind: ProblemKind;
  readonly errors: FieldError[] | undefined;
  readonly headers: Record<string, string>;

  constructor(kind: ProblemKind, message?: string, options: AppErrorOptions = {}) {
    super(message ?? PROBLEMS[kind].title, { cause: options.cause });
    this.kind = kind;
    this.errors = options.errors;
    this.headers = options.headers ?? {};
  }
}

/** A 422 that names one field. */
export function fieldError(path: string, message: string): AppError {
  return new AppError("validation_failed", `${path}: ${message}`, { errors: [{ path, message }] });
}
