/** What works while Redis, the database or QStash is away. */
import { createExecutionContext, createScheduledController, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, inject, it, onTestFinished, vi } from "vitest";
import worker from "../src/index.ts";
import {
  anonymous,
  type Answer,
  type Client,
  type ClientOptions,
  type Page,
  type Post,
  type PostSummary,
  randomAddress,
  type Session,
  signedIn,
} from "./support/client.ts";
import { CLOSED_PORT } from "./support/database.ts";
import {
  type Account,
  board,
  bodyOf,
  login,
  newAccount,
  post,
  registerUser,
  sharedAdmin,
  unique,
} from "./support/factories.ts";
import { letTimePass } from "./support/rows.ts";
import { comment, commentRow, like, newPost } from "./support/threads.ts";

const NO_REDIS = { UPSTASH_REDIS_REST_URL: `http://${CLOSED_PORT}` };
const NO_DATABASE = { DATABASE_URL: `http://lf:lf@${CLOSED_PORT}` };

/** What cron does every minute, with everything back. */
async function runEveryMinute(): Promise<void> {
  const context = createExecutionContext();
  await worker.scheduled(createScheduledController({ cron: "* * * * *" }), env, context);
  await waitOnExecutionContext(context);
}

/** For what is cached behind an answer: it may take a while on a busy machine. */
const PATIENT = { timeout: 30_000 };

const without = (settings: Record<string, string>): ClientOptions => ({ settings });

