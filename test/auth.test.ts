/** Sign-up and sign-in. */
import { env } from "cloudflare:workers";
import { eq } from "drizzle-orm";
import { describe, it, onTestFinished, vi } from "vitest";
import { users } from "../src/db/schema/users.ts";
import { anonymous, type Problem, type Session, signedIn } from "./support/client.ts";
import { db } from "./support/database.ts";
import { bodyOf, newAccount, registerUser, unique } from "./support/factories.ts";

/** Entries of Blowfish's S-boxes, of which bcrypt makes a fresh copy for each hash that it computes. */
const S_BOX_ENTRIES = 1024;

/** Counts the hashes that bcryptjs computes in this isolate from now on: what the work is, whatever the time it takes. */
function countBcryptHashes(): () => number {
  let hashes = 0;
  vi.stubGlobal(
    "Int32Array",
    new Proxy(Int32Array, {
      construct(target, args: [ArrayLike<number>]) {
        if (args[0].length === S_BOX_ENTRIES) hashes += 1;
        return new target(...args);
      },
    }),
  );
  onTestFinished(() => {
    vi.unstubAllGlobals();
  });
  return () => hashes;
}

const register = (body: unknown) => anonymous().post<Session & Problem>("/api/auth/register", body);
const login = (body: unknown) => anonymous().post<Session & Problem>("/api/auth/login", body);

const paths = (problem: Problem) => problem.errors?.map((error) => error.path);

