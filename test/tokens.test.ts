/** Access tokens: which are taken and which are refused. */
import { SignJWT } from "jose";
import { describe, it } from "vitest";
import { anonymous, ORIGIN, type Profile, type Session, signedIn, withToken } from "./support/client.ts";
import { registerUser } from "./support/factories.ts";
import { claimsOf, currentKey, expiredToken, forge } from "./support/tokens.ts";

const base64Url = (text: string) =>
  new TextEncoder().encode(text).toBase64({ alphabet: "base64url", omitPadding: true });

const tamper = (session: Session, claims: Record<string, unknown>) => {
  const [header, , signature] = session.accessToken.split(".");
  return `${header}.${base64Url(JSON.stringify({ ...claimsOf(session), ...claims }))}.${signature}`;
};

const seconds = () => Math.floor(Date.now() / 1000);

/** Makes a token from a genuine session. */
type Forgery = (session: Session) => string | Promise<string>;

const forgeries: Record<string, Forgery> = {
  "no signature (alg none)": (session) =>
    `${base64Url(JSON.stringify({ alg: "none", typ: "JWT", kid: currentKey.kid }))}.${session.accessToken.split(".")[1]}.`,
  "alg none and the old signature": (session) => {
    const [, payload, signature] = session.accessToken.split(".");
    return `${base64Url(JSON.stringify({ alg: "none", kid: currentKey.kid }))}.${payload}.${signature}`;
  },
  "another key under the right kid": (session) =>
    forge(session, {}, { kid: currentKey.kid, secret: "x".repeat(32) }),
  "an unknown kid": (session) => forge(session, {}, { kid: "k0", secret: currentKey.secret }),
  "no kid": (session) => forge(session, {}, { secret: currentKey.secret }),
  "another algorithm": (session) =>
    new SignJWT(claimsOf(session))
      .setProtectedHeader({ alg: "HS512", kid: currentKey.kid })
      .sign(new TextEncoder().encode(currentKey.secret)),
  "another issuer": (session) => forge(session, { iss: "https://evil.example" }),
  "no issuer": (session) => forge(session, { iss: undefined }),
  "another audience": (session) => forge(session, { aud: "elsewhere" }),
  "no audience": (session) => forge(session, { aud: undefined }),
  "no end": (session) => forge(session, { exp: undefined }),
  "no time of issue": (session) => forge(session, { iat: undefined }),
  "a beginning in the future": (session) => forge(session, { nbf: seconds() + 600 }),
  "no session": (session) => forge(session, { sid: undefined }),
  "no nonce": (session) => forge(session, { nonce: undefined }),
  "an empty nonce": (session) => forge(session, { nonce: "" }),
  "a session that is no id": (session) => forge(session, { sid: "1 or 1=1" }),
  "a subject that is no id": (session) => forge(session, { sub: "1e3" }),
  "another role than exists": (session) => forge(session, { role: "owner" }),
  "a claim changed": (session) => tamper(session, { role: "admin" }),
  "a signature cut short": (session) => session.accessToken.slice(0, -3),
  "a part missing": (session) => session.accessToken.split(".").slice(0, 2).join("."),
  "something behind it": (session) => `${session.accessToken}.x`,
  "a refresh token in its place": (session) => session.refreshToken,
  "nothing of the kind": () => "x",
};

describe("a token is refused with", () => {
  it.for(Object.entries(forgeries))("%s", async ([, make], { expect }) => {
    const { session } = await registerUser();
    const client = withToken(await make(session));
    for (const path of ["/api/users/me", "/api/boards"]) {
      const { status, body, headers } = await client.get(path);
      expect([status, body.code]).toEqual([401, "unauthenticated"]);
      expect(headers.get("www-authenticate")).toMatch(/^Bearer/);
    }
  });

  it("15 minutes behind it, under a code of its own", async ({ expect }) => {
    const { session } = await registerUser();
    const { status, body } = await withToken(await expiredToken(session)).get("/api/users/me");
    expect([status, body.code]).toEqual([401, "token_expired"]);
  });

  it.for(["", "Bearer", "Bearer ", "Basic bWluYTpwdw==", "Token x", "Bearer a b", "Bearera"])(
    "the header %j",
    async (authorization, { expect }) => {
      const { status, body } = await anonymous().get("/api/users/me", { authorization });
      expect([status, body.code]).toEqual([401, "unauthenticated"]);
    },
  );
});

describe("a token", () => {
  it("says who, which session, for whom and for how long, and nothing else", async ({ expect }) => {
    const { session, id, username } = await registerUser();
    const claims = claimsOf(session);
    expect(claims).toEqual({
      sub: String(id),
      sid: expect.any(Number) as number,
      nonce: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
      epoch: Math.floor(Date.parse(session.user.createdAt) / 1000),
      name: username,
      role: "user",
      iss: ORIGIN,
      aud: "liveforum",
      iat: expect.any(Number) as number,
      exp: Number(claims["iat"]) + 900,
    });
  });

  it("is taken with the scheme in any case", async ({ expect }) => {
    const { session } = await registerUser();
    const authorization = `bearer ${session.accessToken}`;
    expect((await anonymous().get("/api/users/me", { authorization })).status).toBe(200);
  });
});

describe("rotation of keys", () => {
  const next = { kid: "k2", secret: "fedcba9876543210fedcba9876543210" };
  const format = (keys: { kid: string; secret: string }[]) => ({
    JWT_KEYS: keys.map((key) => `${key.kid}:${key.secret}`).join(","),
  });

  it("lets tokens of the old key be while it is listed", async ({ expect }) => {
    const { session, id } = await registerUser();
    const client = signedIn(session, { settings: format([next, currentKey]) });
    expect((await client.get<Profile>("/api/users/me")).body.id).toBe(id);
  });

  it("signs with the first key and names it", async ({ expect }) => {
    const { email, password } = await registerUser();
    const client = anonymous({ settings: format([next, currentKey]) });
    const { body } = await client.post<Session>("/api/auth/login", { email, password });
    expect(atob(body.accessToken.split(".")[0] ?? "")).toContain('"kid":"k2"');
    expect((await signedIn(body, { settings: format([next]) }).get("/api/users/me")).status).toBe(200);
    expect((await signedIn(body).get("/api/users/me")).status).toBe(401);
  });

  it("refuses tokens of a key that is listed no more", async ({ expect }) => {
    const { session } = await registerUser();
    expect((await signedIn(session, { settings: format([next]) }).get("/api/users/me")).status).toBe(401);
  });
});
