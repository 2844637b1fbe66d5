/** Ending sessions and looking at them. */
import { describe, it } from "vitest";
import { anonymous, type Page, type Session, type SessionInfo, signedIn } from "./support/client.ts";
import { bodyOf, login, refresh, registerUser, unique } from "./support/factories.ts";
import { claimsOf } from "./support/tokens.ts";

const CHROME =
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";
const FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0";

const sessionId = (session: Session) => Number(claimsOf(session)["sid"]);

/** Whether its access token and its refresh token are taken. */
async function isAlive(session: Session): Promise<[access: boolean, refresh: boolean]> {
  const { refreshToken } = session;
  return [
    (await signedIn(session).get("/api/users/me")).status === 200,
    (await anonymous().post("/api/auth/refresh", { refreshToken })).status === 200,
  ];
}
const ALIVE = [true, true];
const ENDED = [false, false];

const list = (session: Session, query = "") =>
  signedIn(session).get<Page<SessionInfo>>(`/api/auth/sessions${query}`);

describe("GET /auth/sessions", () => {
  it("lists one's own live sessions, newest first, with device and the current one marked", async ({
    expect,
  }) => {
    const account = await registerUser({}, { userAgent: "curl/8.5.0" });
    const second = await login(account, { userAgent: CHROME });
    const third = await login(account, { userAgent: FIREFOX });
    const ended = await login(account);
    bodyOf(await signedIn(ended).post<string>("/api/auth/logout"), 204);
    await registerUser();
    const { body } = await list(second);
    expect(body.nextCursor).toBeNull();
    expect(body.items).toMatchObject([
      { id: sessionId(third), deviceLabel: "Firefox on Linux", current: false },
      { id: sessionId(second), deviceLabel: "Chrome on macOS", current: true },
      { id: sessionId(account.session), deviceLabel: "curl", current: false },
    ]);
    for (const item of body.items) {
      expect(Math.abs(Date.parse(item.createdAt) - Date.now())).toBeLessThan(60_000);
      expect(item.lastUsedAt >= item.createdAt).toBe(true);
    }
  });

  it("shows the use and the device of the last refresh", async ({ expect }) => {
    const { session } = await registerUser({}, { userAgent: "curl/8.5.0" });
    const { refreshToken } = session;
    bodyOf(await anonymous({ userAgent: FIREFOX }).post<Session>("/api/auth/refresh", { refreshToken }), 200);
    const [item] = (await list(session)).body.items;
    expect(item?.deviceLabel).toBe("Firefox on Linux");
    expect((item?.lastUsedAt ?? "") > (item?.createdAt ?? "")).toBe(true);
  });

  it("pages", async ({ expect }) => {
    const account = await registerUser();
    const sessions = [account.session];
    for (let count = 0; count < 4; count += 1) sessions.push(await login(account));
    const seen: number[] = [];
    let query = "?limit=2";
    for (let page = 0; page < 3; page += 1) {
      const { body } = await list(account.session, query);
      seen.push(...body.items.map((item) => item.id));
      query = `?limit=2&cursor=${body.nextCursor}`;
    }
    expect(seen).toEqual(sessions.map(sessionId).toReversed());
  });

  it("refuses a cursor that was given to somebody else", async ({ expect }) => {
    const account = await registerUser();
    await login(account);
    const { body } = await list(account.session, "?limit=1");
    const other = await registerUser();
    const answer = await other.client.get(`/api/auth/sessions?cursor=${body.nextCursor}`);
    expect([answer.status, answer.body.code]).toEqual([400, "invalid_cursor"]);
  });
});

describe("DELETE /auth/sessions/{id}", () => {
  it("ends that session at once and no other", async ({ expect }) => {
    const account = await registerUser();
    const other = await login(account);
    const { status, body } = await account.client.delete<string>(`/api/auth/sessions/${sessionId(other)}`);
    expect([status, body]).toEqual([204, ""]);
    expect(await isAlive(other)).toEqual(ENDED);
    expect(await isAlive(account.session)).toEqual(ALIVE);
  });

  it("may end the current one", async ({ expect }) => {
    const { client, session } = await registerUser();
    expect((await client.delete<string>(`/api/auth/sessions/${sessionId(session)}`)).status).toBe(204);
    expect(await isAlive(session)).toEqual(ENDED);
  });

  it("knows an ended session no more", async ({ expect }) => {
    const account = await registerUser();
    const other = await login(account);
    bodyOf(await account.client.delete<string>(`/api/auth/sessions/${sessionId(other)}`), 204);
    const { status, body } = await account.client.delete(`/api/auth/sessions/${sessionId(other)}`);
    expect([status, body.code]).toEqual([404, "not_found"]);
  });

  it("does not find somebody else's session, and leaves it alone", async ({ expect }) => {
    const { client } = await registerUser();
    const other = await registerUser();
    expect((await client.delete(`/api/auth/sessions/${sessionId(other.session)}`)).status).toBe(404);
    expect(await isAlive(other.session)).toEqual(ALIVE);
  });

  it.for(["0", "-1", "x", "1.5", "9007199254740993"])("refuses the id %s", async (id, { expect }) => {
    const { client } = await registerUser();
    const { status, body } = await client.delete(`/api/auth/sessions/${id}`);
    expect([status, body.code]).toEqual([422, "validation_failed"]);
    expect(body.errors?.[0]).toMatchObject({ path: "id" });
  });
});

