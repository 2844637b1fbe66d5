/** Renewing a session: rotation, the grace for tabs that refresh side by side, and what a stolen token comes to. */
import { eq } from "drizzle-orm";
import { afterEach, describe, it } from "vitest";
import { createRefreshTokens } from "../src/auth/tokens.ts";
import { sessions, users } from "../src/db/schema/users.ts";
import { anonymous, type Client, ORIGIN, type Problem, type Session, signedIn } from "./support/client.ts";
import { returnToPresent, stopClock } from "./support/clock.ts";
import { db } from "./support/database.ts";
import { bodyOf, login, refresh, registerUser } from "./support/factories.ts";
import { claimsOf, currentKey, expiredToken } from "./support/tokens.ts";

afterEach(returnToPresent);

const attempt = (refreshToken: string, client: Client = anonymous()) =>
  client.post<Session & Problem>("/api/auth/refresh", { refreshToken });

const sessionId = (session: Session) => Number(claimsOf(session)["sid"]);
const nonceOf = (session: Session) => String(claimsOf(session)["nonce"]);

async function rowOf(session: Session) {
  const [row] = await db
    .select()
    .from(sessions)
    .where(eq(sessions.id, sessionId(session)));
  if (!row) throw new Error("the session has no row");
  return row;
}

/** Makes the last rotations of a session happen so many seconds ago, the latest first. */
async function backdateRotations(session: Session, ...secondsAgo: number[]): Promise<void> {
  const rotations = secondsAgo.map((seconds) => Date.now() - seconds * 1000).join(",");
  await db
    .update(sessions)
    .set({ rotations })
    .where(eq(sessions.id, sessionId(session)));
}

const works = async (session: Session) => (await signedIn(session).get("/api/users/me")).status === 200;

describe("rotation", () => {
  it("gives a new access token and a new refresh token of the same session", async ({ expect }) => {
    const { session } = await registerUser();
    const { status, body, headers } = await attempt(session.refreshToken);
    expect(status).toBe(200);
    expect(body.user).toEqual(session.user);
    expect(body.refreshToken).not.toBe(session.refreshToken);
    expect(sessionId(body)).toBe(sessionId(session));
    expect(headers.get("set-cookie")).toContain(body.refreshToken);
    expect(headers.get("cache-control")).toBe("no-store");
    expect(await works(body)).toBe(true);
    expect(await works(session)).toBe(true);
  });

  it("keeps only hashes of refresh tokens", async ({ expect }) => {
    const { session } = await registerUser();
    const next = await refresh(session.refreshToken);
    const row = await rowOf(next);
    expect(row.refreshHash).toMatch(/^[0-9a-f]{64}$/);
    expect(JSON.stringify(row)).not.toContain(next.refreshToken);
  });

  it("goes on for many generations", async ({ expect }) => {
    let { session } = await registerUser();
    for (let generation = 2; generation <= 12; generation += 1) session = await refresh(session.refreshToken);
    expect(await rowOf(session)).toMatchObject({ generation: 12 });
    expect(await works(session)).toBe(true);
  });

  it("moves the end of the session 30 days ahead and notes its use", async ({ expect }) => {
    const { session } = await registerUser();
    const past = new Date(Date.now() - 3_600_000);
    await db
      .update(sessions)
      .set({ lastUsedAt: past, expiresAt: new Date(Date.now() + 60_000) })
      .where(eq(sessions.id, sessionId(session)));
    await refresh(session.refreshToken);
    const row = await rowOf(session);
    expect(row.expiresAt.getTime()).toBeGreaterThan(Date.now() + 29 * 86_400_000);
    expect(row.lastUsedAt.getTime()).toBeGreaterThan(past.getTime() + 3_000_000);
  });

  it("works before the hash of the first token has been stored", async ({ expect }) => {
    const { session } = await registerUser();
    await db
      .update(sessions)
      .set({ refreshHash: null })
      .where(eq(sessions.id, sessionId(session)));
    expect(await works(await refresh(session.refreshToken))).toBe(true);
  });

  it("brings the role up to date", async ({ expect }) => {
    const { id, session } = await registerUser();
    await db.update(users).set({ role: "admin" }).where(eq(users.id, id));
    expect((await refresh(session.refreshToken)).user.role).toBe("admin");
  });

  it("works while an expired access token rides along, as clients send it with every request", async ({
    expect,
  }) => {
    const { session } = await registerUser();
    const { status } = await anonymous().post<Session>(
      "/api/auth/refresh",
      { refreshToken: session.refreshToken },
      { authorization: `Bearer ${await expiredToken(session)}` },
    );
    expect(status).toBe(200);
  });
});

