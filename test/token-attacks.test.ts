/** Tokens that somebody made, moved or replayed: what tokens.test.ts and refresh.test.ts do not try. */
import { describe, it } from "vitest";
import { hmacBase64Url } from "../src/common/crypto.ts";
import { anonymous, type Page, type Problem, type Session, signedIn, withToken } from "./support/client.ts";
import { type Account, bodyOf, login, registerUser } from "./support/factories.ts";
import { send, signature } from "./support/jobs.ts";
import { enter, upgrade } from "./support/sockets.ts";
import { claimsOf, currentKey } from "./support/tokens.ts";

const base64Url = (text: string) =>
  new TextEncoder().encode(text).toBase64({ alphabet: "base64url", omitPadding: true });

/** A token of any header and payload with an HMAC-SHA-256 behind it; text is taken as it is. */
async function sign(header: unknown, payload: unknown, secret = currentKey.secret): Promise<string> {
  const parts = [header, payload].map((part) =>
    base64Url(typeof part === "string" ? part : JSON.stringify(part)),
  );
  const input = parts.join(".");
  return `${input}.${await hmacBase64Url(secret, input)}`;
}

const { kid } = currentKey;
const good = { alg: "HS256", typ: "JWT", kid };
const FOREIGN = "a secret that the Worker was not given";
/** An HMAC key is filled up with zeros: this one is the empty key. */
const EMPTY = "\0";

const withHeader = (header: unknown, secret?: string) => (session: Session) =>
  sign(header, claimsOf(session), secret);
const withPayload = (payload: (claims: Record<string, unknown>) => unknown) => (session: Session) =>
  sign(good, payload(claimsOf(session)));

const forgeries: Record<string, (session: Session) => Promise<string>> = {
  "RS256 over the HMAC's key": withHeader({ ...good, alg: "RS256" }),
  "ES256 over the HMAC's key": withHeader({ ...good, alg: "ES256" }),
  "HS384 with the MAC of HS256": withHeader({ ...good, alg: "HS384" }),
  "an algorithm in small letters": withHeader({ ...good, alg: "hs256" }),
  "an algorithm in a list": withHeader({ ...good, alg: ["HS256"] }),
  "no algorithm": withHeader({ typ: "JWT", kid }),
  "two algorithms, the last one none": withHeader(`{"alg":"HS256","kid":"${kid}","alg":"none"}`),
  "the empty key": withHeader(good, EMPTY),
  "the kid of a file that is empty": withHeader({ ...good, kid: "../../../../dev/null" }, EMPTY),
  "SQL as kid": withHeader({ ...good, kid: "' union select 'x' -- " }, "x"),
  "__proto__ as kid": withHeader({ ...good, kid: "__proto__" }, EMPTY),
  "constructor as kid": withHeader({ ...good, kid: "constructor" }, EMPTY),
  "a list as kid": withHeader({ ...good, kid: [kid] }),
  "an object as kid": withHeader({ ...good, kid: { toString: kid } }),
  "a number as kid": withHeader({ ...good, kid: 0 }),
  "null as kid": withHeader({ ...good, kid: null }),
  "white space around the kid": withHeader({ ...good, kid: ` ${kid}` }),
  "the kid in capitals and a foreign key": withHeader({ ...good, kid: kid.toUpperCase() }, FOREIGN),
  "a key of its own in the header": withHeader(
    { ...good, jwk: { kty: "oct", k: base64Url(FOREIGN) } },
    FOREIGN,
  ),
  "the address of a key in the header": withHeader(
    { ...good, jku: "https://evil.example/jwks.json", x5u: "https://evil.example/x" },
    FOREIGN,
  ),
  "a critical extension": withHeader({ ...good, crit: ["x"], x: 1 }),
  "a payload that is not encoded": withHeader({ ...good, crit: ["b64"], b64: false }),
  "a header that is a list": withHeader("[]"),
  "a header that is no JSON": withHeader("{"),
  "claims in a list": withPayload((claims) => [claims]),
  "claims that are null": withPayload(() => "null"),
  "claims that are no JSON": withPayload(() => "{"),
  "claims behind __proto__": withPayload((claims) => `{"__proto__":${JSON.stringify(claims)}}`),
  "an end in text": withPayload((claims) => ({ ...claims, exp: String(claims["exp"]) })),
  "an end that is no number": withPayload((claims) => ({ ...claims, exp: null })),
  "a session in a list": withPayload((claims) => ({ ...claims, sid: [claims["sid"]] })),
  "a subject in a list": withPayload((claims) => ({ ...claims, sub: [claims["sub"]] })),
  "a subject with SQL": withPayload((claims) => ({ ...claims, sub: `${String(claims["sub"])} or 1=1` })),
  "a role in a list": withPayload((claims) => ({ ...claims, role: ["admin"] })),
  "the parts in another order": async (session) => session.accessToken.split(".").toReversed().join("."),
  "five parts, as if encrypted": async (session) => `${session.accessToken}.x.y`,
};