describe("without Redis", () => {
  it("reads are served from the database", async ({ expect }) => {
    const author = await registerUser();
    const written = await post(author);
    const client = anonymous(without(NO_REDIS));
    const one = await client.get<Post>(`/api/posts/${written.id}`);
    expect([one.status, one.body]).toEqual([200, { ...written, likedByMe: null }]);
    for (const path of [
      `/api/posts?boardId=${written.board.id}`,
      `/api/posts/popular?boardId=${written.board.id}`,
    ]) {
      const { status, body } = await client.get<Page<PostSummary>>(path);
      expect([status, body.items.map(({ id }) => id)]).toEqual([200, [written.id]]);
    }
    for (const path of ["/api/boards", `/api/boards/${written.board.id}`, `/api/users/${author.id}`]) {
      expect((await client.get(path)).status).toBe(200);
    }
  });

  it("writes work, and are seen by whoever has Redis", async ({ expect }) => {
    const { session, id: userId } = await registerUser();
    const { id: boardId } = await board();
    const client = signedIn(session, without(NO_REDIS));
    const input = { boardId, title: "t", content: "c" };
    const written = bodyOf(await client.post<Post>("/api/posts", input), 201);
    const path = `/api/posts/${written.id}`;
    expect(bodyOf(await client.patch<Post>(path, { title: "edited" }), 200).version).toBe(2);
    expect((await anonymous().get<Post>(path)).body).toMatchObject({
      title: "edited",
      author: { id: userId },
    });
    expect((await client.delete<string>(path)).status).toBe(204);
    expect((await client.get(path)).status).toBe(404);
    const username = unique("renamed-");
    expect((await client.patch("/api/users/me", { username })).status).toBe(200);
  });

  it("a comment and a like are told to whoever is notified of them", async ({ expect }) => {
    const { id } = await newPost();
    const { session } = await registerUser();
    const client = signedIn(session, without(NO_REDIS));
    const realFetch = globalThis.fetch;
    const jobs = new Set<string>();
    const spy = vi.spyOn(globalThis, "fetch").mockImplementation((input, init) => {
      const { origin } = new URL(input instanceof Request ? input.url : input);
      if (origin === inject("cloud").qstash && typeof init?.body === "string") jobs.add(init.body);
      return realFetch(input, init);
    });
    onTestFinished(() => {
      spy.mockRestore();
    });
    const written = await comment({ client }, id);
    await client.settled();
    await like(client, { type: "post", id });
    await client.settled();
    // Each perhaps more than once, which is once for QStash.
    expect([...jobs].map((body) => JSON.parse(body) as unknown)).toMatchObject([
      { job: "sync-notification", payload: { source: "comment", id: written.id } },
      { job: "sync-notification", payload: { source: "like" } },
    ]);
    // Redis is still to hear of it.
    expect((await commentRow(written.id)).effectsDueAt).not.toBeNull();
  });

  it("accounts can be made and used", async ({ expect }) => {
    const account = newAccount();
    const client = anonymous(without(NO_REDIS));
    const session = bodyOf(await client.post<Session>("/api/auth/register", account), 201);
    const { email, password } = account;
    expect((await client.post("/api/auth/login", { email, password })).status).toBe(200);
    const { refreshToken } = session;
    expect((await client.post("/api/auth/refresh", { refreshToken })).status).toBe(200);
    expect((await signedIn(session, without(NO_REDIS)).get("/api/auth/sessions")).status).toBe(200);
  });

  it("sessions that have ended are refused, those before and those during the outage", async ({ expect }) => {
    const account = await registerUser();
    const before = await login(account);
    bodyOf(await signedIn(before).post<string>("/api/auth/logout"), 204);
    const during = await login(account);
    bodyOf(await signedIn(during, without(NO_REDIS)).post<string>("/api/auth/logout"), 204);
    for (const session of [before, during]) {
      const client = signedIn(session, without(NO_REDIS));
      for (const path of ["/api/users/me", "/api/boards"]) {
        const { status, body } = await client.get(path);
        expect([status, body.code]).toEqual([401, "unauthenticated"]);
      }
      expect((await client.patch("/api/users/me", { username: unique("x-") })).status).toBe(401);
    }
    expect((await signedIn(account.session, without(NO_REDIS)).get("/api/users/me")).status).toBe(200);
  });

  it("logout-all, a new password and the end of an account take effect too", async ({ expect }) => {
    const account = await registerUser();
    const other = await login(account);
    const newPassword = unique("new ");
    const client = signedIn(account.session, without(NO_REDIS));
    const change = { currentPassword: account.password, newPassword };
    expect((await client.post<string>("/api/auth/password", change)).status).toBe(204);
    expect((await signedIn(other, without(NO_REDIS)).get("/api/users/me")).status).toBe(401);
    expect((await client.get("/api/users/me")).status).toBe(200);
    const third = await login({ ...account, password: newPassword });
    expect((await client.post<string>("/api/auth/logout-all")).status).toBe(204);
    expect((await signedIn(third, without(NO_REDIS)).get("/api/users/me")).status).toBe(401);
    const fourth = signedIn(await login({ ...account, password: newPassword }), without(NO_REDIS));
    expect((await fourth.delete<string>("/api/users/me")).status).toBe(204);
    expect((await fourth.get("/api/users/me")).status).toBe(401);
  });

  it("sessions that end stay ended when Redis is back", async ({ expect }) => {
    const ways: ((account: Account, client: Client) => Promise<Answer<string>>)[] = [
      (_, client) => client.post<string>("/api/auth/logout"),
      (_, client) => client.post<string>("/api/auth/logout-all"),
      (_, client) => client.delete<string>("/api/users/me"),
    ];
    for (const end of ways) {
      const account = await registerUser();
      bodyOf(await end(account, signedIn(account.session, without(NO_REDIS))), 204);
      await letTimePass({ userIds: [account.id] });
      await runEveryMinute();
      const { status } = await account.client.get("/api/boards");
      expect(status).toBe(401);
    }
  });

  it("limits are counted by the isolate", async ({ expect }) => {
    const options = { address: randomAddress(), settings: { ...NO_REDIS, RATE_LIMIT_SCALE: "0.01" } };
    const client = anonymous(options);
    const statuses: number[] = [];
    for (let count = 0; count < 7; count += 1) statuses.push((await client.get("/api/boards")).status);
    expect(statuses).toEqual([200, 200, 200, 200, 200, 200, 429]);
    expect((await anonymous(options).get("/api/boards")).status).toBe(429);
    const other = { ...options, address: randomAddress() };
    expect((await anonymous(other).get("/api/boards")).status).toBe(200);
    const attempt = (from: Client) => from.post("/api/auth/login", { email: "a@example.com", password: "x" });
    expect((await attempt(anonymous(other))).status).toBe(401);
    expect((await attempt(anonymous(other))).status).toBe(429);
  });

  it("names that change are not shown from the cache when Redis is back", async ({ expect }) => {
    const author = await registerUser();
    const { id, board } = await post(author);
    const reader = anonymous();
    for (let round = 0; round < 3; round += 1) await reader.get(`/api/posts/${id}`);
    const username = unique("renamed-");
    bodyOf(await signedIn(author.session, without(NO_REDIS)).patch("/api/users/me", { username }), 200);
    const { session } = await sharedAdmin();
    const name = unique("Renamed ");
    bodyOf(await signedIn(session, without(NO_REDIS)).patch(`/api/boards/${board.id}`, { name }), 200);
    await letTimePass({ userIds: [author.id], boardIds: [board.id] });
    await runEveryMinute();
    const { body } = await reader.get<Post>(`/api/posts/${id}`);
    expect([body.author?.username, body.board.name]).toEqual([username, name]);
  });
});