describe("POST /auth/register", () => {
  it("makes an account that is signed in at once", async ({ expect }) => {
    const account = newAccount();
    const { status, body, headers } = await register(account);
    expect(status).toBe(201);
    expect(body.user).toMatchObject({ username: account.username, role: "user" });
    expect(Math.abs(Date.parse(body.user.createdAt) - Date.now())).toBeLessThan(60_000);
    expect(body.expiresIn).toBe(900);
    expect(headers.get("cache-control")).toBe("no-store");
    const me = await signedIn(body).get("/api/users/me");
    expect(me.body).toMatchObject({ id: body.user.id, email: account.email });
  });

  it("keeps the password as a bcrypt hash of the cost that is set", async ({ expect }) => {
    const { id, password } = await registerUser();
    const [row] = await db.select({ hash: users.passwordHash }).from(users).where(eq(users.id, id));
    expect(row?.hash).toMatch(/^\$2[aby]\$\d\d\$.{53}$/);
    expect(Number(row?.hash?.slice(4, 6))).toBe(Number(env.BCRYPT_COST));
    expect(row?.hash).not.toContain(password);
  });

  it("names the email address that is taken, whatever its case", async ({ expect }) => {
    const taken = await registerUser();
    const { status, body } = await register({ ...newAccount(), email: taken.email.toUpperCase() });
    expect(status).toBe(409);
    expect(body.code).toBe("conflict");
    expect(paths(body)).toEqual(["email"]);
  });

  it("names the username that is taken", async ({ expect }) => {
    const taken = await registerUser();
    const { status, body } = await register({ ...newAccount(), username: taken.username });
    expect(status).toBe(409);
    expect(paths(body)).toEqual(["username"]);
  });

  it("names both when both are taken", async ({ expect }) => {
    const { email, username, password } = await registerUser();
    const { status, body } = await register({ email, username, password });
    expect(status).toBe(409);
    expect(paths(body)).toEqual(["email", "username"]);
  });

  it("lets one of ten simultaneous sign-ups with one username through", async ({ expect }) => {
    const username = unique("race-");
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => register({ ...newAccount(), username })),
    );
    expect(answers.map((answer) => answer.status).sort((a, b) => a - b)).toEqual([
      201,
      ...Array<number>(9).fill(409),
    ]);
  });

  it.for([
    { rule: "ASCII", first: (tag: string) => `Mina${tag}`, second: (tag: string) => `mINA${tag}` },
    { rule: "Cyrillic", first: (tag: string) => `Дима${tag}`, second: (tag: string) => `ДИМА${tag}` },
    { rule: "a final sigma", first: (tag: string) => `${tag}ΟΔΟΣ`, second: (tag: string) => `${tag}οδος` },
    { rule: "İ and its small form", first: (tag: string) => `İ${tag}`, second: (tag: string) => `i̇${tag}` },
    { rule: "ß and SS", first: (tag: string) => `weiß${tag}`, second: (tag: string) => `WEISS${tag}` },
    {
      rule: "ß and its capital ẞ",
      first: (tag: string) => `weiß${tag}`,
      second: (tag: string) => `WEIẞ${tag}`,
    },
    {
      rule: "full-width letters",
      first: (tag: string) => `Ａｂｃ${tag}`,
      second: (tag: string) => `aBC${tag}`,
    },
    {
      rule: "composed and decomposed Hangul",
      first: (tag: string) => `한글${tag}`,
      second: (tag: string) => `한글${tag}`.normalize("NFD"),
    },
  ])("holds usernames unique regardless of case: $rule", async ({ first, second }, { expect }) => {
    const tag = unique("");
    await registerUser({ username: first(tag) });
    const { status, body } = await register({ ...newAccount(), username: second(tag) });
    expect(status).toBe(409);
    expect(paths(body)).toEqual(["username"]);
  });

  it("tells names apart that differ by an accent", async ({ expect }) => {
    const tag = unique("");
    await registerUser({ username: `resume${tag}` });
    const other = await registerUser({ username: `résumé${tag}` });
    expect(other.session.user.username).toBe(`résumé${tag}`);
  });

  it("returns a username byte for byte", async ({ expect }) => {
    const username = `닉네임-${unique("Ａ_")}`;
    const { session } = await registerUser({ username });
    expect(session.user.username).toBe(username);
  });

  const tag = () => unique("");
  it.for([
    { name: "3 Hangul syllables", username: () => "가나다" },
    { name: "30 characters", username: () => `${tag()}${"x".repeat(18)}` },
    { name: "30 characters outside the BMP", username: () => `${tag()}${"𐐷".repeat(18)}` },
    { name: "marks of an Indic script", username: () => `हिन्दी${tag()}` },
    { name: "digits, _ and -", username: () => `_-0${tag()}` },
  ])("takes a username of $name", async ({ username }, { expect }) => {
    const { status } = await register({ ...newAccount(), username: username() });
    // The three syllables may be taken already: what matters is that they are not refused as such.
    expect([201, 409]).toContain(status);
  });

  it.for([
    { name: "2 characters", username: "ab" },
    { name: "2 characters in 3 UTF-16 units", username: "a𐐷" },
    { name: "31 characters", username: "x".repeat(31) },
    { name: "a space", username: "mina kim" },
    { name: "an emoji", username: "mina🙂" },
    { name: "markup", username: "<b>mina</b>" },
    { name: "an address sign", username: "mina@x" },
    { name: "a zero-width space", username: "mina\u200Bkim" },
    { name: "a right-to-left override", username: "mina\u202Ekim" },
    { name: "a lone surrogate", username: "mina\uD800" },
    { name: "a line feed at the end", username: "mina\n" },
    { name: "nothing", username: "" },
    { name: "a number", username: 12345 },
  ])("refuses a username with $name", async ({ username }, { expect }) => {
    const { status, body } = await register({ ...newAccount(), username });
    expect(status).toBe(422);
    expect(body.code).toBe("validation_failed");
    expect(new Set(paths(body))).toEqual(new Set(["username"]));
  });

  it.for([
    { bytes: 8, password: "12345678" },
    { bytes: 72, password: "x".repeat(72) },
    { bytes: 72, password: "가".repeat(24) },
    { bytes: 72, password: "🙂".repeat(18) },
    { bytes: 9, password: "가나다" },
  ])("takes a password of $bytes bytes: $password", async ({ password }, { expect }) => {
    const account = newAccount();
    bodyOf(await register({ ...account, password }), 201);
    expect((await login({ email: account.email, password })).status).toBe(200);
  });

  it.for([
    { bytes: 7, password: "1234567" },
    { bytes: 6, password: "가나" },
    { bytes: 73, password: "x".repeat(73) },
    { bytes: 73, password: `x${"가".repeat(24)}` },
    { bytes: 76, password: "🙂".repeat(19) },
    { bytes: "a lone surrogate's", password: "12345678\uDC00" },
  ])("refuses a password of $bytes bytes", async ({ password }, { expect }) => {
    const { status, body } = await register({ ...newAccount(), password });
    expect(status).toBe(422);
    expect(new Set(paths(body))).toEqual(new Set(["password"]));
    expect(JSON.stringify(body)).not.toContain(password);
  });

  it.for([
    "",
    "mina",
    "mina@",
    "@example.com",
    "mina@example",
    "mi na@example.com",
    `${"x".repeat(250)}@e.com`,
  ])("refuses the email address %j", async (email, { expect }) => {
    const { status, body } = await register({ ...newAccount(), email });
    expect(status).toBe(422);
    expect(new Set(paths(body))).toEqual(new Set(["email"]));
  });

  it("names every field that is wrong, missing or unknown", async ({ expect }) => {
    const { status, body } = await register({ username: "x", role: "admin", email: unique("") });
    expect(status).toBe(422);
    expect(new Set(paths(body))).toEqual(new Set(["email", "username", "password", "role"]));
  });

  it("gives nobody a role", async ({ expect }) => {
    const { status, body } = await register({ ...newAccount(), role: "admin" });
    expect(status).toBe(422);
    expect(paths(body)).toEqual(["role"]);
  });
});