describe("POST /auth/logout", () => {
  it("ends this session at once and no other, and takes the cookie away", async ({ expect }) => {
    const account = await registerUser();
    const other = await login(account);
    const { status, body, headers } = await account.client.post<string>("/api/auth/logout");
    expect([status, body]).toEqual([204, ""]);
    const cookie = headers.get("set-cookie") ?? "";
    expect(cookie).toContain("liveforum_refresh=;");
    expect(cookie).toContain("Path=/api/auth");
    expect(cookie).toContain("Max-Age=0");
    expect(await isAlive(account.session)).toEqual(ENDED);
    expect(await isAlive(other)).toEqual(ALIVE);
  });

  it("refuses older access tokens of the session too", async ({ expect }) => {
    const { session } = await registerUser();
    const next = await refresh(session.refreshToken);
    bodyOf(await signedIn(next).post<string>("/api/auth/logout"), 204);
    const { status, body } = await signedIn(session).get("/api/users/me");
    expect([status, body.code]).toEqual([401, "unauthenticated"]);
  });
});

describe("POST /auth/logout-all", () => {
  it("refuses all access and refresh tokens at once, and lets the user sign in again", async ({ expect }) => {
    const account = await registerUser();
    const others = [await login(account), await login(account)];
    const stranger = await registerUser();
    const { status, headers } = await account.client.post<string>("/api/auth/logout-all");
    expect(status).toBe(204);
    expect(headers.get("set-cookie")).toContain("liveforum_refresh=;");
    for (const session of [account.session, ...others]) expect(await isAlive(session)).toEqual(ENDED);
    expect(await isAlive(await login(account))).toEqual(ALIVE);
    expect(await isAlive(stranger.session)).toEqual(ALIVE);
  });

  it("may be done again and again", async ({ expect }) => {
    const account = await registerUser();
    for (let round = 0; round < 3; round += 1) {
      const session = await login(account);
      bodyOf(await signedIn(session).post<string>("/api/auth/logout-all"), 204);
      expect(await isAlive(session)).toEqual(ENDED);
    }
  });
});

describe("POST /auth/password", () => {
  it("changes the password, ends the other sessions at once and not this one", async ({ expect }) => {
    const account = await registerUser();
    const other = await login(account);
    const newPassword = unique("new ");
    const change = { currentPassword: account.password, newPassword };
    expect((await account.client.post<string>("/api/auth/password", change)).status).toBe(204);
    expect(await isAlive(other)).toEqual(ENDED);
    expect(await isAlive(account.session)).toEqual(ALIVE);
    const { email, password } = account;
    expect((await anonymous().post("/api/auth/login", { email, password })).status).toBe(401);
    expect(await isAlive(await login({ ...account, password: newPassword }))).toEqual(ALIVE);
  });

  it("keeps the session alive over a second change, and logout-all still ends it", async ({ expect }) => {
    const account = await registerUser();
    let currentPassword = account.password;
    for (let round = 0; round < 2; round += 1) {
      const newPassword = unique("new ");
      bodyOf(await account.client.post<string>("/api/auth/password", { currentPassword, newPassword }), 204);
      currentPassword = newPassword;
    }
    expect(await isAlive(account.session)).toEqual(ALIVE);
    bodyOf(await account.client.post<string>("/api/auth/logout-all"), 204);
    expect(await isAlive(account.session)).toEqual(ENDED);
  });

  it("refuses a wrong current password, and changes nothing", async ({ expect }) => {
    const account = await registerUser();
    const other = await login(account);
    const change = { currentPassword: "wrong password", newPassword: unique("new ") };
    const { status, body } = await account.client.post("/api/auth/password", change);
    expect([status, body.code]).toEqual([401, "invalid_credentials"]);
    expect(await isAlive(other)).toEqual(ALIVE);
    await login(account);
  });

  it("lets one of two simultaneous changes through", async ({ expect }) => {
    const account = await registerUser();
    const second = await login(account);
    const answers = await Promise.all(
      [account.session, second].map((session) =>
        signedIn(session).post("/api/auth/password", {
          currentPassword: account.password,
          newPassword: unique("new "),
        }),
      ),
    );
    const statuses = answers.map((answer) => answer.status).sort((a, b) => a - b);
    expect(statuses[0]).toBe(204);
    expect([401, 409]).toContain(statuses[1]);
  });

  it.for([
    { name: "7 bytes", newPassword: "1234567" },
    { name: "73 bytes", newPassword: `x${"가".repeat(24)}` },
    { name: "nothing", newPassword: undefined },
  ])("refuses a new password of $name", async ({ newPassword }, { expect }) => {
    const account = await registerUser();
    const change = { currentPassword: account.password, newPassword };
    const { status, body } = await account.client.post("/api/auth/password", change);
    expect(status).toBe(422);
    expect(body.errors).toMatchObject([{ path: "newPassword" }]);
  });

  it("takes a new password of 72 bytes, and refuses a current one that only begins like it", async ({
    expect,
  }) => {
    const account = await registerUser();
    const newPassword = "가".repeat(24);
    bodyOf(
      await account.client.post<string>("/api/auth/password", {
        currentPassword: account.password,
        newPassword,
      }),
      204,
    );
    const change = { currentPassword: `${newPassword}x`, newPassword: unique("new ") };
    const { status } = await account.client.post("/api/auth/password", change);
    expect([401, 422]).toContain(status);
  });
});
