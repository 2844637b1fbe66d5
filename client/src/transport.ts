/**
 * One request and its answer.
 * @module
 */
import { problemFrom, UnreachableError } from "./errors.ts";
import { reasonOf } from "./waiting.ts";

/** Where the server is, and how it is reached. */
export type Target = {
  /** Without a trailing slash. */
  url: string;
  fetch: typeof fetch;
};

export type WireRequest = {
  method: string;
  /** With its query. */
  path: string;
  headers?: Record<string, string>;
  body?: unknown;
  /** Lets the browser send and keep the refresh cookie. */
  withCookie?: boolean;
  timeoutMs: number;
  signal?: AbortSignal | undefined;
};

/**
 * Sends once.
 * @returns the parsed body of a success
 * @throws {ProblemError} from status 400 up
 * @throws {UnreachableError} without a whole answer within `timeoutMs`
 */
export async function send({ url, fetch }: Target, request: WireRequest): Promise<unknown> {
  const { method, path, headers, body, withCookie, timeoutMs, signal } = request;
  const timeout = AbortSignal.timeout(timeoutMs);
  let response: Response;
  let text: string;
  try {
    response = await fetch(`${url}${path}`, {
      method,
      headers: { ...headers, ...(body === undefined ? {} : { "content-type": "application/json" }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      // Named only where it is needed: Workers refuse the field.
      ...(withCookie ? { credentials: "include" as const } : {}),
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    text = await response.text();
  } catch (cause) {
    if (signal?.aborted) throw reasonOf(signal);
    throw new UnreachableError(`${url} does not answer`, { cause });
  }
  const answer = parse(text);
  if (response.ok) return answer;
  throw problemFrom(response.status, response.headers, answer);
}

function parse(text: string): unknown {
  try {
    return text === "" ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
