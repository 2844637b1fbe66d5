/** Limits: who is counted, under which policy, and what a refusal says. */
import { afterEach, beforeEach, describe, it } from "vitest";
import {
  anonymous,
  type Answer,
  type Client,
  type Problem,
  randomAddress,
  type Session,
  signedIn,
  withToken,
} from "./support/client.ts";
import { sha256Hex } from "../src/common/crypto.ts";
import { returnToPresent, stopClock } from "./support/clock.ts";
import { board, newAccount, post, registerUser, unique } from "./support/factories.ts";
import { roundTrips, watchUpstreams } from "./support/upstreams.ts";

/** 6 reads, 1 write, 1 sign-in, 1 sign-up and 1 refresh in a window. */
const STRICT = { RATE_LIMIT_SCALE: "0.01" };
const READS = 6;

type Attempt = () => Promise<Answer<Problem>>;

// No window ends within a test.
beforeEach(stopClock);
afterEach(returnToPresent);

/** Repeats a request until it is refused. */
async function exhaust(attempt: Attempt): Promise<{ allowed: number; refusal: Answer<Problem> }> {
  for (let allowed = 0; allowed < 50; allowed += 1) {
    const refusal = await attempt();
    if (refusal.status === 429) return { allowed, refusal };
  }
  throw new Error("50 requests were not refused");
}

const strict = (address = randomAddress()) => anonymous({ address, settings: STRICT });
const read = (client: Client) => () => client.get("/api/boards");
const login = (client: Client, email: string) => () =>
  client.post("/api/auth/login", { email, password: "wrong password" });

describe("a refusal", () => {
  it("is 429, names the policy, and says when to come again", async ({ expect }) => {
    const { allowed, refusal } = await exhaust(read(strict()));
    expect(allowed).toBe(READS);
    const { body, headers } = refusal;
    expect(body.code).toBe("rate_limited");
    expect(body.detail).toContain('"read"');
    expect(headers.get("ratelimit-policy")).toBe(`"read";q=${READS};w=60`);
    expect(headers.get("ratelimit")).toMatch(/^"read";r=0;t=\d+$/);
    const retryAfter = Number(headers.get("retry-after"));
    expect(retryAfter).toBeGreaterThanOrEqual(1);
    expect(retryAfter).toBeLessThanOrEqual(120);
  });

  it.for(["/api/openapi.json", "/api/docs", "/api/posts", "/api/health", "/api/nothing"])(
    "of %s is not kept by caches",
    async (path, { expect }) => {
      const client = strict();
      const { refusal } = await exhaust(() => client.get(path));
      expect(refusal.headers.get("cache-control")).toBe("no-store");
    },
  );

  it("of a post is not kept by caches and carries nothing of the post", async ({ expect }) => {
    const { id, title } = await post(await registerUser());
    const client = strict();
    const { refusal } = await exhaust(() => client.get(`/api/posts/${id}`));
    expect(refusal.headers.get("cache-control")).toBe("no-store");
    expect(refusal.headers.get("etag")).toBeNull();
    expect(JSON.stringify(refusal.body)).not.toContain(title);
  });

  it("stops a write before anything happens", async ({ expect }) => {
    const { session } = await registerUser();
    const client = signedIn(session, { settings: STRICT });
    const { refusal } = await exhaust(() => client.patch("/api/users/me", { username: unique("renamed-") }));
    expect(refusal.body.detail).toContain('"write"');
    const before = await signedIn(session).get("/api/users/me");
    await client.patch("/api/users/me", { username: unique("refused-") });
    expect((await signedIn(session).get("/api/users/me")).body).toEqual(before.body);
  });
});