describe("the grace", () => {
  it("gives 20 refreshes side by side the same working session", async ({ expect }) => {
    const { session } = await registerUser();
    const answers = await Promise.all(Array.from({ length: 20 }, () => attempt(session.refreshToken)));
    expect(answers.map((answer) => answer.status)).toEqual(Array<number>(20).fill(200));
    expect(new Set(answers.map((answer) => answer.body.refreshToken)).size).toBe(1);
    expect(await Promise.all(answers.map((answer) => works(answer.body)))).not.toContain(false);
    const [first] = answers;
    expect((await attempt(first?.body.refreshToken ?? "")).status).toBe(200);
    expect(await rowOf(session)).toMatchObject({ generation: 3 });
  });

  it("lets a replaced token work for 10 s", async ({ expect }) => {
    const { session } = await registerUser();
    const next = await refresh(session.refreshToken);
    stopClock();
    await backdateRotations(next, 10);
    const again = await attempt(session.refreshToken);
    expect(again.status).toBe(200);
    expect(again.body.refreshToken).toBe(next.refreshToken);
  });

  it("looks at when a token itself was replaced, not at the latest rotation", async ({ expect }) => {
    const { session } = await registerUser();
    const second = await refresh(session.refreshToken);
    const third = await refresh(second.refreshToken);
    stopClock();
    await backdateRotations(third, 2, 5);
    expect((await attempt(session.refreshToken)).body.refreshToken).toBe(third.refreshToken);
    await backdateRotations(third, 2, 12);
    expect((await attempt(session.refreshToken)).status).toBe(401);
  });
});

describe("reuse", () => {
  it("of a token that was replaced over 10 s ago ends its session at once, and no other", async ({
    expect,
  }) => {
    const account = await registerUser();
    const other = await login(account);
    const next = await refresh(account.session.refreshToken);
    await backdateRotations(next, 11);
    const reused = await attempt(account.session.refreshToken);
    expect(reused.status).toBe(401);
    expect(reused.body.code).toBe("unauthenticated");
    expect(reused.body).not.toHaveProperty("refreshToken");
    expect((await attempt(next.refreshToken)).status).toBe(401);
    expect(await works(next)).toBe(false);
    expect(await works(account.session)).toBe(false);
    expect(await works(other)).toBe(true);
    expect((await attempt(other.refreshToken)).status).toBe(200);
  });

  it("of a token from before the rotations that are remembered ends the session", async ({ expect }) => {
    const { session } = await registerUser();
    let latest = session;
    for (let count = 0; count < 10; count += 1) latest = await refresh(latest.refreshToken);
    expect((await attempt(session.refreshToken)).status).toBe(401);
    expect(await works(latest)).toBe(false);
  });
});

describe("refusals", () => {
  const forgeries: Record<string, (token: string) => string> = {
    "another signature": (token) => `${token.slice(0, -2)}${token.endsWith("AA") ? "BB" : "AA"}`,
    "another generation": (token) => token.replace(/^(lfr_\d+_\w{32})_(\d+)/, "$1_9"),
    "another nonce": (token) => token.replace(/^(lfr_\d+)_\w{32}/, `$1_${"0".repeat(32)}`),
    "no nonce": (token) => token.replace(/^(lfr_\d+)_\w{32}/, "$1"),
    "another session": (token) => token.replace(/^lfr_(\d+)/, (_, id: string) => `lfr_${Number(id) + 1}`),
    "its end cut off": (token) => token.slice(0, -1),
    "something behind it": (token) => `${token}x`,
    "white space around it": (token) => ` ${token} `,
    "nothing in it": () => "",
    "something else altogether": () => "eyJhbGciOiJIUzI1NiJ9.e30.x",
  };
  it.for(Object.entries(forgeries))(
    "refuses a token with %s and leaves the session alone",
    async ([, forge], { expect }) => {
      const { session } = await registerUser();
      const next = await refresh(session.refreshToken);
      await backdateRotations(next, 60);
      const { status, body } = await attempt(forge(session.refreshToken));
      expect(status).toBe(401);
      expect(body.code).toBe("unauthenticated");
      expect(await works(next)).toBe(true);
      expect((await attempt(next.refreshToken)).status).toBe(200);
    },
  );

  it("refuses a token made with another key, and leaves the session alone", async ({ expect }) => {
    const { session } = await registerUser();
    const claim = { sessionId: sessionId(session), nonce: nonceOf(session), generation: 1 };
    const [forged = ""] = await createRefreshTokens([{ kid: "x", secret: "x".repeat(32) }]).candidates(claim);
    expect((await attempt(forged)).status).toBe(401);
    expect((await attempt(session.refreshToken)).status).toBe(200);
  });

  it("refuses a token of a generation that has not come yet", async ({ expect }) => {
    const { session } = await registerUser();
    const claim = { sessionId: sessionId(session), nonce: nonceOf(session), generation: 2 };
    const [early = ""] = await createRefreshTokens([currentKey]).candidates(claim);
    expect((await attempt(early)).status).toBe(401);
    expect((await attempt(session.refreshToken)).status).toBe(200);
  });

  it("refuses a session whose time is over", async ({ expect }) => {
    const { session } = await registerUser();
    await db
      .update(sessions)
      .set({ expiresAt: new Date(Date.now() - 1000) })
      .where(eq(sessions.id, sessionId(session)));
    expect((await attempt(session.refreshToken)).status).toBe(401);
  });

  it("refuses a request without a token", async ({ expect }) => {
    const bare = await anonymous().post("/api/auth/refresh");
    expect([bare.status, bare.body.code]).toEqual([401, "unauthenticated"]);
    const empty = await anonymous().post("/api/auth/refresh", {});
    expect([empty.status, empty.body.code]).toEqual([401, "unauthenticated"]);
  });

  it("refuses unknown fields and other types by name", async ({ expect }) => {
    const unknown = await anonymous().post("/api/auth/refresh", { refreshToken: "x", scope: "all" });
    expect(unknown.status).toBe(422);
    expect(unknown.body.errors).toMatchObject([{ path: "scope" }]);
    const number = await anonymous().post("/api/auth/refresh", { refreshToken: 1 });
    expect(number.status).toBe(422);
    expect(number.body.errors).toMatchObject([{ path: "refreshToken" }]);
  });
});

