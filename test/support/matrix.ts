/**
 * The lines of the matrix in `authorisation.test.ts`: for each route, who is answered how.
 * @module
 */
import { notifications } from "../../src/db/schema/notifications.ts";
import type { ActorName } from "./actors.ts";
import { db } from "./database.ts";
import { type Account, board, login, newAccount, post, unique } from "./factories.ts";
import { comment } from "./threads.ts";
import { claimsOf } from "./tokens.ts";

/** A request about somebody's thing. */
export type Wanted = { path: string; json?: unknown; boardIds?: number[] };

/** `200`, or a status with its code: `403 forbidden`. */
export type Outcomes = Record<ActorName, string>;

export type Line = {
  /** As in the OpenAPI document: `PATCH /api/posts/{id}`. */
  name: string;
  /** What tells lines of one route apart. */
  of?: string;
  /** Sent with `Upgrade: websocket`, and the token as a subprotocol or as a header. */
  upgrade?: "subprotocol" | "header";
  outcomes: Outcomes;
  /** Makes the thing, and a request that is right in everything but perhaps in who sends it. */
  request: (owner: Account) => Promise<Wanted>;
};

const UNAUTHENTICATED = "401 unauthenticated";
const BAD_TOKENS = { expired: "401 token_expired", revoked: UNAUTHENTICATED, forged: UNAUTHENTICATED };

const outcomes = (ok: string, changes: Partial<Outcomes> = {}): Outcomes => ({
  anonymous: ok,
  user: ok,
  owner: ok,
  other: ok,
  admin: ok,
  ...BAD_TOKENS,
  ...changes,
});

/** A bad token is refused on public routes too, so that clients learn of it. */
const everybody = outcomes("200");
/** Where a session is made a token that rides along is not looked at. */
const whoever = (ok: string) => outcomes(ok, { expired: ok, revoked: ok, forged: ok });
const users = (ok: string, changes: Partial<Outcomes> = {}) =>
  outcomes(ok, { anonymous: UNAUTHENTICATED, ...changes });
const authorOrAdmin = (ok: string) => users(ok, { user: "403 forbidden", other: "403 forbidden" });
const ownerAlone = (ok: string, refusal: string) =>
  users(ok, { user: refusal, other: refusal, admin: refusal });
const admins = (ok: string) =>
  users(ok, { user: "403 forbidden", other: "403 forbidden", owner: "403 forbidden" });

/** The same request whoever sends it. */
const at = (path: string, json?: unknown) => (): Promise<Wanted> => Promise.resolve({ path, json });

const aboutUser =
  (tail = "") =>
  (owner: Account): Promise<Wanted> =>
    Promise.resolve({ path: `/api/users/${owner.id}${tail}` });

const aboutPost =
  (tail = "", json?: unknown) =>
  async (owner: Account): Promise<Wanted> => {
    const written = await post(owner);
    return { path: `/api/posts/${written.id}${tail}`, json, boardIds: [written.board.id] };
  };

const aboutComment =
  (tail = "", json?: unknown) =>
  async (owner: Account): Promise<Wanted> => {
    const { id } = await comment(owner, (await post(owner)).id);
    return { path: `/api/comments/${id}${tail}`, json };
  };

const aboutBoard = (json?: unknown) => async (): Promise<Wanted> => {
  const { id } = await board();
  return { path: `/api/boards/${id}`, json, boardIds: [id] };
};

async function aboutNotification(owner: Account): Promise<Wanted> {
  const now = new Date();
  const [row] = await db
    .insert(notifications)
    .values({
      userId: owner.id,
      type: "like",
      targetType: "post",
      targetId: 1,
      postId: 1,
      actorId: owner.id,
      dedupeKey: `like:post:1:${owner.id}`,
      createdAt: now,
      updatedAt: now,
    })
    .$returningId();
  return { path: `/api/notifications/${row?.id}/read` };
}

const POLL = "/events?wait=0";

