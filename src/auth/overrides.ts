/**
 * What an access token cannot know: that its session has ended since, or that its user changed. Kept in Redis for as
 * long as tokens live, read in the pipeline of every signed-in request. While Redis is away the database is asked.
 * @module
 */
import type { RedisClient } from "../cache/client.ts";
import { keys } from "../cache/keys.ts";
import type { Actor } from "./actor.ts";
import { ACCESS_TOKEN_SECONDS } from "./tokens.ts";

/** A little longer than a token lives, for clocks that differ. */
const OVERRIDE_TTL_SECONDS = ACCESS_TOKEN_SECONDS + 120;

export type UserChange = {
  /** All sessions of an older epoch have ended… */
  epoch?: number;
  /** …but for this one. */
  keptSessionId?: number;
  username?: string;
  role?: "user" | "admin";
};

export type Overrides = {
  /** Ends access tokens of one session at once. */
  endSession: (sessionId: number) => Promise<void>;
  /** Makes known what changed about a user. */
  changeUser: (userId: number, change: UserChange) => Promise<void>;
  /** @returns the actor as of now, or undefined when its session has ended. Two Redis commands. */
  apply: (actor: Actor) => Promise<Actor | undefined>;
};

export function createOverrides(redis: RedisClient): Overrides {
  return {
    async endSession(sessionId) {
      await redis.run((pipe) => pipe.set(keys.endedSession(sessionId), "1", { ex: OVERRIDE_TTL_SECONDS }));
    },
    async changeUser(userId, change) {
      const fields: Record<string, string> = {};
      if (change.epoch !== undefined) {
        fields["epoch"] = String(change.epoch);
        fields["kept"] = String(change.keptSessionId ?? "");
      }
      if (change.username !== undefined) fields["username"] = change.username;
      if (change.role !== undefined) fields["role"] = change.role;
      const key = keys.authOverride(userId);
      await Promise.all([
        redis.run((pipe) => pipe.hset(key, fields)),
        redis.run((pipe) => pipe.expire(key, OVERRIDE_TTL_SECONDS)),
      ]);
    },
    async apply(actor) {
      const [ended, fields] = await Promise.all([
        redis.run<number>((pipe) => pipe.exists(keys.endedSession(actor.sessionId))),
        redis.run<(string | null)[]>((pipe) =>
          pipe.hmget(keys.authOverride(actor.id), "epoch", "kept", "username", "role"),
        ),
      ]);
      const [epoch, kept, username, role] = fields;
      if (ended === 1) return undefined;
      if (epoch && actor.epoch < Number(epoch) && kept !== String(actor.sessionId)) return undefined;
      return {
        ...actor,
        username: username || actor.username,
        role: role === "admin" || role === "user" ? role : actor.role,
      };
    },
  };
}
