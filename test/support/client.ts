/**
 * Clients of the API inside workerd, one for each actor. Every response that passes through one is held against the
 * conventions and against the OpenAPI document; a response that breaks them fails the test that asked for it.
 * @module
 */
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import type { z } from "@hono/zod-openapi";
import { createApp } from "../../src/app.ts";
import type { sessionInfoSchema, sessionSchema } from "../../src/auth/schema.ts";
import type { boardSchema } from "../../src/boards/schema.ts";
import type { ProblemDocument } from "../../src/http/app-env.ts";
import type { postSchema, postSummarySchema } from "../../src/posts/schema.ts";
import type { profileSchema, userSchema } from "../../src/users/schema.ts";
import { checkPolledFrames } from "./frame-check.ts";
import { type OpenApiDocument, violationsOf } from "./openapi-check.ts";

export type Session = z.infer<typeof sessionSchema>;
export type SessionInfo = z.infer<typeof sessionInfoSchema>;
export type User = z.infer<typeof userSchema>;
export type Profile = z.infer<typeof profileSchema>;
export type Board = z.infer<typeof boardSchema>;
export type Post = z.infer<typeof postSchema>;
export type PostSummary = z.infer<typeof postSummarySchema>;
export type Problem = ProblemDocument;
export type Page<Item> = { items: Item[]; nextCursor: string | null };

/** Where the tests' Worker is: the setting `PUBLIC_URL`. */
export const ORIGIN = env.PUBLIC_URL;

/** `body` is parsed JSON, or text, or `""`; `Body` is what the caller expects, the document has been held against it. */
export type Answer<Body> = { status: number; headers: Headers; body: Body };

/** `json` is sent as JSON, `body` as it is. */
export type RequestOptions = { headers?: Record<string, string>; json?: unknown; body?: BodyInit };

export type Client = {
  request: <Body = Problem>(method: string, path: string, options?: RequestOptions) => Promise<Answer<Body>>;
  get: <Body = Problem>(path: string, headers?: Record<string, string>) => Promise<Answer<Body>>;
  post: <Body = Problem>(
    path: string,
    json?: unknown,
    headers?: Record<string, string>,
  ) => Promise<Answer<Body>>;
  put: <Body = Problem>(
    path: string,
    json?: unknown,
    headers?: Record<string, string>,
  ) => Promise<Answer<Body>>;
  patch: <Body = Problem>(
    path: string,
    json?: unknown,
    headers?: Record<string, string>,
  ) => Promise<Answer<Body>>;
  delete: <Body = Problem>(path: string, headers?: Record<string, string>) => Promise<Answer<Body>>;
  /** Waits for the work behind the answers so far; only for clients with settings of their own. */
  settled: () => Promise<void>;
};

export type ClientOptions = {
  /** Sent as `cf-connecting-ip`; a random one of 10.0.0.0/8 by default. */
  address?: string;
  userAgent?: string;
  /** Sent as `x-request-id` with every request; none by default. */
  requestId?: string;
  /** Settings that differ from the suite's: the app then runs beside the Worker, in the test's own isolate. */
  settings?: Record<string, string | undefined>;
};