describe("the count", () => {
  it("goes down with each request", async ({ expect }) => {
    const client = strict();
    const remaining = async () => {
      const { headers } = await client.get("/api/boards");
      return Number(/r=(\d+)/.exec(headers.get("ratelimit") ?? "")?.[1]);
    };
    expect([await remaining(), await remaining(), await remaining()]).toEqual([
      READS - 1,
      READS - 2,
      READS - 3,
    ]);
  });

  it("is an address's own while nobody is signed in", async ({ expect }) => {
    const address = randomAddress();
    await exhaust(read(strict(address)));
    expect((await strict(address).get("/api/posts")).status).toBe(429);
    expect((await strict().get("/api/posts")).status).toBe(200);
  });

  it("is a /64's own for IPv6", async ({ expect }) => {
    const network = `2001:db8:${unique("").slice(0, 4)}:${unique("").slice(0, 4)}`;
    await exhaust(read(strict(`${network}::1`)));
    expect((await strict(`${network}:ffff:0:0:1`).get("/api/boards")).status).toBe(429);
    expect((await strict(`2001:db8:ffff:${unique("").slice(0, 4)}::1`).get("/api/boards")).status).toBe(200);
  });

  it("is a user's own for whoever is signed in, from anywhere", async ({ expect }) => {
    const [one, two] = [await registerUser(), await registerUser()];
    const address = randomAddress();
    await exhaust(read(signedIn(one.session, { address, settings: STRICT })));
    const at = { address, settings: STRICT };
    expect((await signedIn(one.session, { settings: STRICT }).get("/api/boards")).status).toBe(429);
    expect((await signedIn(two.session, at).get("/api/boards")).status).toBe(200);
    expect((await anonymous(at).get("/api/boards")).status).toBe(200);
  });

  it("is apart for reads and writes", async ({ expect }) => {
    const { session } = await registerUser();
    const client = signedIn(session, { settings: STRICT });
    await exhaust(read(client));
    const write = await client.patch("/api/users/me", { username: unique("renamed-") });
    expect(write.status).toBe(200);
    expect(write.headers.get("ratelimit-policy")).toBe('"write";q=1;w=60');
  });

  it("includes paths that do not exist, methods that are not allowed and requests that are refused", async ({
    expect,
  }) => {
    for (const attempt of [
      (client: Client) => client.get("/api/nothing"),
      (client: Client) => client.put("/api/posts"),
      (client: Client) => client.get("/api/posts/x"),
      (client: Client) => client.get("/api/users/me"),
    ]) {
      const client = strict();
      const { allowed } = await exhaust(() => attempt(client));
      expect(allowed).toBe(READS);
    }
  });

  it("includes requests with a bad token, by their address", async ({ expect }) => {
    const address = randomAddress();
    const client = withToken("x", { address, settings: STRICT });
    const { allowed } = await exhaust(read(client));
    expect(allowed).toBe(READS);
  });

  it.for(["/api/rooms/post:1", "/api/rooms/post:1/events"])(
    "includes bad tokens at %s, so that none can be guessed there",
    async (path, { expect }) => {
      const client = withToken("nonsense", { settings: STRICT });
      const { allowed } = await exhaust(() => client.get(path, { upgrade: "websocket" }));
      expect(allowed).toBe(READS);
    },
  );
});

describe("signing in", () => {
  it("is limited for an address, whatever the accounts", async ({ expect }) => {
    const client = strict();
    const { refusal } = await exhaust(() => login(client, `${unique("a-")}@example.com`)());
    expect(refusal.body.detail).toContain('"sign-in"');
    expect(refusal.headers.get("ratelimit-policy")).toContain('"sign-in";q=1;w=60');
  });

  it("is limited for an account, from however many addresses, whether or not it exists", async ({
    expect,
  }) => {
    const { email } = await registerUser();
    for (const account of [email, `${unique("nobody-")}@example.com`]) {
      const { refusal } = await exhaust(() => login(strict(), account)());
      expect(refusal.body.detail).toContain('"sign-in-account"');
      expect((await login(strict(), account.toUpperCase())()).status).toBe(429);
      expect((await login(strict(), `other-${account}`)()).status).toBe(401);
    }
  });

  it("is limited for an account under every spelling that finds it", async ({ expect }) => {
    const tag = unique("");
    const { password } = await registerUser({ email: `mina${tag}@example.com` });
    await exhaust(() => login(strict(), `mina${tag}@example.com`)());
    const { status } = await strict().post<Session | Problem>("/api/auth/login", {
      email: `mìná${tag}@example.com`,
      password,
    });
    expect([401, 429]).toContain(status);
  });

  it("is counted before the body is looked at", async ({ expect }) => {
    const client = strict();
    const { refusal } = await exhaust(() => client.post("/api/auth/login", { nonsense: true }));
    expect(refusal.body.detail).toContain('"sign-in"');
  });

  it("up is limited for an address", async ({ expect }) => {
    const client = strict();
    const { refusal } = await exhaust(() => client.post("/api/auth/register", newAccount()));
    expect(refusal.body.detail).toContain('"sign-up"');
    expect(refusal.headers.get("ratelimit-policy")).toBe('"sign-up";q=1;w=600');
  });

  it("again by a refresh token is limited for an address", async ({ expect }) => {
    const client = strict();
    const { refusal } = await exhaust(() => client.post("/api/auth/refresh", { refreshToken: "x" }));
    expect(refusal.body.detail).toContain('"refresh"');
  });

  it("is limited as strictly where a password is asked for: a stolen session cannot try passwords", async ({
    expect,
  }) => {
    const { session } = await registerUser();
    const client = signedIn(session, { settings: STRICT });
    const change = { currentPassword: "wrong password", newPassword: unique("new ") };
    const { refusal } = await exhaust(() => client.post("/api/auth/password", change));
    expect(refusal.body.detail).toContain('"sign-in"');
    const email = { email: `${unique("new-")}@example.com`, currentPassword: "wrong password" };
    const answer = await exhaust(() => client.patch("/api/users/me", email));
    expect(answer.refusal.status).toBe(429);
  });
});