export const LINES: Line[] = [
  {
    name: "POST /api/auth/register",
    outcomes: whoever("201"),
    request: () => Promise.resolve({ path: "/api/auth/register", json: newAccount() }),
  },
  {
    name: "POST /api/auth/login",
    outcomes: whoever("200"),
    request: ({ email, password }) => Promise.resolve({ path: "/api/auth/login", json: { email, password } }),
  },
  {
    name: "POST /api/auth/refresh",
    outcomes: whoever("200"),
    request: ({ session: { refreshToken } }) =>
      Promise.resolve({ path: "/api/auth/refresh", json: { refreshToken } }),
  },
  { name: "POST /api/auth/logout", outcomes: users("204"), request: at("/api/auth/logout") },
  { name: "POST /api/auth/logout-all", outcomes: users("204"), request: at("/api/auth/logout-all") },
  {
    name: "POST /api/auth/password",
    // The password in the request is its owner's: to others it is a wrong one.
    outcomes: ownerAlone("204", "401 invalid_credentials"),
    request: ({ password }) =>
      Promise.resolve({
        path: "/api/auth/password",
        json: { currentPassword: password, newPassword: unique("new ") },
      }),
  },
  { name: "GET /api/auth/sessions", outcomes: users("200"), request: at("/api/auth/sessions") },
  {
    name: "DELETE /api/auth/sessions/{id}",
    outcomes: ownerAlone("204", "404 not_found"),
    request: async (owner) => ({ path: `/api/auth/sessions/${Number(claimsOf(await login(owner))["sid"])}` }),
  },
  { name: "GET /api/users/me", outcomes: users("200"), request: at("/api/users/me") },
  {
    name: "PATCH /api/users/me",
    outcomes: users("200"),
    request: () => Promise.resolve({ path: "/api/users/me", json: { username: unique("new-") } }),
  },
  { name: "DELETE /api/users/me", outcomes: users("204"), request: at("/api/users/me") },
  { name: "GET /api/users/{id}", outcomes: everybody, request: aboutUser() },
  { name: "GET /api/users/{id}/posts", outcomes: everybody, request: aboutUser("/posts") },
  { name: "GET /api/users/{id}/comments", outcomes: everybody, request: aboutUser("/comments") },
  { name: "GET /api/boards", outcomes: everybody, request: at("/api/boards") },
  { name: "GET /api/boards/{id}", outcomes: everybody, request: aboutBoard() },
  {
    name: "POST /api/boards",
    outcomes: admins("201"),
    request: () => Promise.resolve({ path: "/api/boards", json: { name: "x", slug: unique("board-") } }),
  },
  { name: "PATCH /api/boards/{id}", outcomes: admins("200"), request: aboutBoard({ name: "y" }) },
  { name: "DELETE /api/boards/{id}", outcomes: admins("204"), request: aboutBoard() },
  { name: "GET /api/posts", outcomes: everybody, request: at("/api/posts") },
  { name: "GET /api/posts/popular", outcomes: everybody, request: at("/api/posts/popular") },
  { name: "GET /api/posts/{id}", outcomes: everybody, request: aboutPost() },
  {
    name: "POST /api/posts",
    outcomes: users("201"),
    request: async () => ({
      path: "/api/posts",
      json: { boardId: (await board()).id, title: "t", content: "c" },
    }),
  },
  { name: "PATCH /api/posts/{id}", outcomes: authorOrAdmin("200"), request: aboutPost("", { title: "u" }) },
  { name: "DELETE /api/posts/{id}", outcomes: authorOrAdmin("204"), request: aboutPost() },
  { name: "GET /api/posts/{id}/comments", outcomes: everybody, request: aboutPost("/comments") },
  {
    name: "POST /api/posts/{id}/comments",
    outcomes: users("201"),
    request: aboutPost("/comments", { content: "c" }),
  },
  {
    name: "PATCH /api/comments/{id}",
    outcomes: authorOrAdmin("200"),
    request: aboutComment("", { content: "d" }),
  },
  { name: "DELETE /api/comments/{id}", outcomes: authorOrAdmin("204"), request: aboutComment() },
  { name: "PUT /api/posts/{id}/like", outcomes: users("200"), request: aboutPost("/like") },
  { name: "DELETE /api/posts/{id}/like", outcomes: users("200"), request: aboutPost("/like") },
  { name: "PUT /api/comments/{id}/like", outcomes: users("200"), request: aboutComment("/like") },
  { name: "DELETE /api/comments/{id}/like", outcomes: users("200"), request: aboutComment("/like") },
  { name: "GET /api/notifications", outcomes: users("200"), request: at("/api/notifications") },
  {
    name: "GET /api/notifications/unread-count",
    outcomes: users("200"),
    request: at("/api/notifications/unread-count"),
  },
  {
    name: "PATCH /api/notifications/{id}/read",
    outcomes: ownerAlone("200", "404 not_found"),
    request: aboutNotification,
  },
  {
    name: "POST /api/notifications/read-all",
    outcomes: users("200"),
    request: at("/api/notifications/read-all", { upTo: 1 }),
  },
  { name: "GET /api/stats/daily", outcomes: everybody, request: at("/api/stats/daily") },
  { name: "GET /api/health", outcomes: everybody, request: at("/api/health") },
  { name: "GET /api/openapi.json", outcomes: everybody, request: at("/api/openapi.json") },
  { name: "GET /api/asyncapi.json", outcomes: everybody, request: at("/api/asyncapi.json") },
  { name: "GET /api/docs", outcomes: everybody, request: at("/api/docs") },
  { name: "GET /api/docs/rooms", outcomes: everybody, request: at("/api/docs/rooms") },
  {
    name: "POST /api/jobs",
    // A user's token says nothing here: QStash alone may deliver.
    outcomes: whoever(UNAUTHENTICATED),
    request: async (owner) => ({
      path: "/api/jobs",
      json: { job: "sync-notification", payload: { source: "post", id: (await post(owner)).id } },
    }),
  },
  ...(["subprotocol", "header"] as const).flatMap((upgrade): Line[] => [
    {
      name: "GET /api/rooms/{room}",
      of: `a post's, token as ${upgrade}`,
      upgrade,
      outcomes: users("101"),
      request: async (owner) => ({ path: `/api/rooms/post:${(await post(owner)).id}` }),
    },
    {
      name: "GET /api/rooms/{room}",
      of: `a user's, token as ${upgrade}`,
      upgrade,
      outcomes: ownerAlone("101", "403 forbidden"),
      request: ({ id }) => Promise.resolve({ path: `/api/rooms/user:${id}` }),
    },
  ]),
  {
    name: "GET /api/rooms/{room}/events",
    of: "a post's",
    outcomes: users("200"),
    request: async (owner) => ({ path: `/api/rooms/post:${(await post(owner)).id}${POLL}` }),
  },
  {
    name: "GET /api/rooms/{room}/events",
    of: "a user's",
    outcomes: ownerAlone("200", "403 forbidden"),
    request: ({ id }) => Promise.resolve({ path: `/api/rooms/user:${id}${POLL}` }),
  },
];
