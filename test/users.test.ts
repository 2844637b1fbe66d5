/** Profiles, one's own and others'. */
import { describe, it } from "vitest";
import {
  anonymous,
  type Page,
  type Post,
  type PostSummary,
  type Problem,
  type Profile,
  type User,
} from "./support/client.ts";
import { board, bodyOf, login, post, refresh, registerUser, unique } from "./support/factories.ts";

const paths = (problem: Problem) => problem.errors?.map((error) => error.path);

describe("GET /users/me", () => {
  it("is the profile with email and role", async ({ expect }) => {
    const { client, session, email } = await registerUser();
    const { status, body } = await client.get<Profile>("/api/users/me");
    expect(status).toBe(200);
    expect(body).toEqual({ ...session.user, email });
  });
});

describe("PATCH /users/me", () => {
  it("renames, in the token that is in use too", async ({ expect }) => {
    const { client, id, email } = await registerUser();
    const username = unique("새이름-");
    const { status, body } = await client.patch<Profile>("/api/users/me", { username });
    expect(status).toBe(200);
    expect(body).toMatchObject({ id, username, email });
    expect((await anonymous().get<User>(`/api/users/${id}`)).body.username).toBe(username);
    const { id: boardId } = await board();
    const answer = await client.post<Post>("/api/posts", { boardId, title: "t", content: "c" });
    expect(answer.body.author).toEqual({ id, username });
  });

  it("lets a user change the case of the own name", async ({ expect }) => {
    const { client, username } = await registerUser();
    const { status, body } = await client.patch<Profile>("/api/users/me", {
      username: username.toUpperCase(),
    });
    expect([status, body.username]).toEqual([200, username.toUpperCase()]);
  });

  it("frees the old name", async ({ expect }) => {
    const { client, username } = await registerUser();
    bodyOf(await client.patch<Profile>("/api/users/me", { username: unique("new-") }), 200);
    expect((await registerUser({ username })).session.user.username).toBe(username);
  });

  it("names the username that is taken, and changes nothing", async ({ expect }) => {
    const taken = await registerUser();
    const { client, username } = await registerUser();
    const answer = await client.patch("/api/users/me", { username: taken.username.toUpperCase() });
    expect([answer.status, answer.body.code]).toEqual([409, "conflict"]);
    expect(paths(answer.body)).toEqual(["username"]);
    expect((await client.get<Profile>("/api/users/me")).body.username).toBe(username);
  });

  it("changes the email address with the password, and the account answers to the new one", async ({
    expect,
  }) => {
    const account = await registerUser();
    const email = `${unique("new-")}@example.com`;
    const { status, body } = await account.client.patch<Profile>("/api/users/me", {
      email: email.toUpperCase(),
      currentPassword: account.password,
    });
    expect([status, body.email]).toEqual([200, email]);
    await login({ ...account, email });
    const old = { email: account.email, password: account.password };
    expect((await anonymous().post("/api/auth/login", old)).status).toBe(401);
  });

  it("asks for the password to change the email address", async ({ expect }) => {
    const { client, email } = await registerUser();
    const change = { email: `new-${email}` };
    const without = await client.patch("/api/users/me", change);
    expect(without.status).toBe(422);
    expect(paths(without.body)).toEqual(["currentPassword"]);
    const wrong = await client.patch("/api/users/me", { ...change, currentPassword: "wrong password" });
    expect([wrong.status, wrong.body.code]).toEqual([401, "invalid_credentials"]);
    expect((await client.get<Profile>("/api/users/me")).body.email).toBe(email);
  });

  it("names the email address that is taken", async ({ expect }) => {
    const taken = await registerUser();
    const { client, password } = await registerUser();
    const answer = await client.patch("/api/users/me", { email: taken.email, currentPassword: password });
    expect(answer.status).toBe(409);
    expect(paths(answer.body)).toEqual(["email"]);
  });

  it.for([
    { name: "nothing", change: {}, path: "" },
    { name: "only a password", change: { currentPassword: "12345678" }, path: "" },
    { name: "a role", change: { role: "admin" }, path: "role" },
    { name: "a bad username", change: { username: "a b" }, path: "username" },
    { name: "null as username", change: { username: null }, path: "username" },
    { name: "a bad email address", change: { email: "x", currentPassword: "12345678" }, path: "email" },
    { name: "a password", change: { password: "12345678" }, path: "password" },
  ])("refuses $name by field", async ({ change, path }, { expect }) => {
    const { client } = await registerUser();
    const { status, body } = await client.patch("/api/users/me", change);
    expect([status, body.code]).toEqual([422, "validation_failed"]);
    expect(paths(body)).toEqual([path]);
  });
});

