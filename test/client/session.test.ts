/** The client package in the Workers runtime: the session and its tokens. */
import { afterEach, describe, it } from "vitest";
import { LiveForum, type SavedSession, SessionEndedError } from "../../client/src/client.ts";
import { returnToPresent, stopClock } from "../support/clock.ts";
import { type Account, login, registerUser } from "../support/factories.ts";
import { forumOn, network, refusal, signedInForum } from "../support/forum.ts";
import { expiredToken } from "../support/tokens.ts";

afterEach(returnToPresent);

const REFRESH = "POST /api/auth/refresh";

const credentialsOf = ({ email, password }: Account) => ({ email, password });

/** A client that believes in a token which the server knows to have ended. */
async function withExpiredToken() {
  const account = await registerUser();
  const wire = network();
  const { user, refreshToken } = account.session;
  const saved: SavedSession = {
    user,
    refreshToken,
    accessToken: await expiredToken(account.session),
    expiresAt: Date.now() + 600_000,
  };
  return { account, wire, saved, forum: forumOn(wire, { session: saved }) };
}

describe("an access token that has ended", () => {
  it("is renewed by one call for all that need it, and they are sent again", async ({ expect }) => {
    const { wire, forum, account } = await withExpiredToken();
    const seen: (string | undefined)[] = [];
    forum.onSession((session) => seen.push(session?.accessToken));
    const calls = Array.from({ length: 20 }, () => forum.users.me());
    for (const profile of await Promise.all(calls)) expect(profile.id).toBe(account.id);
    expect(wire.callsOf(REFRESH)).toHaveLength(1);
    expect(seen).toEqual([forum.session?.accessToken]);
    expect(await forum.users.me()).toMatchObject({ email: account.email });
    expect(wire.callsOf(REFRESH)).toHaveLength(1);
  });

  it("is renewed before it is used when its end is known", async ({ expect }) => {
    const { wire, saved } = await withExpiredToken();
    const forum = forumOn(wire, { session: { ...saved, expiresAt: Date.now() + 1_000 } });
    await forum.users.me();
    expect(wire.calls.map(({ name }) => name)).toEqual([REFRESH, "GET /api/users/me"]);
  });

  it("is renewed although answers are lost, while the replaced one still works", async ({ expect }) => {
    const { wire, forum, account } = await withExpiredToken();
    stopClock();
    wire.breakNext(REFRESH, "lost answer", "lost request");
    expect((await forum.users.me()).id).toBe(account.id);
    expect(wire.callsOf(REFRESH)).toHaveLength(3);
    expect(new Set(wire.callsOf(REFRESH).map(({ body }) => body)).size).toBe(1);
  });

  it("does not cost the session when the server is away", async ({ expect }) => {
    const { wire, forum, account } = await withExpiredToken();
    wire.breakNext(REFRESH, ...Array.from({ length: 3 }, () => refusal(502)));
    wire.breakNext("GET /api/users/me", refusal(503));
    expect((await forum.users.me()).id).toBe(account.id);
    expect(forum.auth.user?.id).toBe(account.id);
  });
});

describe("a session that was ended", () => {
  it("is told as such, once, and is forgotten", async ({ expect }) => {
    const { wire, forum, account } = await withExpiredToken();
    await account.client.post("/api/auth/logout-all");
    const outcomes = await Promise.allSettled([forum.users.me(), forum.users.me()]);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ status: "rejected", reason: expect.any(SessionEndedError) as unknown });
    }
    expect(wire.callsOf(REFRESH)).toHaveLength(1);
    expect(forum.session).toBe(null);
    await expect(forum.users.me()).rejects.toMatchObject({ code: "unauthenticated" });
    expect(wire.callsOf(REFRESH)).toHaveLength(1);
  });

  it("is found out while its token is still good", async ({ expect }) => {
    const wire = network();
    const account = await registerUser();
    const forum = forumOn(wire);
    await forum.auth.login(credentialsOf(account));
    await account.client.post("/api/auth/logout-all");
    await expect(forum.users.me()).rejects.toBeInstanceOf(SessionEndedError);
  });
});

describe("signing in and out", () => {
  it("knows who it is, and can be kept and taken up", async ({ expect }) => {
    const wire = network();
    const forum = await signedInForum(wire);
    const user = forum.auth.user;
    expect(user?.username).toMatch(/^user-/);
    expect(await forum.auth.restore()).toEqual(user);
    const saved = JSON.parse(JSON.stringify(forum.session)) as SavedSession;
    const later = forumOn(wire, { session: saved });
    expect(await later.users.me()).toMatchObject({ id: user?.id });
    expect(await forumOn(wire).auth.restore()).toBe(null);
  });

  it("says what is wrong with the credentials, and does not take that for an ended session", async ({
    expect,
  }) => {
    const account = await registerUser();
    const forum = forumOn(network());
    const wrong = forum.auth.login({ email: account.email, password: "wrong" });
    await expect(wrong).rejects.toMatchObject({ code: "invalid_credentials" });
    await forum.auth.login(credentialsOf(account));
    const change = { currentPassword: "wrong", newPassword: "another good one" };
    await expect(forum.auth.changePassword(change)).rejects.toMatchObject({ code: "invalid_credentials" });
    expect(forum.auth.user?.id).toBe(account.id);
  });

  it("ends the session on the server, also when the answer is lost or it is over already", async ({
    expect,
  }) => {
    const wire = network();
    const account = await registerUser();
    const forum = forumOn(wire);
    await forum.auth.login(credentialsOf(account));
    const saved = forum.session;
    wire.breakNext("POST /api/auth/logout", "lost answer");
    await forum.auth.logout();
    expect(forum.session).toBe(null);
    if (!saved) throw new Error("nobody was signed in");
    await expect(forumOn(wire, { session: saved }).users.me()).rejects.toBeInstanceOf(SessionEndedError);
    const sent = wire.calls.length;
    await forum.auth.logout();
    expect(wire.calls).toHaveLength(sent);
  });

  it("lists sessions and ends another", async ({ expect }) => {
    const account = await registerUser();
    const other = await login(account);
    const forum = forumOn(network());
    await forum.auth.login(credentialsOf(account));
    const sessions = await Array.fromAsync(forum.auth.sessions());
    expect(sessions.map(({ current }) => current)).toEqual([true, false, false]);
    await forum.auth.endSession(sessions[1]?.id ?? 0);
    const ended = forumOn(network(), {
      session: { ...other, expiresAt: Date.now() + 600_000 },
    });
    await expect(ended.users.me()).rejects.toBeInstanceOf(SessionEndedError);
  });

  it("refuses to start without an address", ({ expect }) => {
    expect(() => new LiveForum()).toThrow(/url must be/);
    expect(() => new LiveForum({ url: "ftp://x" })).toThrow(/url must be/);
  });
});
