/**
 * Ids that are given out a second time, as after a database was restored from a backup: what somebody was given for the
 * first owner of an id opens nothing of the second one's, and ends nothing either.
 */
import { eq } from "drizzle-orm";
import { describe, it } from "vitest";
import { createRefreshTokens } from "../src/auth/tokens.ts";
import { keys } from "../src/cache/keys.ts";
import { sessions } from "../src/db/schema/users.ts";
import { anonymous, type Client, type Problem, type Session, withToken } from "./support/client.ts";
import { CLOSED_PORT, db, redis } from "./support/database.ts";
import { bodyOf, refresh, registerUser } from "./support/factories.ts";
import { waitUntil } from "./support/patience.ts";
import { claimsOf, currentKey, forge } from "./support/tokens.ts";

const sessionId = (session: Session) => Number(claimsOf(session)["sid"]);
const nonceOf = (session: Session) => String(claimsOf(session)["nonce"]);
const rowsOf = (id: number) => db.select().from(sessions).where(eq(sessions.id, id));
const NO_REDIS = { UPSTASH_REDIS_REST_URL: `http://${CLOSED_PORT}` };

const attempt = (refreshToken: string, client: Client = anonymous()) =>
  client.post<Session & Problem>("/api/auth/refresh", { refreshToken });
const statusOf = async (session: Session, settings?: Record<string, string>) =>
  (await withToken(session.accessToken, settings ? { settings } : {}).get("/api/users/me")).status;

/** A session that is gone, and another user's that has its id now, with the first refresh token of that one. */
async function twoOfOneId() {
  const [old, other] = [(await registerUser()).session, (await registerUser()).session];
  const id = sessionId(old);
  await db.delete(sessions).where(eq(sessions.id, id));
  await db
    .update(sessions)
    .set({ id, refreshHash: null })
    .where(eq(sessions.id, sessionId(other)));
  const claim = { sessionId: id, nonce: nonceOf(other), generation: 1 };
  const [refreshToken = ""] = await createRefreshTokens([currentKey]).candidates(claim);
  return { id, old, other, refreshToken };
}

/** The same, when the second session has been renewed under the id. */
async function twoOfOneIdRenewed() {
  const { id, old, other, refreshToken } = await twoOfOneId();
  const current = await refresh(refreshToken);
  await waitUntil(
    async () => (await redis.run<string | null>((pipe) => pipe.get(keys.session(id)))) === nonceOf(other),
  );
  return { id, old, current };
}

describe("a session whose id another user's session had before", () => {
  it("is not opened by the old refresh token, and not ended by it, however often it comes", async ({
    expect,
  }) => {
    const { id, old, other, refreshToken } = await twoOfOneId();
    for (let time = 0; time < 2; time += 1) {
      const { status, body } = await attempt(old.refreshToken);
      expect([status, body.code]).toEqual([401, "unauthenticated"]);
      expect(await rowsOf(id)).toMatchObject([{ generation: 1, revokedAt: null, refreshHash: null }]);
    }
    const { status, body } = await attempt(refreshToken);
    expect([status, body.user.id, sessionId(body)]).toEqual([200, other.user.id, id]);
    await db.update(sessions).set({ rotations: "1" }).where(eq(sessions.id, id));
    expect((await attempt(old.refreshToken)).status).toBe(401);
    expect(await rowsOf(id)).toMatchObject([{ generation: 2, revokedAt: null }]);
    expect((await attempt(body.refreshToken)).status).toBe(200);
  });

  it("is ended by an old token of its own: another nonce does not hide a reuse", async ({ expect }) => {
    const { id, refreshToken } = await twoOfOneId();
    await refresh(refreshToken);
    await db.update(sessions).set({ rotations: "1" }).where(eq(sessions.id, id));
    expect((await attempt(refreshToken)).status).toBe(401);
    expect((await rowsOf(id))[0]?.revokedAt).not.toBeNull();
  });

  it("makes the old access token worthless, whether Redis or the database is asked", async ({ expect }) => {
    const { old, current } = await twoOfOneIdRenewed();
    expect(await statusOf(current)).toBe(200);
    expect(await statusOf(old)).toBe(401);
    expect(await statusOf(current, NO_REDIS)).toBe(200);
    expect(await statusOf(old, NO_REDIS)).toBe(401);
  });

  it("is not shut out by what Redis still says of the old one", async ({ expect }) => {
    const { id, old, current } = await twoOfOneIdRenewed();
    await redis.run((pipe) => pipe.set(keys.session(id), nonceOf(old)));
    expect(await statusOf(current)).toBe(200);
  });

  it("is not ended by the old access token, even before Redis knows the session", async ({ expect }) => {
    const { id, old, current } = await twoOfOneIdRenewed();
    await redis.run((pipe) => pipe.del(keys.session(id)));
    bodyOf(await withToken(old.accessToken).post("/api/auth/logout"), 204);
    expect(await statusOf(old)).toBe(401);
    expect(await statusOf(current)).toBe(200);
    expect((await attempt(current.refreshToken)).status).toBe(200);
  });
});

describe("an access token that names a session's id and user, and another nonce", () => {
  it("is refused by the database", async ({ expect }) => {
    const { session } = await registerUser();
    const other = withToken(await forge(session, { nonce: "0".repeat(32) }), { settings: NO_REDIS });
    expect((await other.get("/api/users/me")).status).toBe(401);
    expect(await statusOf(session, NO_REDIS)).toBe(200);
  });
});

describe("an account whose id another account had before", () => {
  it("is not reached with an access token from before it was made", async ({ expect }) => {
    const { id, session } = await registerUser();
    const epoch = Number(claimsOf(session)["epoch"]);
    await waitUntil(async () => {
      const [first] = await redis.run<(string | null)[]>((pipe) =>
        pipe.hmget(keys.authOverride(id), "first"),
      );
      return first === String(epoch);
    });
    const [name, role] = await redis.run<(string | null)[]>((pipe) =>
      pipe.hmget(keys.authOverride(id), "username", "role"),
    );
    expect([name, role], "nothing of the other account is left").toEqual(["", ""]);
    const earlier = { epoch: epoch - 60, sid: sessionId(session) + 1_000_000_000 };
    expect((await withToken(await forge(session, earlier)).get("/api/users/me")).status).toBe(401);
    expect(await statusOf(session)).toBe(200);
  });
});

describe("a session from before sessions had a nonce", () => {
  it("is over: no token fits it, and its owner's list does not show it", async ({ expect }) => {
    const { client, session } = await registerUser();
    const other = await registerUser();
    const id = sessionId(other.session);
    await db
      .update(sessions)
      .set({ nonce: "", userId: session.user.id, epoch: Number(claimsOf(session)["epoch"]) })
      .where(eq(sessions.id, id));
    expect((await attempt(other.session.refreshToken)).status).toBe(401);
    const { body } = await client.get<{ items: { id: number }[] }>("/api/auth/sessions");
    expect(body.items.map((item) => item.id)).toEqual([sessionId(session)]);
  });
});