describe("at REST, at rooms and in a socket alike, a token is refused with", () => {
  it.for(Object.entries(forgeries))("%s", async ([, make], { expect }) => {
    const { id, session } = await registerUser();
    const token = await make(session);
    const { status, body } = await withToken(token).get("/api/users/me");
    expect([status, body.code]).toEqual([401, "unauthenticated"]);
    const poll = await withToken(token).get(`/api/rooms/user:${id}/events?wait=0`);
    expect(poll.status).toBe(401);
    expect((await upgrade(`user:${id}`, { token })).status).toBe(401);
    const { socket } = await enter(`user:${id}`, session.accessToken);
    socket.send({ type: "auth", token });
    expect(await socket.next("error")).toEqual({ type: "error", code: "unauthenticated" });
    await socket.settle();
    socket.close();
  });

  it("nothing wrong with it, it is taken: it is the forgeries that are refused", async ({ expect }) => {
    const { id, session } = await registerUser();
    const token = await sign(good, claimsOf(session));
    expect((await withToken(token).get<Session["user"]>("/api/users/me")).body.id).toBe(id);
  });
});

describe("a token of one kind is not taken as another", () => {
  /** A user with a cursor of a list of one's own. */
  async function holder(): Promise<{ account: Account; cursor: string }> {
    const account = await registerUser();
    await login(account);
    const { body } = await account.client.get<Page<unknown>>("/api/auth/sessions?limit=1");
    return { account, cursor: body.nextCursor ?? "" };
  }

  it("as an access token: refresh tokens, cursors, signatures of QStash", async ({ expect }) => {
    const { account, cursor } = await holder();
    for (const token of [account.session.refreshToken, cursor, await signature("{}")]) {
      expect((await withToken(token).get("/api/users/me")).status).toBe(401);
    }
  });

  it("as a refresh token: access tokens, cursors, signatures of QStash", async ({ expect }) => {
    const { account, cursor } = await holder();
    expect((await anonymous().post("/api/auth/refresh", { refreshToken: cursor })).status).toBe(401);
    for (const token of [account.session.accessToken, cursor, await signature("{}")]) {
      const cookie = `liveforum_refresh=${token}`;
      expect((await anonymous().post("/api/auth/refresh", undefined, { cookie })).status).toBe(401);
    }
  });

  it("as a cursor: access tokens, refresh tokens, cursors of other lists", async ({ expect }) => {
    const { account, cursor } = await holder();
    for (const token of [account.session.accessToken, account.session.refreshToken, cursor]) {
      const { status, body } = await account.client.get(`/api/posts?cursor=${token}`);
      expect([status, body.code]).toEqual([400, "invalid_cursor"]);
    }
  });

  it("as a signature of QStash: access tokens, refresh tokens", async ({ expect }) => {
    const { session } = await registerUser();
    for (const token of [session.accessToken, session.refreshToken]) {
      expect((await send('{"job":"x","payload":{}}', token)).status).toBe(401);
    }
  });
});

