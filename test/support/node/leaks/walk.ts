/**
 * A walk through every route of the API with marked secrets: each request as it should be, and before that with a token, a
 * query and a body that are refused.
 * @module
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { cronTriggers, fire } from "../../../../dev/cloud/cron.ts";
import { queryMysql } from "../../../../dev/cloud/mysql.ts";
import { WRANGLER_CONFIG } from "../../../../dev/cloud/worker.ts";
import type { OwnCloud } from "../own-cloud.ts";
import { exactly, type Kind, TEXT } from "./search.ts";

const mark = (what: string) => `${what}-${randomBytes(6).toString("hex")}`;

const PASSWORD = mark("walkpassword");
const NEXT_PASSWORD = mark("walkpassword");
const WRITTEN = mark("walktext");
const IDEMPOTENCY_KEY = mark("walkkey");
const AGENT_DETAIL = mark("walkagent");
/** In queries, headers and bodies where nothing of the kind is asked for. */
const STRAY = mark("walkstray");

/** What the walk takes along, beside tokens, hashes and addresses, which are found by their shape. */
export const WALK_KINDS: readonly Kind[] = [
  exactly("a password", PASSWORD),
  exactly("a new password", NEXT_PASSWORD),
  exactly(TEXT, WRITTEN),
  exactly("an idempotency key", IDEMPOTENCY_KEY),
  exactly("a user agent", AGENT_DETAIL),
  exactly("what a client sent astray", STRAY),
];

const ADDRESS = "203.0.113.77";
const SENT_ALONG = {
  "cf-connecting-ip": ADDRESS,
  "x-forwarded-for": `${ADDRESS}, 2001:db8:7::77`,
  "user-agent": `Walker/1.0 (${AGENT_DETAIL}; walker@example.com)`,
  referer: `https://example.com/?${STRAY}`,
  "x-stray": STRAY,
};

type Session = { user: { id: number }; accessToken: string; refreshToken: string };
type Step = {
  as?: Session;
  ids?: Record<string, number | string>;
  body?: Record<string, unknown>;
  headers?: Record<string, string>;
  /** The only status that is right; any below 400 without. */
  status?: number;
};

