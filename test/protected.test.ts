/** Every route for signed-in users refuses whoever is not, and who is not the right one. */
import { it } from "vitest";
import { openApiDocument } from "./support/client.ts";
import {
  describeOwned,
  describeProtected,
  type OwnedRoute,
  type ProtectedRequest,
  type ProtectedRoute,
} from "./support/common-cases.ts";
import { admin, board, bodyOf, post, registerUser, unique } from "./support/factories.ts";
import { claimsOf } from "./support/tokens.ts";

/** A request by a fresh user. */
const byUser = (path: string, json?: unknown) => async (): Promise<ProtectedRequest> => ({
  owner: await registerUser(),
  path,
  json,
});

/** A comment's author at its path. */
async function byCommenter(json?: unknown): Promise<ProtectedRequest> {
  const owner = await registerUser();
  const { id } = await post(owner);
  const answer = await owner.client.post<{ id: number }>(`/api/posts/${id}/comments`, { content: "c" });
  return { owner, path: `/api/comments/${bodyOf(answer, 201).id}`, json };
}

/** Somebody who likes what somebody else wrote. */
async function byReader(target: "post" | "comment"): Promise<ProtectedRequest> {
  const owner = await registerUser();
  const path =
    target === "post" ? `/api/posts/${(await post(await registerUser())).id}` : (await byCommenter()).path;
  return { owner, path: `${path}/like` };
}

/** Everybody has their own, or may. */
const FREE: ProtectedRoute[] = [
  { name: "POST /api/auth/logout", request: byUser("/api/auth/logout") },
  { name: "POST /api/auth/logout-all", request: byUser("/api/auth/logout-all") },
  {
    name: "POST /api/auth/password",
    request: byUser("/api/auth/password", { currentPassword: "x", newPassword: "12345678" }),
  },
  { name: "GET /api/auth/sessions", request: byUser("/api/auth/sessions") },
  { name: "GET /api/users/me", request: byUser("/api/users/me") },
  { name: "PATCH /api/users/me", request: byUser("/api/users/me", { username: "x" }) },
  { name: "DELETE /api/users/me", request: byUser("/api/users/me") },
  { name: "POST /api/posts", request: byUser("/api/posts", { boardId: 1, title: "t", content: "c" }) },
  {
    name: "POST /api/posts/{id}/comments",
    async request() {
      const owner = await registerUser();
      return { owner, path: `/api/posts/${(await post(owner)).id}/comments`, json: { content: "c" } };
    },
  },
  { name: "PUT /api/posts/{id}/like", request: () => byReader("post") },
  { name: "DELETE /api/posts/{id}/like", request: () => byReader("post") },
  { name: "PUT /api/comments/{id}/like", request: () => byReader("comment") },
  { name: "DELETE /api/comments/{id}/like", request: () => byReader("comment") },
  { name: "GET /api/notifications", request: byUser("/api/notifications") },
  { name: "GET /api/notifications/unread-count", request: byUser("/api/notifications/unread-count") },
  { name: "PATCH /api/notifications/{id}/read", request: byUser("/api/notifications/1/read") },
  { name: "POST /api/notifications/read-all", request: byUser("/api/notifications/read-all", { upTo: 1 }) },
];

const OWNED: OwnedRoute[] = [
  {
    name: "DELETE /api/auth/sessions/{id}",
    stranger: 404,
    async request() {
      const owner = await registerUser();
      return { owner, path: `/api/auth/sessions/${Number(claimsOf(owner.session)["sid"])}` };
    },
  },
  {
    name: "POST /api/boards",
    stranger: 403,
    request: async () => ({
      owner: await admin(),
      path: "/api/boards",
      json: { name: "x", slug: unique("board-") },
    }),
  },
  {
    name: "PATCH /api/boards/{id}",
    stranger: 403,
    request: async () => ({
      owner: await admin(),
      path: `/api/boards/${(await board()).id}`,
      json: { name: "x" },
    }),
  },
  {
    name: "DELETE /api/boards/{id}",
    stranger: 403,
    request: async () => ({ owner: await admin(), path: `/api/boards/${(await board()).id}` }),
  },
  {
    name: "PATCH /api/posts/{id}",
    stranger: 403,
    async request() {
      const owner = await registerUser();
      return { owner, path: `/api/posts/${(await post(owner)).id}`, json: { title: "t" } };
    },
  },
  {
    name: "DELETE /api/posts/{id}",
    stranger: 403,
    async request() {
      const owner = await registerUser();
      return { owner, path: `/api/posts/${(await post(owner)).id}` };
    },
  },
  { name: "PATCH /api/comments/{id}", stranger: 403, request: () => byCommenter({ content: "edited" }) },
  { name: "DELETE /api/comments/{id}", stranger: 403, request: () => byCommenter() },
];

for (const route of [...FREE, ...OWNED]) describeProtected(route);
for (const route of OWNED) describeOwned(route);

it("covers every route that the document says needs a token, but for rooms, which refuse upgrades", async ({
  expect,
}) => {
  const document = await openApiDocument();
  const paths = Object.entries(document.paths).filter(([path]) => !path.startsWith("/api/rooms/"));
  const secured = paths.flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([, { security }]) => security?.every((scheme) => Object.keys(scheme).length > 0))
      .map(([method]) => `${method.toUpperCase()} ${path}`),
  );
  expect([...FREE, ...OWNED].map(({ name }) => name).sort()).toEqual(secured.sort());
});