describe("an access token is not read from", () => {
  const places: Record<string, (token: string) => { query?: string; headers?: Record<string, string> }> = {
    "the query": (token) => ({ query: `token=${token}&access_token=${token}&bearer=${token}` }),
    "a whole header in the query": (token) => ({ query: `authorization=Bearer%20${token}` }),
    "a cookie": (token) => ({ headers: { cookie: `access_token=${token}; liveforum_refresh=${token}` } }),
    "other headers": (token) => ({
      headers: { "x-access-token": token, "proxy-authorization": `Bearer ${token}` },
    }),
    "a subprotocol without the house's own": (token) => ({
      headers: { "sec-websocket-protocol": `bearer.${token}` },
    }),
  };
  it.for(Object.entries(places))("%s", async ([, place], { expect }) => {
    const { id, session } = await registerUser();
    const { query = "", headers = {} } = place(session.accessToken);
    expect((await anonymous().get(`/api/users/me?${query}`, headers)).status).toBe(401);
    expect((await anonymous().get(`/api/rooms/user:${id}/events?wait=0&${query}`, headers)).status).toBe(401);
    expect((await upgrade(`user:${id}?${query}`, { headers })).status).toBe(401);
  });
});

const refresh = (refreshToken: string, settings?: Record<string, string>) =>
  anonymous(settings ? { settings } : {}).post<Session & Problem>("/api/auth/refresh", { refreshToken });

describe("20 tabs that refresh", () => {
  const tabs = (session: Session) => Array.from({ length: 20 }, () => refresh(session.refreshToken));

  const endings: Record<string, (account: Account) => Promise<{ status: number }>> = {
    "log-out": ({ client }) => client.post("/api/auth/logout"),
    "log-out-all": ({ client }) => client.post("/api/auth/logout-all"),
    "a new password in another session": async (account) =>
      signedIn(await login(account)).post("/api/auth/password", {
        currentPassword: account.password,
        newPassword: "another password",
      }),
    "the erasure of the account": ({ client }) => client.delete("/api/users/me"),
  };
  it.for(Object.entries(endings))(
    "while %s ends the session come out with nothing that works",
    async ([, end], { expect }) => {
      const account = await registerUser();
      const [ended, ...answers] = await Promise.all([end(account), ...tabs(account.session)]);
      expect(ended.status).toBe(204);
      for (const { status, body } of answers) {
        expect([200, 401]).toContain(status);
        if (status !== 200) continue;
        expect((await signedIn(body).get("/api/users/me")).status).toBe(401);
        expect((await refresh(body.refreshToken)).status).toBe(401);
      }
      expect((await refresh(account.session.refreshToken)).status).toBe(401);
    },
  );

  it("while keys are rotated all get the same token, and it works under either order", async ({ expect }) => {
    const { session } = await registerUser();
    const next = { kid: "k2", secret: "fedcba9876543210fedcba9876543210" };
    const orders = [
      [currentKey, next],
      [next, currentKey],
    ].map((keys) => ({ JWT_KEYS: keys.map((key) => `${key.kid}:${key.secret}`).join(",") }));
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, tab) => refresh(session.refreshToken, orders[tab % 2])),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array<number>(20).fill(200));
    const [token = "", ...others] = new Set(answers.map(({ body }) => body.refreshToken));
    expect(others).toEqual([]);
    expect((await refresh(token, orders[0])).status).toBe(200);
  });
});