describe("what Redis is told of whom it counts", () => {
  const LIMITED = { RATE_LIMIT_SCALE: "1" };

  it.for([
    ["203.0.113.77", "203.0.113"],
    ["2001:db8:a:b::77", "2001:db8"],
  ] as const)("is no address: %s", async ([address, network], { expect }) => {
    const { during } = watchUpstreams();
    const client = anonymous({ address, settings: LIMITED });
    const { calls } = await during(() => client.get("/api/nothing"));
    expect(roundTrips(calls)).toBe(1);
    const [call] = calls;
    expect(call?.text).toMatch(/"lf:1:limit:read:network:[\w-]{22}:\d+"/);
    expect(call?.text).not.toContain(network);
  });

  it("is no email address, nor a hash of it that anybody could make", async ({ expect }) => {
    const { during } = watchUpstreams();
    const { email, password } = newAccount();
    const address = "203.0.113.78";
    const client = anonymous({ address, settings: LIMITED });
    const { calls } = await during(() => client.post("/api/auth/login", { email, password }));
    const told = calls.filter(({ upstream }) => upstream === "redis").map(({ text }) => text);
    expect(told).toHaveLength(1);
    expect(told[0]).toMatch(/"lf:1:limit:sign-in-account:account:[\w-]{22}:\d+"/);
    for (const secret of [email, (await sha256Hex(email)).slice(0, 16), address]) {
      expect(told[0]).not.toContain(secret);
    }
  });
});

describe("the scale", () => {
  it("of 0 switches limits off", async ({ expect }) => {
    const client = anonymous({ settings: { RATE_LIMIT_SCALE: "0" } });
    for (let count = 0; count < 3; count += 1) {
      const { status, headers } = await client.get("/api/boards");
      expect([status, headers.get("ratelimit"), headers.get("ratelimit-policy")]).toEqual([200, null, null]);
    }
  });

  it.for([
    { scale: "1", read: 600, signIn: 20 },
    { scale: "2.5", read: 1_500, signIn: 50 },
    { scale: "0.1", read: 60, signIn: 2 },
    { scale: "0.0001", read: 1, signIn: 1 },
  ])(
    "of $scale makes it $read reads and $signIn sign-ins a minute",
    async ({ scale, read, signIn }, { expect }) => {
      const client = anonymous({ settings: { RATE_LIMIT_SCALE: scale } });
      const policy = async (attempt: Attempt) => (await attempt()).headers.get("ratelimit-policy");
      expect(await policy(() => client.get("/api/boards"))).toBe(`"read";q=${read};w=60`);
      const attempt = login(client, `${unique("a-")}@example.com`);
      expect(await policy(attempt)).toContain(`"sign-in";q=${signIn};w=60`);
    },
  );
});

describe("every route", () => {
  it("that changes a board is counted as a write", async ({ expect }) => {
    const { id } = await board();
    const { session } = await registerUser();
    const client = signedIn(session, { settings: { RATE_LIMIT_SCALE: "1" } });
    for (const attempt of [
      () => client.post("/api/boards", {}),
      () => client.patch(`/api/boards/${id}`, {}),
      () => client.delete(`/api/boards/${id}`),
    ]) {
      expect((await attempt()).headers.get("ratelimit-policy")).toBe('"write";q=60;w=60');
    }
  });
});