describe("the cookie", () => {
  const byCookie = (
    session: Session,
    headers: Record<string, string> = {},
    settings?: Record<string, string>,
  ) =>
    anonymous(settings ? { settings } : {}).post<Session & Problem>("/api/auth/refresh", undefined, {
      cookie: `theme=dark; liveforum_refresh=${session.refreshToken}`,
      ...headers,
    });

  it("stands in for a body", async ({ expect }) => {
    const { session } = await registerUser();
    const { status, body, headers } = await byCookie(session, { "sec-fetch-site": "same-origin" });
    expect(status).toBe(200);
    expect(await works(body)).toBe(true);
    expect(headers.get("set-cookie")).toContain(body.refreshToken);
  });

  it("is taken from the Worker's own origin and from an allowed one", async ({ expect }) => {
    const { session } = await registerUser();
    const own = await byCookie(session, { origin: ORIGIN, "sec-fetch-site": "same-origin" });
    expect(own.status).toBe(200);
    const headers = { origin: "https://app.example.com", "sec-fetch-site": "cross-site" };
    const allowed = await byCookie(own.body, headers, { CORS_ORIGINS: "https://app.example.com" });
    expect(allowed.status).toBe(200);
  });

  it.for([
    { origin: "https://evil.example" },
    { origin: "null" },
    { origin: `${ORIGIN}.evil.example` },
    { "sec-fetch-site": "cross-site" },
  ])("is refused from another site (%o) and stays unused", async (headers, { expect }) => {
    const { session } = await registerUser();
    const { status, body } = await byCookie(session, headers);
    expect(status).toBe(403);
    expect(body.code).toBe("forbidden");
    expect(await rowOf(session)).toMatchObject({ generation: 1, revokedAt: null });
  });

  it("gives way to a token in the body", async ({ expect }) => {
    const { session } = await registerUser();
    const other = await registerUser();
    const { body } = await anonymous().post<Session>(
      "/api/auth/refresh",
      { refreshToken: other.session.refreshToken },
      { cookie: `liveforum_refresh=${session.refreshToken}` },
    );
    expect(body.user.id).toBe(other.id);
  });
});

describe("rotation of keys", () => {
  const next = "k2:fedcba9876543210fedcba9876543210";
  const both = { JWT_KEYS: `${next},${currentKey.kid}:${currentKey.secret}` };

  it("keeps tokens of the old key good while it is listed, and signs with the new one", async ({
    expect,
  }) => {
    const { session } = await registerUser();
    const answer = await attempt(session.refreshToken, anonymous({ settings: both }));
    expect(answer.status).toBe(200);
    const afterwards = anonymous({ settings: { JWT_KEYS: next } });
    const onlyNew = await attempt(answer.body.refreshToken, afterwards);
    expect(bodyOf(onlyNew, 200).user).toEqual(session.user);
  });

  it("ends with the key that is taken off the list, without ending the session", async ({ expect }) => {
    const { session } = await registerUser();
    expect((await attempt(session.refreshToken, anonymous({ settings: { JWT_KEYS: next } }))).status).toBe(
      401,
    );
    expect((await attempt(session.refreshToken)).status).toBe(200);
  });
});
