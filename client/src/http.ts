/**
 * Calls of the API: with the session's token, and again where that is safe.
 * @module
 */
import { isTransient, ProblemError, SessionEndedError } from "./errors.ts";
import { KEYED_OPERATIONS, type Operations } from "./generated/rest.ts";
import type { SessionKeeper } from "./session.ts";
import { send, type Target } from "./transport.ts";
import { fullJitter, pause } from "./waiting.ts";

/** What every call takes. */
export type CallOptions = {
  /** Gives the call up. A write that was sent may have happened all the same. */
  signal?: AbortSignal | undefined;
};

type OperationName = keyof Operations;

type Part = "path" | "query" | "body";
/** Whether a part may be left out: it has nothing that must be said. */
type Omissible<Value> = undefined extends Value ? true : Partial<Value> extends Value ? true : false;

/** The parameters of a call: those of its path, its query, its body. */
export type CallParameters<Name extends OperationName> = {
  [P in Part as Omissible<Operations[Name][P]> extends true ? never : P]: Operations[Name][P];
} & {
  [P in Part as Omissible<Operations[Name][P]> extends true ? P : never]?: Operations[Name][P];
};

export type RequestOptions = CallOptions & {
  /** Names a create for good: the same key makes it once, however often it is sent. Made by itself when left out. */
  idempotencyKey?: string | undefined;
  /** Refuse (`version_mismatch`) unless the thing still has this version. */
  version?: number | undefined;
  /** Whether sending it twice does what sending it once does. By default what HTTP says of the method. */
  repeatable?: boolean | undefined;
  /** A deletion whose answer was lost is done when the next attempt finds nothing to delete. */
  absentIsDone?: boolean | undefined;
  /** Longest time for one attempt. Default 10,000. */
  timeoutMs?: number | undefined;
  /** How often it is tried again. Default 3. */
  retries?: number | undefined;
};

const TIMEOUT_MS = 10_000;
const RETRIES = 3;
const RETRY_BASE_MS = 500;
const RETRY_MAX_MS = 8_000;
/** A server that asks for more patience than this is not waited for: the caller is told. */
const PATIENCE_MS = 30_000;

export class Http {
  readonly target: Target;
  readonly session: SessionKeeper;

  constructor(target: Target, session: SessionKeeper) {
    this.target = target;
    this.session = session;
  }

  /** Signs in or up: without a token, once. */
  async open<Name extends "POST /api/auth/register" | "POST /api/auth/login">(
    name: Name,
    body: Operations[Name]["body"],
    withCookie: boolean,
    { signal }: CallOptions = {},
  ): Promise<Operations[Name]["answer"]> {
    const [method = "", path = ""] = name.split(" ");
    const answer = await send(this.target, { method, path, body, withCookie, timeoutMs: TIMEOUT_MS, signal });
    // A trusted cast: the types are those of the server's own document.
    return answer as Operations[Name]["answer"];
  }

  /**
   * One call. Reads, idempotent writes and creates are tried again where no answer came, the server was overloaded or
   * away; anything else only where it is certain that nothing happened.
   * @throws {ProblemError} a refusal
   * @throws {UnreachableError} no answer; what was asked for may have happened
   * @throws {SessionEndedError} the session is over
   */
  async request<Name extends OperationName>(
    name: Name,
    parameters: CallParameters<Name>,
    options: RequestOptions = {},
  ): Promise<Operations[Name]["answer"]> {
    const { signal, version, timeoutMs = TIMEOUT_MS, retries = RETRIES } = options;
    const [method = "", template = ""] = name.split(" ");
    const { path, query, body } = parameters as { path?: object; query?: object; body?: unknown };
    const keyed = KEYED_OPERATIONS.includes(name);
    const key = keyed ? (options.idempotencyKey ?? crypto.randomUUID()) : undefined;
    const repeatable = options.repeatable ?? (keyed || ["GET", "PUT", "DELETE"].includes(method));
    const headers = {
      ...(key === undefined ? {} : { "idempotency-key": key }),
      ...(version === undefined ? {} : { "if-match": `"${version}"` }),
    };
    const wire = { method, path: fillPath(template, path) + queryText(query), body, timeoutMs, signal };

    let refused: string | undefined;
    // A write is never sent as somebody who signs in before it is done.
    const sender = this.session.current?.user.id;
    // Whether an earlier attempt may have happened.
    let maybeDone = false;
    for (let attempt = 0; ; attempt += 1) {
      let sent = false;
      let token: string | undefined;
      try {
        if (refused !== undefined) await this.session.renew(refused, signal);
        token = await this.session.token(signal);
        if (method !== "GET" && sender !== undefined && this.session.current?.user.id !== sender)
          throw new SessionEndedError("The session has ended; somebody else has signed in");
        sent = true;
        const authorization: Record<string, string> =
          token === undefined ? {} : { authorization: `Bearer ${token}` };
        const answer = await send(this.target, { ...wire, headers: { ...headers, ...authorization } });
        // A trusted cast: the types are those of the server's own document.
        return answer as Operations[Name]["answer"];
      } catch (error) {
        signal?.throwIfAborted();
        if (sent && token !== undefined && refused === undefined && isTokenRefusal(error)) {
          refused = token;
          attempt -= 1;
          continue;
        }
        const problem = error instanceof ProblemError ? error : undefined;
        if (maybeDone && options.absentIsDone && problem?.status === 404) {
          return undefined;
        }
        const nothingHappened = !sent || problem?.status === 429;
        const waitMs = problem?.retryAfterMs ?? 0;
        if (
          !(nothingHappened || repeatable) ||
          !isTransient(error) ||
          attempt >= retries ||
          waitMs > PATIENCE_MS
        ) {
          throw error;
        }
        maybeDone ||= !nothingHappened;
        await pause(waitMs + fullJitter(attempt, RETRY_BASE_MS, RETRY_MAX_MS), signal);
      }
    }
  }
}

/** Whether the access token was refused; a wrong password is another thing. */
function isTokenRefusal(error: unknown): boolean {
  return error instanceof ProblemError && error.status === 401 && error.code !== "invalid_credentials";
}

function fillPath(template: string, values: object = {}): string {
  const byName = values as Record<string, unknown>;
  return template.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(String(byName[name])).replaceAll("%3A", ":"),
  );
}

function queryText(query: object = {}): string {
  const fields = Object.entries(query).filter(([, value]) => value !== undefined);
  const text = new URLSearchParams(fields.map(([name, value]) => [name, String(value)])).toString();
  return text === "" ? "" : `?${text}`;
}
