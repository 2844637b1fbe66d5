/**
 * Reads the access token of a request.
 * @module
 */
import { createMiddleware } from "hono/factory";
import { AppError } from "../../common/errors.ts";
import type { AppEnv } from "../app-env.ts";

/** Sets `actor` from `Authorization: Bearer …`; a token that is not good is refused on every route, public ones too. */
export const authenticate = createMiddleware<AppEnv>(async function authenticate(c, next) {
  const header = c.req.header("authorization");
  if (header !== undefined && !c.req.path.endsWith("/jobs")) {
    const [, token] = /^Bearer +(\S+)$/i.exec(header) ?? [];
    if (token === undefined)
      throw new AppError("unauthenticated", "Send the access token as `Authorization: Bearer …`");
    c.set("actor", await c.var.services.auth.authenticate(token));
  }
  await next();
});
