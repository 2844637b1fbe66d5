/** One structured line for each request, with nothing in it that a log must not hold. */
import { describe, it, vi } from "vitest";
import { anonymous, type Session, signedIn, withToken } from "./support/client.ts";
import { CLOSED_PORT } from "./support/database.ts";
import { board, bodyOf, newAccount, post, registerUser, unique } from "./support/factories.ts";
import { linesOf, type LogLine, withoutOthers } from "./support/log-lines.ts";

/** All that is logged while `work` runs and behind it. The clients in it need settings of their own: `{}` will do. */
async function logged(work: () => Promise<unknown>): Promise<LogLine[]> {
  const spies = (["log", "warn", "error"] as const).map((level) =>
    vi.spyOn(console, level).mockImplementation(() => undefined),
  );
  try {
    await work();
    return spies.flatMap((spy) => linesOf(spy.mock.calls));
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

/** Without those of other requests. */
function linesFor(requestId: string, all: LogLine[]): LogLine[] {
  return withoutOthers(all, { requestIds: [requestId] });
}

describe("the line of a request", () => {
  it("says what was asked, how it went, for whom, and what it took", async ({ expect }) => {
    const { session, id: userId } = await registerUser();
    const { id } = await board();
    const requestId = unique("request-");
    const client = signedIn(session, { settings: {}, requestId });
    const all = await logged(async () => {
      await client.get(`/api/boards/${id}?secret=1`);
      await client.settled();
    });
    const lines = linesFor(requestId, all);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({
      level: "info",
      message: "request",
      requestId,
      method: "GET",
      status: 200,
      userId,
      upstream: { db: { calls: 1 }, redis: { calls: 1 } },
    });
    expect(lines[0]?.["durationMs"]).toBeTypeOf("number");
    expect(String(lines[0]?.["route"])).toMatch(/^\/api\/boards\/[:{]id\}?$/);
  });

  it("names the route that answered, not another one whose pattern fits too", async ({ expect }) => {
    const requestId = unique("request-");
    const client = anonymous({ settings: {}, requestId });
    const all = await logged(async () => {
      await client.get("/api/posts/popular");
      await client.get("/api/users/me");
      await client.get("/api/posts/1");
      await client.get("/api/nothing");
    });
    const routes = ["/api/posts/popular", "/api/users/me", "/api/posts/:id", "/*"];
    expect(linesFor(requestId, all).map((line) => line["route"])).toEqual(routes);
  });

  it("comes once for each, refused ones included", async ({ expect }) => {
    const requestId = unique("request-");
    const client = anonymous({ settings: {}, requestId });
    const all = await logged(async () => {
      await client.get("/api/nothing");
      await client.put("/api/posts");
      await client.get("/api/users/me");
      await client.post("/api/auth/login", { email: "" });
      await client.request("POST", "/api/auth/login", { body: "{" });
      await client.get("/api/boards", { authorization: "Bearer x" });
    });
    const statuses = linesFor(requestId, all).map((line) => line["status"]);
    expect(statuses).toEqual([404, 405, 401, 422, 415, 401]);
  });

  it("holds no token, password, email address, network address or text", async ({ expect }) => {
    const account = newAccount();
    const address = "203.0.113.123";
    const client = anonymous({ address, settings: {} });
    const secrets: string[] = [account.email, account.password, account.username, address];
    const lines = await logged(async () => {
      const session = bodyOf(await client.post<Session>("/api/auth/register", account), 201);
      const { email, password } = account;
      await client.post("/api/auth/register", account);
      await client.post("/api/auth/login", { email, password });
      await client.post("/api/auth/login", { email, password: "a wrong password" });
      const { refreshToken } = session;
      await client.post("/api/auth/refresh", { refreshToken });
      await client.post("/api/auth/refresh", undefined, { cookie: `liveforum_refresh=${refreshToken}` });
      const user = signedIn(session, { address, settings: {} });
      const { id: boardId } = await board();
      const text = { title: unique("secret title "), content: unique("secret content ") };
      const headers = { "idempotency-key": unique("secret-key-") };
      await user.post("/api/posts", { boardId, ...text }, headers);
      await user.post("/api/posts", { boardId, ...text, title: "other" }, headers);
      await user.get("/api/posts?cursor=secret-cursor");
      const change = { currentPassword: password, newPassword: unique("secret password ") };
      await user.post("/api/auth/password", change);
      await withToken(`${session.accessToken}x`, { settings: {} }).get("/api/users/me");
      secrets.push(session.accessToken, refreshToken, ...Object.values(text), ...Object.values(headers));
      secrets.push("a wrong password", "secret-cursor", change.newPassword);
      await client.settled();
      await user.settled();
    });
    expect(lines.length).toBeGreaterThanOrEqual(11);
    const text = JSON.stringify(lines);
    for (const secret of secrets) expect(text).not.toContain(secret);
  });

  it("holds none of what was put into an unknown or unfit path", async ({ expect }) => {
    const { email } = newAccount();
    const { session } = await registerUser();
    const requestId = unique("request-");
    const client = anonymous({ settings: {}, requestId });
    const all = await logged(async () => {
      await client.get(`/api/users/${email}`);
      await client.get(`/api/users/${encodeURIComponent(email)}/posts`);
      await client.get(`/api/verify/${session.refreshToken}`);
    });
    const text = JSON.stringify(all);
    expect(linesFor(requestId, all)).toHaveLength(3);
    expect(text).not.toContain(email);
    expect(text).not.toContain(encodeURIComponent(email));
    expect(text).not.toContain(session.refreshToken.slice(-43));
  });

  it("is one line of JSON, whatever the path", async ({ expect }) => {
    const requestId = unique("request-");
    const client = anonymous({ settings: {}, requestId });
    const all = await logged(async () => {
      await client.get('/api/%0A{"level":"error"}%22%5C');
    });
    expect(linesFor(requestId, all)).toMatchObject([{ level: "info", status: 404, requestId }]);
  });
});

describe("an error", () => {
  it("is logged with its causes under the request id, without the password of the database or the statement", async ({
    expect,
  }) => {
    const settings = { DATABASE_URL: `http://lf:secret-password@${CLOSED_PORT}` };
    const requestId = unique("request-");
    const client = anonymous({ settings, requestId });
    const { email, password, username } = newAccount();
    const all = await logged(async () => {
      const answer = await client.post("/api/auth/register", { email, password, username });
      expect(answer.status).toBe(503);
    });
    const errors = linesFor(requestId, all).filter((line) => line["level"] === "error");
    expect(errors).toMatchObject([{ requestId, error: { name: expect.any(String) as string } }]);
    const text = JSON.stringify(all);
    for (const secret of ["secret-password", email, password, username, "$2b$", "insert into", "    at "]) {
      expect(text).not.toContain(secret);
    }
  });

  it("behind the answer is logged and does not reach it", async ({ expect }) => {
    const author = await registerUser();
    const { id } = await post(author);
    const settings = { UPSTASH_REDIS_REST_URL: `http://${CLOSED_PORT}` };
    const requestId = unique("request-");
    const client = signedIn(author.session, { settings, requestId });
    const all = await logged(async () => {
      expect((await client.patch(`/api/posts/${id}`, { title: "t" })).status).toBe(200);
      await client.settled();
    });
    const messages = linesFor(requestId, all).map((line) => line["message"]);
    expect(messages).toContain("background work failed");
  });
});