/** @returns the routes that were walked and those that are documented, as `POST /api/posts` */
export async function walk(cloud: OwnCloud): Promise<{ walked: string[]; documented: string[] }> {
  const { url } = cloud.worker;
  const walked = new Set<string>();

  async function request(
    operation: string,
    { as, ids = {}, body, headers = {} }: Step,
    query = "",
  ): Promise<Response> {
    const [method = "", route = ""] = operation.split(" ");
    const path = route.replaceAll(/\{(\w+)\}/g, (_, name: string) => String(ids[name]));
    return fetch(`${url}${path}${query}`, {
      method,
      headers: {
        ...SENT_ALONG,
        ...(as && { authorization: `Bearer ${as.accessToken}` }),
        ...(body && { "content-type": "application/json" }),
        ...headers,
      },
      ...(body && { body: JSON.stringify(body) }),
    });
  }

  /** The request as it should be, after the same one spoilt: with a field too many, or else a token that is none. */
  async function step<Body = Session>(operation: string, wanted: Step = {}): Promise<Body> {
    walked.add(operation);
    const spoilt = wanted.body
      ? { ...wanted, body: { ...wanted.body, [STRAY]: PASSWORD } }
      : { ...wanted, headers: { authorization: `Bearer ${STRAY}.${PASSWORD}` } };
    await (await request(operation, spoilt, `?cursor=${STRAY}&limit=${STRAY}`)).text();
    const response = await request(operation, wanted);
    const text = await response.text();
    const { status } = wanted;
    if (status === undefined ? !response.ok : response.status !== status) {
      throw new Error(`${operation}: ${response.status} ${text}`);
    }
    return (/json/.test(response.headers.get("content-type") ?? "") ? JSON.parse(text) : undefined) as Body;
  }

  async function register(name: string): Promise<{ session: Session; email: string }> {
    const email = `${mark(name)}@example.com`;
    const body = { email, username: `${WRITTEN}-${name}`, password: PASSWORD };
    return { session: await step("POST /api/auth/register", { body }), email };
  }

  /** A socket's first frame, then what follows a few frames of the client. */
  async function visit(room: string, as: Session): Promise<void> {
    walked.add("GET /api/rooms/{room}");
    const socket = new WebSocket(`${url.replace("http", "ws")}/api/rooms/${room}`, [
      "liveforum.v1",
      `bearer.${as.accessToken}`,
    ]);
    await once(socket, "message");
    for (const frame of [
      { type: "typing" },
      { type: "auth", token: as.accessToken },
      { type: "auth", token: `${STRAY}.${PASSWORD}` },
      { type: STRAY, password: PASSWORD },
      { type: "ping" },
    ]) {
      socket.send(JSON.stringify(frame));
    }
    await once(socket, "message");
    socket.close();
    await once(socket, "close");
  }

  const author = await register("author");
  const { session: reader } = await register("reader");
  const { session: leaver } = await register("leaver");
  await queryMysql(cloud.mysql, `UPDATE users SET role = 'admin' WHERE id = ${author.session.user.id}`);
  const { refreshToken } = author.session;
  const as = await step("POST /api/auth/refresh", { body: { refreshToken } });
  await request("POST /api/auth/refresh", { headers: { cookie: `liveforum_refresh=${as.refreshToken}` } });

  const credentials = { email: author.email, password: PASSWORD };
  const other = await step("POST /api/auth/login", { body: credentials });
  await step("POST /api/auth/login", { body: { ...credentials, password: NEXT_PASSWORD }, status: 401 });
  await step("POST /api/auth/logout", { as: other });
  const third = await step("POST /api/auth/login", { body: credentials });
  const { items: sessions } = await step<{ items: { id: number }[] }>("GET /api/auth/sessions", { as });
  await step("DELETE /api/auth/sessions/{id}", { as: third, ids: { id: sessions[0]?.id ?? 0 } });
  await step("POST /api/auth/password", {
    as,
    body: { currentPassword: PASSWORD, newPassword: NEXT_PASSWORD },
  });
  await step("GET /api/users/me", { as });
  await step("PATCH /api/users/me", {
    as,
    body: { username: `${WRITTEN}-new`, email: `${mark("new")}@example.com`, currentPassword: NEXT_PASSWORD },
  });

  const place = { name: WRITTEN, description: WRITTEN };
  const board = await step<{ id: number }>("POST /api/boards", {
    as,
    body: { ...place, slug: mark("board") },
  });
  const emptyBoard = await step<{ id: number }>("POST /api/boards", {
    as,
    body: { ...place, slug: mark("board") },
  });
  await step("PATCH /api/boards/{id}", { as, ids: board, body: { description: `${WRITTEN}!` } });
  const headers = { "idempotency-key": IDEMPOTENCY_KEY };
  const text = { title: WRITTEN, content: WRITTEN };
  const post = await step<{ id: number }>("POST /api/posts", {
    as,
    headers,
    body: { ...text, boardId: board.id },
  });
  await step("POST /api/posts", {
    as,
    headers,
    body: { ...text, boardId: board.id, title: "x" },
    status: 422,
  });
  await step("PATCH /api/posts/{id}", { as, ids: post, body: { content: `${WRITTEN}!` } });
  const comment = await step<{ id: number }>("POST /api/posts/{id}/comments", {
    as: reader,
    ids: post,
    headers,
    body: { content: WRITTEN },
  });
  await step("PATCH /api/comments/{id}", { as: reader, ids: comment, body: { content: `${WRITTEN}!` } });
  for (const method of ["PUT", "DELETE", "PUT"]) {
    await step(`${method} /api/posts/{id}/like`, { as: reader, ids: post });
    await step(`${method} /api/comments/{id}/like`, { as, ids: comment });
  }
  for (const user of [as, undefined]) {
    const reads = user && { as: user };
    for (const path of [
      "/api/boards",
      "/api/posts",
      "/api/posts/popular",
      "/api/stats/daily",
      "/api/health",
    ]) {
      await step(`GET ${path}`, reads);
    }
    await step("GET /api/boards/{id}", { ...reads, ids: board });
    await step("GET /api/posts/{id}", { ...reads, ids: post });
    await step("GET /api/posts/{id}/comments", { ...reads, ids: post });
    for (const tail of ["", "/posts", "/comments"]) {
      await step(`GET /api/users/{id}${tail}`, { ...reads, ids: as.user });
    }
  }
  for (const path of ["docs", "docs/rooms", "openapi.json", "asyncapi.json"]) await step(`GET /api/${path}`);
  await step("GET /api/verify/{stray}", { ids: { stray: `${STRAY}${as.refreshToken}` }, status: 404 });
  walked.delete("GET /api/verify/{stray}");
  await step("POST /api/jobs", {
    body: { job: STRAY, payload: { token: as.accessToken } },
    headers: { "upstash-signature": as.accessToken, "upstash-message-id": STRAY },
    status: 401,
  });

  await visit(`post:${post.id}`, as);
  await visit(`user:${as.user.id}`, as);
  await step("GET /api/rooms/{room}/events", { as, ids: { room: `post:${post.id}` } });

  let notifications: { id: number }[] = [];
  while (notifications.length === 0) {
    const answer = await step<{ items: { id: number }[] }>("GET /api/notifications", { as });
    notifications = answer.items;
  }
  await step("GET /api/notifications/unread-count", { as });
  const [notification = { id: 0 }] = notifications;
  await step("PATCH /api/notifications/{id}/read", { as, ids: notification });
  await step("POST /api/notifications/read-all", { as, body: { upTo: notification.id } });

  // What is logged when the upstreams fail.
  for (const gateway of [cloud.planetscaleUrl, cloud.upstashUrl, cloud.qstashUrl]) {
    for (const mode of ["status", "drop"]) {
      const fault = { mode, phase: "before", remaining: 3 };
      await fetch(`${gateway}/_local/fault`, { method: "PUT", body: JSON.stringify({ fault }) });
      await request("POST /api/posts/{id}/comments", { as: reader, ids: post, body: { content: WRITTEN } });
      await request("POST /api/auth/login", { body: credentials });
      await fetch(`${gateway}/_local/fault`, { method: "PUT", body: JSON.stringify({ fault: null }) });
    }
  }
  for (const expression of cronTriggers(WRANGLER_CONFIG)) await fire(url, expression);

  await step("DELETE /api/comments/{id}", { as: reader, ids: comment });
  await step("DELETE /api/posts/{id}", { as, ids: post });
  await step("DELETE /api/boards/{id}", { as, ids: emptyBoard });
  await step("POST /api/auth/logout-all", { as: reader });
  await step("DELETE /api/users/me", { as: leaver });

  const { paths } = (await (await fetch(`${url}/api/openapi.json`)).json()) as {
    paths: Record<string, object>;
  };
  const documented = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  return { walked: [...walked].toSorted(), documented: documented.toSorted() };
}