describe("the cookie of one user beside the token of another", () => {
  const cookieOf = (session: Session) => ({ cookie: `liveforum_refresh=${session.refreshToken}` });
  const works = async (session: Session) => [
    (await signedIn(session).get("/api/users/me")).status,
    (await refresh(session.refreshToken)).status,
  ];

  it("renews the cookie's session: the access token has no say in it", async ({ expect }) => {
    const [mine, theirs] = [await registerUser(), await registerUser()];
    const { body } = await mine.client.post<Session>(
      "/api/auth/refresh",
      undefined,
      cookieOf(theirs.session),
    );
    expect(body.user.id).toBe(theirs.id);
    expect(await works(mine.session)).toEqual([200, 200]);
  });

  it.for(["logout", "logout-all"])("ends the token's session alone by %s", async (route, { expect }) => {
    const [mine, theirs] = [await registerUser(), await registerUser()];
    const { status } = await mine.client.post<string>(
      `/api/auth/${route}`,
      undefined,
      cookieOf(theirs.session),
    );
    expect(status).toBe(204);
    expect(await works(mine.session)).toEqual([401, 401]);
    expect(await works(theirs.session)).toEqual([200, 200]);
  });

  it("is not taken over by who signs in: that is a new session with a new cookie", async ({ expect }) => {
    const [mine, theirs] = [await registerUser(), await registerUser()];
    const { email, password } = mine;
    const { body, headers } = await anonymous().post<Session>(
      "/api/auth/login",
      { email, password },
      cookieOf(theirs.session),
    );
    expect(body.user.id).toBe(mine.id);
    expect(claimsOf(body)["sid"]).not.toBe(claimsOf(theirs.session)["sid"]);
    expect(headers.get("set-cookie")).toContain(body.refreshToken);
    expect(await works(theirs.session)).toEqual([200, 200]);
  });

  it("is refused where a second one stands beside it, as a neighbour host can set, in any order", async ({
    expect,
  }) => {
    const sessions = [(await registerUser()).session, (await registerUser()).session];
    for (const [first, second] of [sessions, sessions.toReversed()]) {
      const cookie = `liveforum_refresh=${first?.refreshToken}; liveforum_refresh=${second?.refreshToken}`;
      expect((await anonymous().post("/api/auth/refresh", undefined, { cookie })).status).toBe(401);
    }
    for (const session of sessions) expect(await works(session)).toEqual([200, 200]);
    const [twice] = sessions;
    const cookie = Array<string>(2).fill(`liveforum_refresh=${twice?.refreshToken}`).join(";");
    expect((await anonymous().post("/api/auth/refresh", undefined, { cookie })).status).toBe(200);
  });

  it.for([
    "liveforum_refresh",
    "liveforum_refresh=",
    "liveforum_refresh=%",
    "liveforum_refresh=%00",
    'liveforum_refresh="',
    "=liveforum_refresh",
    "; ; ;=;",
    "__proto__=x; constructor=y; liveforum_refresh=z",
    `liveforum_refresh=${"x".repeat(8_000)}`,
    `liveforum_refresh=lfr_1_${"0".repeat(32)}_1_${"\\".repeat(43)}`,
  ])("is refused when it is %j", async (cookie, { expect }) => {
    const { status, body } = await anonymous().post("/api/auth/refresh", undefined, { cookie });
    expect([status, body.code]).toEqual([401, "unauthenticated"]);
  });
});

describe("a page of another site", () => {
  /** What browsers say of it; each also without the half that older ones do not send. */
  const origins: Record<string, string>[] = [
    { origin: "https://evil.example", "sec-fetch-site": "cross-site" },
    { origin: "https://evil.example" },
    { origin: "null", "sec-fetch-site": "cross-site" },
    { origin: "https://neighbour.example.workers.dev", "sec-fetch-site": "same-site" },
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site" },
  ];
  /** Bodies that a browser sends without asking first. */
  const bodies: { headers: Record<string, string>; body?: string }[] = [
    { headers: {} },
    { headers: { "content-type": "text/plain" }, body: '{"refreshToken":""}' },
    { headers: { "content-type": "application/x-www-form-urlencoded" }, body: "refreshToken=" },
    { headers: { "content-type": "application/json" }, body: "{}" },
  ];

  it.for(origins)("(%o) can neither renew nor end a session with its cookie", async (origin, { expect }) => {
    const { session } = await registerUser();
    const cookie = `liveforum_refresh=${session.refreshToken}`;
    for (const path of ["/api/auth/refresh", "/api/auth/logout", "/api/auth/logout-all"]) {
      for (const { headers, ...rest } of bodies) {
        const answer = await anonymous().request("POST", path, {
          headers: { cookie, ...origin, ...headers },
          ...rest,
        });
        expect([401, 403, 415]).toContain(answer.status);
        expect(answer.headers.get("set-cookie")).toBeNull();
        expect(answer.headers.get("access-control-allow-origin")).toBeNull();
      }
      const { status } = await anonymous().get(path, { cookie, ...origin });
      expect(status).toBe(405);
    }
    expect((await signedIn(session).get("/api/users/me")).status).toBe(200);
    // Of the first generation still: nothing had renewed it.
    expect(bodyOf(await refresh(session.refreshToken), 200).refreshToken).toMatch(/^lfr_\d+_\w{32}_2_/);
  });
});