describe("POST /auth/login", () => {
  it("brings a hash of another cost up to date, so that its account takes no other time than none", async ({
    expect,
  }) => {
    const { id, email, password } = await registerUser();
    const client = anonymous({ settings: { BCRYPT_COST: String(Number(env.BCRYPT_COST) + 1) } });
    const signIn = async (password: string) => {
      const { status } = await client.post("/api/auth/login", { email, password });
      await client.settled();
      const [row] = await db.select({ hash: users.passwordHash }).from(users).where(eq(users.id, id));
      return { status, cost: Number(row?.hash?.slice(4, 6)) - Number(env.BCRYPT_COST) };
    };
    expect(await signIn("wrong password")).toEqual({ status: 401, cost: 0 });
    expect(await signIn(password)).toEqual({ status: 200, cost: 1 });
    expect(await signIn(password)).toEqual({ status: 200, cost: 1 });
    expect((await login({ email, password })).status).toBe(200);
  });

  it("starts a session", async ({ expect }) => {
    const account = await registerUser();
    const { status, body, headers } = await login({ email: account.email, password: account.password });
    expect(status).toBe(200);
    expect(body.user).toEqual(account.session.user);
    expect(body.refreshToken).not.toBe(account.session.refreshToken);
    expect(headers.get("cache-control")).toBe("no-store");
    expect((await signedIn(body).get("/api/users/me")).status).toBe(200);
  });

  it("takes the email address in any case", async ({ expect }) => {
    const { email, password } = await registerUser();
    expect((await login({ email: email.toUpperCase(), password })).status).toBe(200);
  });

  it("puts the refresh token into a cookie for /api/auth that scripts cannot read", async ({ expect }) => {
    const { email, password } = await registerUser();
    const { body, headers } = await login({ email, password });
    const cookie = headers.get("set-cookie") ?? "";
    expect(cookie).toContain(`=${body.refreshToken};`);
    for (const part of ["Path=/api/auth", "HttpOnly", "SameSite=Strict", `Max-Age=${30 * 86_400}`]) {
      expect(cookie).toContain(part);
    }
  });

  it("marks the cookie as secure where the Worker is reached by https", async ({ expect }) => {
    const { email, password } = await registerUser();
    const client = anonymous({ settings: { PUBLIC_URL: "https://liveforum.test" } });
    const { headers } = await client.post<Session>("/api/auth/login", { email, password });
    expect(headers.get("set-cookie")).toContain("Secure");
  });

  it("answers an unknown account exactly as a wrong password", async ({ expect }) => {
    const { email } = await registerUser();
    const wrong = await login({ email, password: "wrong password" });
    const unknown = await login({ email: `no-${email}`, password: "wrong password" });
    expect(wrong.status).toBe(401);
    expect(wrong.body.code).toBe("invalid_credentials");
    const strip = (problem: Problem) => ({ ...problem, requestId: "" });
    expect(strip(unknown.body)).toEqual(strip(wrong.body));
    const names = (headers: Headers) => [...headers.keys()].sort();
    expect(unknown.status).toBe(wrong.status);
    expect(names(unknown.headers)).toEqual(names(wrong.headers));
  });

  it("does the same bcrypt work for a wrong password, an unknown and an erased account", async ({
    expect,
  }) => {
    const account = await registerUser();
    const erased = await registerUser();
    bodyOf(await erased.client.delete<string>("/api/users/me"), 204);
    const client = anonymous({ settings: {} });
    const attempt = (email: string) => client.post("/api/auth/login", { email, password: "wrong password" });
    // The first unknown account of an isolate makes the hash that all later ones are compared with.
    await attempt(`first-${account.email}`);
    const hashes = countBcryptHashes();
    for (const [index, email] of [account.email, `no-${account.email}`, erased.email].entries()) {
      expect((await attempt(email)).status).toBe(401);
      expect(hashes()).toBe(index + 1);
    }
  });

  it("never cuts a password: what is over 72 bytes is not the password of its first 72", async ({
    expect,
  }) => {
    const password = unique("p").padEnd(72, "x");
    const { email } = await registerUser({ password });
    const { status } = await login({ email, password: `${password}y` });
    expect([401, 422]).toContain(status);
  });

  it("knows an account by its own address, not by one that a collation takes for it", async ({ expect }) => {
    const tag = unique("");
    const { password } = await registerUser({ email: `mina${tag}@example.com` });
    const { status } = await login({ email: `mína${tag}@example.com`, password });
    expect(status).toBe(401);
  });

  it("says nothing about the form of a password that is only compared", async ({ expect }) => {
    const { email } = await registerUser();
    const { status, body } = await login({ email, password: "x" });
    expect(status).toBe(401);
    expect(body.code).toBe("invalid_credentials");
  });

  it.for([
    { name: "no password", body: { email: "a@example.com" }, path: "password" },
    { name: "no email", body: { password: "12345678" }, path: "email" },
    { name: "an unknown field", body: { email: "a@example.com", password: "12345678", otp: 1 }, path: "otp" },
    { name: "an object as email", body: { email: { $ne: "" }, password: "12345678" }, path: "email" },
  ])("refuses a body with $name", async ({ body, path }, { expect }) => {
    const answer = await login(body);
    expect(answer.status).toBe(422);
    expect(paths(answer.body)).toEqual([path]);
  });
});
