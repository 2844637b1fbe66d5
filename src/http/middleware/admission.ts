/**
 * Admission: limits and the session check, one pipeline to Redis. A write waits for it; a read goes on meanwhile
 * and is refused before it is answered, so that a hot read is one round trip.
 * @module
 */
import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import type { LimitResult, PolicyName } from "../../cache/limiter.ts";
import { dailyPseudonym } from "../../common/crypto.ts";
import { AppError } from "../../common/errors.ts";
import { normaliseEmail } from "../../common/text.ts";
import type { AppEnv, SignedInEnv } from "../app-env.ts";

/** Counts a request that makes or renews a session, by its network; whatever token comes along is ignored. */
export function admitSession(policy: PolicyName) {
  return createMiddleware<AppEnv>(async function admitSession(c, next) {
    c.set("actor", null);
    c.set("badToken", null);
    await admitWrite(policy)(c, next);
  });
}

/** Counts a write, and refuses it before anything else happens. */
export function admitWrite(policy: PolicyName = "write") {
  return createMiddleware<AppEnv>(async function admitWrite(c, next) {
    const admission = admit(c, policy, await whoAsks(c));
    c.var.services.redis.flush();
    await admission;
    // In the same pipeline, but for the one time that Redis does not know its script.
    await c.var.hold?.held;
    await next();
    setLimitHeaders(c);
  });
}

/** Counts a read beside the work for it. */
export function admitRead() {
  return createMiddleware<AppEnv>(async function admitRead(c, next) {
    const admission = admit(c, "read", await whoAsks(c));
    c.set("admission", admission);
    // Handled below; without this a refusal during `next()` would count as unhandled.
    admission.catch(() => undefined);
    await next();
    try {
      await admission;
    } catch (error) {
      // What the handler said of its answer must not stand on the refusal.
      for (const name of ["cache-control", "etag", "location"]) c.res.headers.delete(name);
      throw error;
    }
    setLimitHeaders(c);
  });
}

/**
 * Takes the post `{id}` out of the cache before a signed-in user writes to it, in the pipeline that admits the write.
 * Whoever handles the request releases it; after a refusal it is released here, after a failure it runs out.
 */
export function holdPost() {
  return createMiddleware<AppEnv>(async function holdPost(c, next) {
    const { actor, services } = c.var;
    const id = Number(c.req.param("id"));
    if (actor && isId(id)) c.set("hold", services.posts.hold(id));
    await next();
    releaseAfterRefusal(c);
  });
}

/** The same for lists that will have a signed-in user's new post, on the board that the body names. */
export function holdLists() {
  return createMiddleware<AppEnv>(async function holdLists(c, next) {
    const { actor, services } = c.var;
    if (actor) {
      const boardId = await bodyField(c, "boardId");
      if (isId(boardId)) c.set("hold", services.posts.holdLists({ boardId, authorId: actor.id }));
    }
    await next();
    releaseAfterRefusal(c);
  });
}

function isId(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) > 0;
}

/**
 * Nothing was written, so what is cached is still true. After a failure that is not known: the statement may have happened and
 * its answer be lost. Then the hold runs out by itself, and what was cached before is not trusted again.
 */
function releaseAfterRefusal(c: Context<AppEnv>): void {
  const { hold, services } = c.var;
  const { status } = c.res;
  if (hold && status >= 400 && status < 500)
    services.background("release what was held", () => hold.release(0));
}

/** Refuses anonymous requests and makes `c.var.actor` a user. */
export const requireUser = createMiddleware<SignedInEnv>(async function requireUser(c, next) {
  if ((c.var.actor as unknown) === null)
    throw new AppError("unauthenticated", "Send an access token as a bearer token");
  await next();
});

/** Counts a sign-in by its network and by the account it names, both in one pipeline. */
export function admitSignIn() {
  return createMiddleware<AppEnv>(async function admitSignIn(c, next) {
    const { limiter, redis } = c.var.services;
    const [network, account] = await Promise.all([
      pseudonym(c, "network", clientNetwork(c)),
      pseudonym(c, "account", await namedAccount(c)),
    ]);
    const checks = Promise.all([
      limiter.check("sign-in", network),
      limiter.check("sign-in-account", account),
    ]);
    redis.flush();
    for (const limit of await checks) applyLimit(c, limit);
    await next();
    setLimitHeaders(c);
  });
}