describe("with a Redis that is full, and answers what needs no memory", () => {
  /** What Redis says at its `maxmemory` where it may evict nothing. */
  const OOM = "OOM command not allowed when used memory > 'maxmemory'.";
  const FULL_REDIS = { UPSTASH_REDIS_REST_URL: "http://full.redis.example" };

  /** Reads go on, nothing is found, and what writes is refused. */
  function answerAsFull(): void {
    const realFetch = globalThis.fetch;
    const spy = vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
      const { origin } = new URL(input instanceof Request ? input.url : input);
      const { body } = init ?? {};
      if (origin !== FULL_REDIS.UPSTASH_REDIS_REST_URL || typeof body !== "string")
        return realFetch(input, init);
      const commands = JSON.parse(body) as string[][];
      const reads = { MGET: [null, null], HMGET: [null, null, null, null, null], PING: "PONG" };
      return Response.json(
        commands.map(([name = ""]) =>
          name in reads ? { result: reads[name as keyof typeof reads] } : { error: OOM },
        ),
      );
    });
    onTestFinished(() => {
      spy.mockRestore();
    });
  }

  it("all is served as without Redis, and /health says so", async ({ expect }) => {
    answerAsFull();
    const author = await registerUser();
    const written = await post(author);
    const client = signedIn(author.session, without(FULL_REDIS));
    for (const path of [`/api/posts/${written.id}`, "/api/posts/popular", "/api/boards", "/api/users/me"]) {
      expect([path, (await client.get(path)).status]).toEqual([path, 200]);
    }
    const input = { content: "c" };
    expect((await client.post(`/api/posts/${written.id}/comments`, input)).status).toBe(201);
    const { email, password } = author;
    expect((await client.post("/api/auth/login", { email, password })).status).toBe(200);
    const health = await client.get("/api/health");
    expect([health.status, health.body]).toMatchObject([200, { checks: { redis: "down" } }]);
  });

  it("a session that ends is refused, although Redis does not know of its end", async ({ expect }) => {
    answerAsFull();
    const account = await registerUser();
    const client = signedIn(account.session, without(FULL_REDIS));
    bodyOf(await client.post<string>("/api/auth/logout"), 204);
    expect((await client.get("/api/users/me")).status).toBe(401);
  });
});

describe("without the database", () => {
  it("what needs it answers 503 with Retry-After, and says no more", async ({ expect }) => {
    const { session } = await registerUser();
    const { id } = await board();
    const attempts = [
      anonymous(without(NO_DATABASE)).get(`/api/boards/${id}`),
      anonymous(without(NO_DATABASE)).get(`/api/posts?boardId=${id}`),
      anonymous(without(NO_DATABASE)).post("/api/auth/register", newAccount()),
      anonymous(without(NO_DATABASE)).post("/api/auth/login", { email: "a@example.com", password: "x" }),
      signedIn(session, without(NO_DATABASE)).get("/api/users/me"),
      signedIn(session, without(NO_DATABASE)).post("/api/posts", { boardId: id, title: "t", content: "c" }),
    ];
    for (const { status, body, headers } of await Promise.all(attempts)) {
      expect([status, body.code]).toEqual([503, "unavailable"]);
      expect(headers.get("retry-after")).toMatch(/^\d+$/);
      expect(JSON.stringify(body)).not.toMatch(/127\.0\.0\.1|select|insert|network/i);
    }
  });

  it("a cached post is still served", async ({ expect }) => {
    const { id, title } = await post(await registerUser());
    const client = anonymous(without(NO_DATABASE));
    await expect
      .poll(async () => {
        await anonymous().get(`/api/posts/${id}`);
        return (await client.get<Post>(`/api/posts/${id}`)).body.title;
      })
      .toBe(title);
  });

  it("lists and a post that are cached are served, without saying what the reader likes", async ({
    expect,
  }) => {
    const author = await registerUser();
    const { id, board } = await post(author);
    const lists = [
      `/api/posts?boardId=${board.id}`,
      `/api/posts/popular?boardId=${board.id}`,
      `/api/users/${author.id}/posts`,
    ];
    const readers = [anonymous(without(NO_DATABASE)), signedIn(author.session, without(NO_DATABASE))];
    for (const path of lists) {
      await expect
        .poll(async () => {
          await anonymous().get(path);
          const answers = await Promise.all(readers.map((reader) => reader.get<Page<PostSummary>>(path)));
          return answers.map(({ body }) => body.items?.map((item) => [item.id, item.likedByMe]));
        }, PATIENT)
        .toEqual([[[id, null]], [[id, null]]]);
    }
    await expect
      .poll(async () => {
        await anonymous().get(`/api/posts/${id}`);
        const { status, body } = (await readers[1]?.get<Post>(`/api/posts/${id}`)) ?? {};
        return [status, body?.likedByMe];
      }, PATIENT)
      .toEqual([200, null]);
    await expect
      .poll(async () => {
        await anonymous().get("/api/boards");
        return (await readers[0]?.get("/api/boards"))?.status;
      }, PATIENT)
      .toBe(200);
  });
});
