/**
 * Turns whatever was thrown into a problem document (RFC 9457).
 * @module
 */
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ZodError } from "zod";
import { RedisUnavailableError } from "../cache/client.ts";
import { AppError, PROBLEMS } from "../common/errors.ts";
import { createLogger } from "../common/logger.ts";
import { isDatabaseUnavailable } from "../db/errors.ts";
import type { AppEnv, ProblemDocument } from "./app-env.ts";

const RETRY_AFTER_SECONDS = 5;

/** The answer to a failed request; what is unknown becomes `internal`, and its cause goes to the log only. */
export function problemResponse(error: unknown, c: Context<AppEnv>): Response {
  const problem = toAppError(error);
  const { status, code, title } = PROBLEMS[problem.kind];
  if (status >= 500) {
    const log = c.get("log") ?? createLogger({ requestId: c.get("requestId") });
    log.error("request failed", problem.cause ?? error);
  }
  const document: ProblemDocument = {
    type: `/api/docs#problem-${code}`,
    title,
    status,
    detail: problem.message,
    code,
    requestId: c.get("requestId"),
    ...(problem.errors ? { errors: problem.errors } : {}),
  };
  const headers = new Headers(problem.headers);
  headers.set("content-type", "application/problem+json");
  headers.set("cache-control", "no-store");
  if (status === 401 && !headers.has("www-authenticate")) {
    headers.set(
      "www-authenticate",
      code === "invalid_credentials" ? "Bearer" : `Bearer error="invalid_token"`,
    );
  }
  return new Response(JSON.stringify(document), { status, headers });
}

function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (error instanceof HTTPException) return fromHttpException(error);
  if (error instanceof RedisUnavailableError || isDatabaseUnavailable(error)) {
    return new AppError("unavailable", "Please try again in a moment", {
      cause: error,
      headers: { "retry-after": String(RETRY_AFTER_SECONDS) },
    });
  }
  return new AppError("internal", "The error has been logged under the request id", { cause: error });
}

/** Hono's validator throws these for a body that is not JSON or of another media type. */
function fromHttpException(error: HTTPException): AppError {
  if (error.status === 413) return new AppError("payload_too_large");
  if (error.status === 415) return new AppError("unsupported_media_type", "Send application/json");
  if (error.status === 400) {
    return new AppError("malformed_body", "The body is not valid JSON", {
      errors: [{ path: "", message: "not valid JSON" }],
    });
  }
  return new AppError("internal", undefined, { cause: error });
}

/** The refusal of input that does not fit its schema: every issue by its path. */
export function validationProblem(error: ZodError): AppError {
  const errors = error.issues.flatMap((issue) => {
    const path = issue.path.join(".");
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({
        path: path === "" ? key : `${path}.${key}`,
        message: "unknown field",
      }));
    }
    return [{ path, message: issue.message }];
  });
  const first = errors[0];
  return new AppError("validation_failed", first ? `${first.path || "body"}: ${first.message}` : undefined, {
    errors,
  });
}