/** Headers that every response carries, with what their values contain. */
const SECURITY_HEADERS: Record<string, string> = {
  "content-security-policy": "frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "strict-transport-security": "max-age=31536000",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

const app = createApp();
let document: Promise<OpenApiDocument> | undefined;

/** The OpenAPI document, fetched once. */
export async function openApiDocument(): Promise<OpenApiDocument> {
  document ??= (async () => {
    const response = await exports.default.fetch(new Request(`${ORIGIN}/api/openapi.json`));
    return response.json<OpenApiDocument>();
  })();
  return document;
}

/** An address that no other client has. */
export function randomAddress(): string {
  return `10.${[...crypto.getRandomValues(new Uint8Array(3))].join(".")}`;
}

/** A client without an account. */
export function anonymous(options: ClientOptions = {}): Client {
  return clientOf({}, options);
}

/** A client that sends the session's access token. */
export function signedIn(session: Pick<Session, "accessToken">, options: ClientOptions = {}): Client {
  return withToken(session.accessToken, options);
}

/** A client that sends any token. */
export function withToken(token: string, options: ClientOptions = {}): Client {
  return clientOf({ authorization: `Bearer ${token}` }, options);
}

function clientOf(base: Record<string, string>, options: ClientOptions): Client {
  const { address = randomAddress(), userAgent = "liveforum-test/1.0", requestId } = options;
  const contexts: ExecutionContext[] = [];
  // One object for the life of the client: settings are parsed once for each.
  const ownEnv = options.settings ? { ...env, ...options.settings } : undefined;

  async function send(request: Request): Promise<Response> {
    if (!ownEnv) return exports.default.fetch(request);
    const context = createExecutionContext();
    contexts.push(context);
    return app.fetch(request, ownEnv, context);
  }

  async function request<Body>(
    method: string,
    path: string,
    { headers = {}, json, body }: RequestOptions = {},
  ): Promise<Answer<Body>> {
    const init: RequestInit = {
      method,
      redirect: "manual",
      headers: {
        "cf-connecting-ip": address,
        "user-agent": userAgent,
        ...(requestId === undefined ? {} : { "x-request-id": requestId }),
        ...base,
        ...(json === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
    };
    if (json !== undefined) init.body = JSON.stringify(json);
    else if (body !== undefined) init.body = body;
    const response = await send(new Request(`${ORIGIN}${path}`, init));
    return checked<Body>(method, path, response);
  }

  return {
    request,
    get: (path, headers = {}) => request("GET", path, { headers }),
    post: (path, json, headers = {}) => request("POST", path, { json, headers }),
    put: (path, json, headers = {}) => request("PUT", path, { json, headers }),
    patch: (path, json, headers = {}) => request("PATCH", path, { json, headers }),
    delete: (path, headers = {}) => request("DELETE", path, { headers }),
    async settled() {
      for (const context of contexts.splice(0)) await waitOnExecutionContext(context);
    },
  };
}

/** The answer of a response. @throws when it breaks a convention or is not as documented */
export async function checked<Body>(method: string, path: string, response: Response): Promise<Answer<Body>> {
  const { status, headers } = response;
  const contentType = headers.get("content-type");
  const text = await response.text();
  response.webSocket?.accept();
  response.webSocket?.close(1000, "done");
  const body: unknown = text !== "" && /[/+]json/.test(contentType ?? "") ? JSON.parse(text) : text;
  const violations: string[] = [];
  const requestId = headers.get("x-request-id");
  if (!requestId) violations.push("x-request-id is missing");
  // An upgrade is nothing that could be kept.
  if (status !== 101 && !headers.has("cache-control")) violations.push("nothing is said of caching");
  for (const [name, part] of Object.entries(SECURITY_HEADERS)) {
    if (!headers.get(name)?.includes(part)) violations.push(`${name} is ${headers.get(name)}`);
  }
  if (status >= 400 && method !== "HEAD") {
    const problem = body as Partial<Problem>;
    if (contentType !== "application/problem+json") violations.push(`a problem came as ${contentType}`);
    if (problem.status !== status) violations.push(`the problem says ${problem.status}`);
    if (problem.requestId !== requestId) violations.push("the problem names another request");
    if (headers.get("cache-control") !== "no-store") {
      violations.push(`a problem may be cached: ${headers.get("cache-control")}`);
    }
  }
  if (method !== "OPTIONS") {
    const pathname = path.split("?")[0] ?? "";
    violations.push(
      ...violationsOf(await openApiDocument(), { method, path: pathname, status, contentType, body }),
    );
  }
  if (method === "GET" && status === 200 && /^\/api\/rooms\/[^/]+\/events(\?|$)/.test(path)) {
    checkPolledFrames((body as { frames: unknown[] }).frames);
  }
  if (violations.length > 0) {
    throw new Error(`${method} ${path} answered ${status}: ${violations.join("; ")}\n${text.slice(0, 500)}`);
  }
  return { status, headers, body: body as Body };
}
