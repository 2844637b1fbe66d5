/**
 * The kinds of route: who may call, and how the call is counted.
 * @module
 */
import type { MiddlewareHandler } from "hono";
import type { PolicyName } from "../cache/limiter.ts";
import type { AppEnv, SignedInEnv } from "./app-env.ts";
import { admitRead, admitWrite, holdLists, holdPost, requireUser } from "./middleware/admission.ts";

// Mutable tuples: createRoute() takes no readonly ones, and reads the type of `c.var.actor` from their members.

/** Everybody may read. */
export const publicRead: [MiddlewareHandler<AppEnv>] = [admitRead()];
/** Signed-in users may read. */
export const userRead: [MiddlewareHandler<AppEnv>, MiddlewareHandler<SignedInEnv>] = [
  admitRead(),
  requireUser,
];
/** Signed-in users may write. */
export const userWrite = userWriteAs("write");

/** Signed-in users may write to the post `{id}`, which is kept out of the cache meanwhile. */
export const userWriteOnPost: [
  MiddlewareHandler<AppEnv>,
  MiddlewareHandler<AppEnv>,
  MiddlewareHandler<SignedInEnv>,
] = [holdPost(), admitWrite(), requireUser];

/** Signed-in users may write a post to the board that the body names; lists that it will be in are kept out of the cache meanwhile. */
export const userWriteOnLists: [
  MiddlewareHandler<AppEnv>,
  MiddlewareHandler<AppEnv>,
  MiddlewareHandler<SignedInEnv>,
] = [holdLists(), admitWrite(), requireUser];

/** Signed-in users may write, counted under another policy. */
export function userWriteAs(policy: PolicyName): [MiddlewareHandler<AppEnv>, MiddlewareHandler<SignedInEnv>] {
  return [admitWrite(policy), requireUser];
}
