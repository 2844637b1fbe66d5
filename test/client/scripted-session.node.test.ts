/** Signing in, out and on, where answers come late: each turn is written down here. */
import { beforeEach, describe, it } from "vitest";
import {
  held,
  pass,
  problem,
  savedOf,
  serverOf,
  sessionOf,
  takeClock,
  turn,
  userOf,
} from "../support/node/scripted-server.ts";

beforeEach(takeClock);

const REFRESH = "POST /api/auth/refresh";
const CREDENTIALS = { email: "b@example.com", password: "correct horse" };

describe("a refresh under way", () => {
  /** Somebody whose token is refused, and whose refresh is answered by the test. */
  async function refreshing() {
    const refresh = held();
    const server = serverOf(
      ({ name, token }) => {
        if (name === REFRESH) return refresh.answer;
        if (name === "POST /api/auth/login") return sessionOf(2);
        if (name === "POST /api/auth/logout") return new Response(null, { status: 204 });
        return token === "Bearer of 1" ? problem(401, "token_expired") : userOf(2);
      },
      () => undefined,
    );
    const forum = server.forum();
    const call = forum.users.me().then(
      ({ id }) => id,
      (error: Error) => error.name,
    );
    await turn();
    return { refresh, server, forum, call };
  }

  it("does not bring back whoever has signed out meanwhile", async ({ expect }) => {
    const { refresh, server, forum, call } = await refreshing();
    await forum.auth.logout();
    refresh.release(sessionOf(1, "renewed"));
    expect(await call).toBe("SessionEndedError");
    expect(forum.session).toBe(null);
    expect(server.callsOf(REFRESH)).toHaveLength(1);
  });

  it.for([
    ["that succeeds", sessionOf(1, "renewed")],
    ["that is refused", "refused"],
  ] as const)("%s, does not touch whoever has signed in meanwhile", async ([, answer], { expect }) => {
    const { refresh, forum, call } = await refreshing();
    await forum.auth.login(CREDENTIALS);
    refresh.release(answer === "refused" ? problem(401, "unauthenticated") : answer);
    await call;
    expect(forum.session).toMatchObject({ user: { id: 2 }, accessToken: "of 2" });
  });

  it.for([
    ["is refused", savedOf(1), ["Bearer of 1"]],
    ["has run out", { ...savedOf(1), expiresAt: 0 }, []],
  ] as const)(
    "never ends with the write of somebody whose token %s sent as another",
    async ([, session, tokens], { expect }) => {
      const refresh = held();
      const server = serverOf(
        ({ name }) => {
          if (name === REFRESH) return refresh.answer;
          return name === "POST /api/auth/login" ? sessionOf(2) : problem(401, "token_expired");
        },
        () => undefined,
      );
      const client = server.forum({ session });
      const like = client.posts.like(7).catch((error: Error) => error.name);
      await turn();
      await client.auth.login(CREDENTIALS);
      refresh.release(sessionOf(1, "renewed"));
      expect(await like).toBe("SessionEndedError");
      expect(server.callsOf("PUT /api/posts/7/like").map(({ token }) => token)).toEqual(tokens);
      expect(client.auth.user?.id).toBe(2);
    },
  );

  it("that would bring a cookie does not begin while somebody signs in", async ({ expect }) => {
    const login = held();
    const { forum, callsOf } = serverOf(
      ({ name, token }) => {
        if (name === "POST /api/auth/login") return login.answer;
        return token === "Bearer of 1" ? problem(401, "token_expired") : userOf(2);
      },
      () => undefined,
    );
    const browser = forum({ refreshToken: "cookie" });
    const signedIn = browser.auth.login(CREDENTIALS);
    await turn();
    const call = browser.users.me();
    await turn();
    login.release(sessionOf(2));
    await pass(1_000);
    expect([(await signedIn).id, (await call).id]).toEqual([2, 2]);
    expect(callsOf(REFRESH)).toHaveLength(0);
  });

  it("that brings a cookie is waited for before somebody signs in", async ({ expect }) => {
    const refresh = held();
    const { forum, callsOf } = serverOf(
      ({ name }) => (name === REFRESH ? refresh.answer : sessionOf(2)),
      () => undefined,
    );
    const browser = forum({ refreshToken: "cookie", session: { ...savedOf(1), expiresAt: Date.now() } });
    const call = browser.users.me().catch(() => undefined);
    await turn();
    const login = browser.auth.login(CREDENTIALS);
    await turn();
    expect(callsOf("POST /api/auth/login")).toHaveLength(0);
    refresh.release(sessionOf(1, "renewed"));
    await pass(1_000);
    await login;
    await call;
    expect(browser.session).toMatchObject({ user: { id: 2 } });
  });
});