describe("GET /users/{id}", () => {
  it("is public, without the email address", async ({ expect }) => {
    const { id, session, email } = await registerUser();
    const { status, body } = await anonymous().get<User>(`/api/users/${id}`);
    expect(status).toBe(200);
    expect(body).toEqual(session.user);
    expect(JSON.stringify(body)).not.toContain(email);
  });

  it("does not find a user that never was", async ({ expect }) => {
    const { status, body } = await anonymous().get("/api/users/9007199254740991");
    expect([status, body.code]).toEqual([404, "not_found"]);
  });

  it.for(["0", "-1", "x", "1.5", "%00", "1%20", "1e2", "0x10", "+1"])(
    "takes decimal digits as an id and refuses %s",
    async (id, { expect }) => {
      const { status, body } = await anonymous().get(`/api/users/${id}`);
      expect([status, body.code]).toEqual([422, "validation_failed"]);
      expect(paths(body)?.[0]).toBe("id");
    },
  );
});

describe("GET /users/{id}/posts", () => {
  it("lists a user's posts, newest first, in pages", async ({ expect }) => {
    const author = await registerUser();
    const ids: number[] = [];
    for (let count = 0; count < 3; count += 1) ids.unshift((await post(author)).id);
    await post(await registerUser());
    const path = `/api/users/${author.id}/posts?limit=2`;
    const first = (await anonymous().get<Page<PostSummary>>(path)).body;
    const second = (await anonymous().get<Page<PostSummary>>(`${path}&cursor=${first.nextCursor}`)).body;
    expect([...first.items, ...second.items].map((item) => item.id)).toEqual(ids);
    expect(second.nextCursor).toBeNull();
    expect(first.items[0]).toMatchObject({
      author: { id: author.id, username: author.username },
      likedByMe: null,
    });
  });

  it("is empty for a user without posts, and not found for nobody", async ({ expect }) => {
    const { id } = await registerUser();
    expect((await anonymous().get(`/api/users/${id}/posts`)).body).toEqual({ items: [], nextCursor: null });
    expect((await anonymous().get("/api/users/9007199254740991/posts")).status).toBe(404);
  });
});

describe("DELETE /users/me", () => {
  it("leaves what was written, without its author, everywhere and at once", async ({ expect }) => {
    const author = await registerUser();
    const { id, board } = await post(author);
    const reader = anonymous();
    // Read once, so that the post is cached with its author.
    await reader.get<Post>(`/api/posts/${id}`);
    await reader.get(`/api/posts/popular?boardId=${board.id}`);
    const { status, body } = await author.client.delete<string>("/api/users/me");
    expect([status, body]).toEqual([204, ""]);
    expect((await reader.get<Post>(`/api/posts/${id}`)).body.author).toBeNull();
    for (const path of [`/api/posts?boardId=${board.id}`, `/api/posts/popular?boardId=${board.id}`]) {
      expect((await reader.get<Page<PostSummary>>(path)).body.items).toMatchObject([{ id, author: null }]);
    }
    expect((await reader.get(`/api/users/${author.id}`)).status).toBe(404);
    expect((await reader.get(`/api/users/${author.id}/posts`)).status).toBe(404);
  });

  it("refuses all tokens and the password at once", async ({ expect }) => {
    const account = await registerUser();
    const other = await login(account);
    const next = await refresh(other.refreshToken);
    bodyOf(await account.client.delete<string>("/api/users/me"), 204);
    for (const { refreshToken } of [account.session, other, next]) {
      expect((await anonymous().post("/api/auth/refresh", { refreshToken })).status).toBe(401);
    }
    const { status, body } = await account.client.get("/api/users/me");
    expect([status, body.code]).toEqual([401, "unauthenticated"]);
    const { email, password } = account;
    const answer = await anonymous().post("/api/auth/login", { email, password });
    expect([answer.status, answer.body.code]).toEqual([401, "invalid_credentials"]);
  });

  it("frees name and email address, and the new owner is somebody else", async ({ expect }) => {
    const { client, id, username, email } = await registerUser();
    bodyOf(await client.delete<string>("/api/users/me"), 204);
    const successor = await registerUser({ username, email });
    expect(successor.id).not.toBe(id);
    expect((await anonymous().get(`/api/users/${successor.id}/posts`)).body).toEqual({
      items: [],
      nextCursor: null,
    });
  });
});