/**
 * Counts a request that is about to be refused, by its network: for a route whose proper requests no limit may refuse. One call
 * to Redis.
 * @returns the headers of the limit, for the refusal
 * @throws AppError `rate_limited`
 */
export async function countRefusal(c: Context<AppEnv>, policy: PolicyName): Promise<Record<string, string>> {
  const { limiter, redis } = c.var.services;
  const check = limiter.check(policy, await pseudonym(c, "network", clientNetwork(c)));
  redis.flush();
  applyLimit(c, await check);
  return limitHeaders(c.var.limits);
}

/** The email address in a body that is not validated yet; empty when there is none. */
async function namedAccount(c: Context<AppEnv>): Promise<string> {
  const email = await bodyField(c, "email");
  return typeof email === "string" ? normaliseEmail(email) : "";
}

/** A field of a body that is not validated yet. */
async function bodyField(c: Context<AppEnv>, name: string): Promise<unknown> {
  try {
    const body: unknown = await c.req.json();
    return typeof body === "object" && body !== null ? Reflect.get(body, name) : undefined;
  } catch {
    return undefined;
  }
}

/** Who is counted: a user, else a network. For a user no more than a turn of the microtasks, so that a hold shares the pipeline. */
async function whoAsks(c: Context<AppEnv>): Promise<string> {
  const { actor } = c.var;
  return actor ? `user:${actor.id}` : pseudonym(c, "network", clientNetwork(c));
}

/** An address or account as Redis may know it. Counts begin anew at midnight (UTC), with the day's pseudonyms. */
async function pseudonym(c: Context<AppEnv>, kind: "network" | "account", value: string): Promise<string> {
  const secret = c.var.config.JWT_KEYS[0]?.secret ?? "";
  return `${kind}:${await dailyPseudonym(secret, new Date(), [kind, value])}`;
}

async function admit(c: Context<AppEnv>, policy: PolicyName, identifier: string): Promise<void> {
  const { services, actor } = c.var;
  const [limit] = await Promise.all([
    services.limiter.check(policy, identifier),
    actor ? services.auth.refreshActor(actor) : undefined,
  ]);
  applyLimit(c, limit);
  // After the count, so that guessing tokens is limited like everything else.
  if (c.var.badToken) throw c.var.badToken;
}

/** Remembers a limit for the response headers. @throws AppError `rate_limited` */
function applyLimit(c: Context<AppEnv>, limit: LimitResult | null): void {
  if (!limit) return;
  c.var.limits.push(limit);
  if (limit.allowed) return;
  throw new AppError(
    "rate_limited",
    `The limit "${limit.policy}" allows ${limit.quota} requests in ${limit.windowSeconds} s`,
    {
      headers: { "retry-after": String(limit.resetSeconds), ...limitHeaders(c.var.limits) },
    },
  );
}

/** Fields of draft-ietf-httpapi-ratelimit-headers: `RateLimit-Policy: "read";q=600;w=60`, `RateLimit: "read";r=599;t=42`. */
function limitHeaders(limits: LimitResult[]): Record<string, string> {
  if (limits.length === 0) return {};
  return {
    "ratelimit-policy": limits
      .map((limit) => `"${limit.policy}";q=${limit.quota};w=${limit.windowSeconds}`)
      .join(", "),
    ratelimit: limits
      .map((limit) => `"${limit.policy}";r=${limit.remaining};t=${limit.resetSeconds}`)
      .join(", "),
  };
}

function setLimitHeaders(c: Context<AppEnv>): void {
  for (const [name, value] of Object.entries(limitHeaders(c.var.limits))) c.res.headers.set(name, value);
}

/**
 * The network that a request comes from: the address that Cloudflare saw (it overwrites what a client sends), an
 * IPv6 address cut to its /64, because one customer has that many.
 */
export function clientNetwork(c: Context<AppEnv>): string {
  const address = c.req.header("cf-connecting-ip") ?? "unknown";
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.split("::");
  const groups = head.split(":").filter((group) => group !== "");
  const rest = (tail ?? "").split(":").filter((group) => group !== "");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - groups.length - rest.length);
  return [...groups, ...Array<string>(zeros).fill("0"), ...rest].slice(0, 4).join(":");
}