describe("signing out", () => {
  it("is over before somebody signs in: its answer takes a cookie away", async ({ expect }) => {
    const logout = held();
    const server = serverOf(
      ({ name }) => (name === "POST /api/auth/logout" ? logout.answer : sessionOf(2)),
      () => undefined,
    );
    const browser = server.forum({ refreshToken: "cookie" });
    const out = browser.auth.logout();
    const login = browser.auth.login(CREDENTIALS);
    await pass(1_000);
    expect(server.callsOf("POST /api/auth/login")).toHaveLength(0);
    logout.release(new Response(null, { status: 204 }));
    await Promise.all([out, login, pass(1_000)]);
    expect(browser.auth.user?.id).toBe(2);
  });

  it("is over before somebody signs in also where an earlier one is still under way", async ({ expect }) => {
    const first = held();
    const answers = [first.answer, new Response(null, { status: 204 })];
    const server = serverOf(
      ({ name }) => (name === "POST /api/auth/logout" ? answers.shift() : sessionOf(2)),
      () => undefined,
    );
    const forum = server.forum();
    const outs = [forum.auth.logout(), forum.auth.logout()];
    await outs[1];
    const login = forum.auth.login(CREDENTIALS);
    await pass(1_000);
    expect(server.callsOf("POST /api/auth/login")).toHaveLength(0);
    first.release(new Response(null, { status: 204 }));
    await Promise.all([...outs, login, pass(1_000)]);
    expect(forum.auth.user?.id).toBe(2);
  });

  it("does not pass for done where somebody else signed in before the server was told", async ({
    expect,
  }) => {
    const server = serverOf(
      ({ name }) => (name === "POST /api/auth/logout-all" ? problem(503, "unavailable") : sessionOf(2)),
      () => undefined,
    );
    const [tab, other] = [server.forum({ refreshToken: "cookie" }), server.forum({ refreshToken: "cookie" })];
    const out = tab.auth.logoutAll().catch((error: Error) => error.name);
    await turn();
    await other.auth.login(CREDENTIALS);
    while (tab.auth.user?.id !== 2) await turn();
    await pass(10_000);
    expect(await out).toBe("SessionEndedError");
    expect(tab.auth.user?.id).toBe(2);
  });
});

it("a login that is given up before it began is refused, and nothing else happens", async ({ expect }) => {
  const server = serverOf(
    () => sessionOf(2),
    () => undefined,
  );
  const forum = server.forum();
  await expect(forum.auth.login(CREDENTIALS, { signal: AbortSignal.abort() })).rejects.toMatchObject({
    name: "AbortError",
  });
  expect([forum.auth.user?.id, server.callsOf("POST /api/auth/login").length]).toEqual([1, 0]);
});

it("a client that was closed still signs out", async ({ expect }) => {
  const { forum } = serverOf(
    () => new Response(null, { status: 204 }),
    () => undefined,
  );
  const browser = forum({ refreshToken: "cookie" });
  browser.close();
  await browser.auth.logout();
  expect(browser.session).toBe(null);
});
