/**
 * Types of Hono's context throughout the house.
 * @module
 */
import type { Actor } from "../auth/actor.ts";
import type { Hold } from "../cache/hold.ts";
import type { LimitResult } from "../cache/limiter.ts";
import type { AppError, FieldError } from "../common/errors.ts";
import type { Logger } from "../common/logger.ts";
import type { Meter } from "../common/meter.ts";
import type { Config } from "../env.ts";
import type { Services } from "../services.ts";

export type Variables = {
  requestId: string;
  log: Logger;
  meter: Meter;
  config: Config;
  services: Services;
  /** Null for an anonymous request. */
  actor: Actor | null;
  /** Why the access token that came with the request is no good; null without one or with a good one. */
  badToken: AppError | null;
  /** The limits that the request was counted against, for the response headers. */
  limits: LimitResult[];
  /** Settles when the request may be answered; rejects with the refusal. */
  admission: Promise<void> | undefined;
  /** Keeps what the request changes out of the cache; null where nothing does. */
  hold: Hold | null;
};

export type AppEnv = { Bindings: WorkerBindings; Variables: Variables };
/** The environment behind `requireUser`. */
export type SignedInEnv = {
  Bindings: WorkerBindings;
  Variables: Omit<Variables, "actor"> & { actor: Actor };
};

/** A problem document (RFC 9457) as it goes over the wire. */
export type ProblemDocument = {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  requestId: string;
  errors?: FieldError[];
};
