/**
 * Reads the access token of a request.
 * @module
 */
import { createMiddleware } from "hono/factory";
import { AppError } from "../../common/errors.ts";
import type { AppEnv } from "../app-env.ts";

/**
 * Sets `actor` from `Authorization: Bearer …`. A token that is not good is refused on admission, on public routes too, so
 * that clients learn of it; but not where a session is made or renewed, because clients send it along with everything.
 */
export const authenticate = createMiddleware<AppEnv>(async function authenticate(c, next) {
  const header = c.req.header("authorization");
  if (header !== undefined && !c.req.path.endsWith("/jobs")) {
    try {
      const [, token] = /^Bearer +(\S+)$/i.exec(header) ?? [];
      if (token === undefined)
        throw new AppError("unauthenticated", "Send it as `Authorization: Bearer <access token>`");
      c.set("actor", await c.var.services.auth.authenticate(token));
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      c.set("badToken", error);
    }
  }
  await next();
});
