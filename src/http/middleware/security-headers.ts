/**
 * Security headers: nothing may be loaded by what the API answers, except by the documentation pages, and no cache keeps
 * what does not say that it may be kept.
 * @module
 */
import type { MiddlewareHandler } from "hono";
import { createMiddleware } from "hono/factory";
import { secureHeaders } from "hono/secure-headers";
import type { AppEnv } from "../app-env.ts";

const shared = {
  referrerPolicy: "no-referrer",
  xFrameOptions: "DENY",
  strictTransportSecurity: "max-age=31536000; includeSubDomains",
} as const;

const api = secureHeaders({
  ...shared,
  contentSecurityPolicy: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
  crossOriginResourcePolicy: "cross-origin",
});

/** Swagger UI sets style attributes and shows inline images; scripts come from the Worker alone. */
const page = secureHeaders({
  ...shared,
  contentSecurityPolicy: {
    defaultSrc: ["'none'"],
    scriptSrc: ["'self'"],
    styleSrc: ["'self'", "'unsafe-inline'"],
    imgSrc: ["'self'", "data:"],
    connectSrc: ["'self'"],
    baseUri: ["'none'"],
    formAction: ["'self'"],
    frameAncestors: ["'none'"],
  },
  crossOriginResourcePolicy: "same-origin",
});

/** @param pagePaths those that answer HTML */
export function securityHeaders(...pagePaths: string[]): MiddlewareHandler<AppEnv> {
  return createMiddleware<AppEnv>(async function securityHeaders(c, next) {
    await (pagePaths.includes(c.req.path) ? page(c, next) : api(c, next));
    if (!c.res.webSocket && !c.res.headers.has("cache-control"))
      c.res.headers.set("cache-control", "no-store");
  });
}
