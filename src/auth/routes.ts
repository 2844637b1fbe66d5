/**
 * `/api/auth`: sign-up, sign-in, refresh, sessions.
 * @module
 */
import { createRoute, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { AppError } from "../common/errors.ts";
import type { AppEnv } from "../http/app-env.ts";
import { admitSession, admitSignIn } from "../http/middleware/admission.ts";
import {
  bearerAuth,
  idSchema,
  jsonBody,
  jsonResponse,
  newRouter,
  noContent,
  pageQuerySchema,
  pageSchema,
  problems,
} from "../http/openapi.ts";
import { userRead, userWrite, userWriteAs } from "../http/routes.ts";
import { deviceLabel } from "./device-label.ts";
import {
  changePasswordSchema,
  loginSchema,
  refreshSchema,
  registerSchema,
  sessionInfoSchema,
  sessionSchema,
  toSession,
  toSessionInfo,
} from "./schema.ts";
import { type IssuedSession, SESSION_DAYS } from "./service.ts";

const tags = ["Accounts"];
const COOKIE = "liveforum_refresh";
const COOKIE_PATH = "/api/auth";

const register = createRoute({
  method: "post",
  path: "/register",
  tags,
  summary: "Create an account and sign in",
  middleware: [admitSession("sign-up")] as const,
  request: { body: jsonBody(registerSchema) },
  responses: { 201: jsonResponse(sessionSchema, "The session"), ...problems(400, 409, 413, 415, 422) },
});

const login = createRoute({
  method: "post",
  path: "/login",
  tags,
  summary: "Sign in",
  middleware: [admitSignIn()] as const,
  request: { body: jsonBody(loginSchema) },
  responses: { 200: jsonResponse(sessionSchema, "The session"), ...problems(400, 413, 415, 422) },
});

const refresh = createRoute({
  method: "post",
  path: "/refresh",
  tags,
  summary: "Renew a session",
  description:
    "Answers a new access token and a new refresh token. Tabs that refresh side by side get the same one; a replaced token works for 10 more seconds, after which its use ends the session.",
  middleware: [admitSession("refresh")] as const,
  request: { body: { required: false, content: { "application/json": { schema: refreshSchema } } } },
  responses: { 200: jsonResponse(sessionSchema, "The session"), ...problems(400, 403, 413, 415, 422) },
});

const logout = createRoute({
  method: "post",
  path: "/logout",
  tags,
  summary: "End this session",
  security: bearerAuth,
  middleware: userWrite,
  responses: { 204: noContent, ...problems(400, 413, 415) },
});

const logoutAll = createRoute({
  method: "post",
  path: "/logout-all",
  tags,
  summary: "End all sessions",
  security: bearerAuth,
  middleware: userWrite,
  responses: { 204: noContent, ...problems(400, 413, 415) },
});

const changePassword = createRoute({
  method: "post",
  path: "/password",
  tags,
  summary: "Change the password and end the other sessions",
  security: bearerAuth,
  middleware: userWriteAs("sign-in"),
  request: { body: jsonBody(changePasswordSchema) },
  responses: { 204: noContent, ...problems(400, 409, 413, 415, 422) },
});

const listSessions = createRoute({
  method: "get",
  path: "/sessions",
  tags,
  summary: "One's own sessions, newest first",
  security: bearerAuth,
  middleware: userRead,
  request: { query: pageQuerySchema },
  responses: {
    200: jsonResponse(pageSchema(sessionInfoSchema), "A page of sessions"),
    ...problems(400, 422),
  },
});

const endSession = createRoute({
  method: "delete",
  path: "/sessions/{id}",
  tags,
  summary: "End one of one's own sessions",
  security: bearerAuth,
  middleware: userWrite,
  request: { params: z.object({ id: idSchema }) },
  responses: { 204: noContent, ...problems(400, 404, 413, 415, 422) },
});

export const authRoutes = newRouter()
  .openapi(register, async (c) => {
    const session = await c.var.services.auth.register(c.req.valid("json"), deviceOf(c));
    return c.json(answerSession(c, session), 201);
  })
  .openapi(login, async (c) => {
    return c.json(answerSession(c, await c.var.services.auth.login(c.req.valid("json"), deviceOf(c))), 200);
  })
  .openapi(refresh, async (c) => {
    const fromBody = c.req.valid("json")?.refreshToken;
    const token = fromBody ?? refreshCookie(c);
    if (token === undefined) throw new AppError("unauthenticated", "Send the refresh token");
    if (fromBody === undefined) refuseCrossSite(c);
    return c.json(answerSession(c, await c.var.services.auth.refresh(token, deviceOf(c))), 200);
  })
  .openapi(logout, async (c) => {
    await c.var.services.auth.logout(c.var.actor);
    deleteCookie(c, COOKIE, { path: COOKIE_PATH });
    return c.body(null, 204);
  })
  .openapi(logoutAll, async (c) => {
    await c.var.services.auth.logoutAll(c.var.actor);
    deleteCookie(c, COOKIE, { path: COOKIE_PATH });
    return c.body(null, 204);
  })
  .openapi(changePassword, async (c) => {
    await c.var.services.auth.changePassword(c.var.actor, c.req.valid("json"));
    return c.body(null, 204);
  })
  .openapi(listSessions, async (c) => {
    const page = await c.var.services.auth.listSessions(c.var.actor, c.req.valid("query"));
    return c.json({ items: page.items.map(toSessionInfo), nextCursor: page.nextCursor }, 200);
  })
  .openapi(endSession, async (c) => {
    await c.var.services.auth.endSession(c.var.actor, c.req.valid("param").id);
    return c.body(null, 204);
  });

function deviceOf(c: Context): string {
  return deviceLabel(c.req.header("user-agent"));
}

/** The session for the body; its refresh token also goes into the cookie. */
function answerSession(c: Context<AppEnv>, session: IssuedSession) {
  setCookie(c, COOKIE, session.refreshToken, {
    path: COOKIE_PATH,
    httpOnly: true,
    sameSite: "Strict",
    secure: c.var.config.PUBLIC_URL.startsWith("https:"),
    maxAge: SESSION_DAYS * 86_400,
  });
  c.header("cache-control", "no-store");
  return toSession(session);
}

/**
 * The refresh token of the cookie. Where two differ, another host of the same domain has set one, and would sign the
 * user in as somebody else: nobody can tell which, so neither is taken.
 */
function refreshCookie(c: Context<AppEnv>): string | undefined {
  const pairs = (c.req.header("cookie") ?? "").split(";").map((pair) => pair.trim());
  const sent = new Set(pairs.filter((pair) => pair.startsWith(`${COOKIE}=`)));
  return sent.size > 1 ? undefined : getCookie(c, COOKIE);
}

/** A cookie is sent by the browser on its own: another site's page must not be able to use it. */
function refuseCrossSite(c: Context<AppEnv>): void {
  const origin = c.req.header("origin");
  const allowed = [
    new URL(c.var.config.PUBLIC_URL).origin,
    new URL(c.req.url).origin,
    ...c.var.config.CORS_ORIGINS,
  ];
  const crossSite = ["cross-site", "same-site"].includes(c.req.header("sec-fetch-site") ?? "");
  if ((origin !== undefined && !allowed.includes(origin)) || (crossSite && origin === undefined)) {
    throw new AppError("forbidden", "The refresh cookie is not accepted from another site");
  }
}
