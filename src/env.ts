/**
 * Settings: the Worker's variables and secrets, parsed once per isolate into a `Config`.
 * @module
 */
import { z } from "zod";
import type { LogFields } from "./common/logger.ts";

const JWT_SECRET_MIN_CHARACTERS = 32;

const url = z.url({ protocol: /^https?$/ }).transform((value) => value.replace(/\/+$/, ""));

/** `kid:secret[,kid:secret]`: the first key signs, all verify. */
const jwtKeys = z.string().transform((value, context) => {
  const keys = value.split(",").map((entry) => {
    const at = entry.indexOf(":");
    return { kid: entry.slice(0, at).trim(), secret: entry.slice(at + 1).trim() };
  });
  const good =
    value.split(",").every((entry) => entry.includes(":")) &&
    keys.every((key) => /^[\w.-]{1,64}$/.test(key.kid) && key.secret.length >= JWT_SECRET_MIN_CHARACTERS) &&
    new Set(keys.map((key) => key.kid)).size === keys.length;
  if (!good) {
    context.addIssue({
      code: "custom",
      message: `must be kid:secret[,kid:secret] with distinct kids and secrets of ${JWT_SECRET_MIN_CHARACTERS} characters or more`,
    });
    return z.NEVER;
  }
  return keys;
});

const settingsSchema = z.object({
  /** Where clients reach this Worker, without a trailing slash: the issuer of tokens and the target of jobs. */
  PUBLIC_URL: url,
  /** PlanetScale: `mysql://user:password@host/database`. Local gateway: `http://user:password@127.0.0.1:3900`. */
  DATABASE_URL: z
    .string()
    .regex(/^(mysql|https?):\/\/[^:@/]+:[^@/]+@[^/]+/, "must be a URL with user and password"),
  UPSTASH_REDIS_REST_URL: url,
  UPSTASH_REDIS_REST_TOKEN: z.string().min(1),
  /** Longest wait for one call to Redis, after which the request does without. */
  REDIS_TIMEOUT_MS: z.coerce.number().int().min(50).max(10_000).default(250),
  /** How long after an answer its effects are begun anew while somebody cannot be reached; 0: only the sweep does. */
  EFFECTS_PATIENCE_MS: z.coerce.number().int().min(0).max(25_000).default(20_000),
  /** How often lost effects are looked for, within the minute of the cron trigger. */
  SWEEP_SECONDS: z.coerce.number().int().min(5).max(60).default(20),
  QSTASH_URL: url,
  QSTASH_TOKEN: z.string().min(1),
  QSTASH_CURRENT_SIGNING_KEY: z.string().min(1),
  QSTASH_NEXT_SIGNING_KEY: z.string().min(1),
  JWT_KEYS: jwtKeys,
  /** Origins of browsers that may call, comma-separated; empty: none but the Worker's own. */
  CORS_ORIGINS: z
    .string()
    .default("")
    .transform((value) =>
      value
        .split(",")
        .map((origin) => origin.trim().replace(/\/+$/, ""))
        .filter((origin) => origin !== ""),
    ),
  /** Multiplies every limit; 1 is normal, 0 switches limits off. */
  RATE_LIMIT_SCALE: z.coerce.number().min(0).max(1000).default(1),
  /** log2 of the rounds of bcrypt. */
  BCRYPT_COST: z.coerce.number().int().min(4).max(14).default(10),
  /** Sockets in one room; the next is closed with 4503. Read by the rooms themselves. */
  ROOM_SOCKETS_MAX: z.coerce.number().int().min(1).max(30_000).default(5_000),
  /** Sockets of one user in one room. */
  USER_SOCKETS_MAX: z.coerce.number().int().min(1).max(1_000).default(20),
});

export type Config = z.infer<typeof settingsSchema>;

/** The outcome of parsing: a config, or the names of what is missing or wrong with the reason. Values are never named. */
export type ConfigResult = { ok: true; config: Config } | { ok: false; problems: LogFields };

const parsed = new WeakMap<object, ConfigResult>();

/** Parses the settings once for each `env` object, which lives as long as the isolate. */
export function readConfig(env: object): ConfigResult {
  let result = parsed.get(env);
  if (!result) {
    const outcome = settingsSchema.safeParse(env);
    result = outcome.success
      ? { ok: true, config: outcome.data }
      : {
          ok: false,
          problems: Object.fromEntries(
            outcome.error.issues.map((issue) => [issue.path.join("."), issue.message]),
          ),
        };
    parsed.set(env, result);
  }
  return result;
}
