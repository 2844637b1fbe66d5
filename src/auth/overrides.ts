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
  /** Makes known whose a session id is: access tokens of whoever had it before are refused. */
  startSession: (session: { id: number; nonce: string }) => Promise<void>;
  /** Makes known that an account is new, with its first epoch: access tokens of whoever had its id before are refused. */
  startUser: (userId: number, epoch: number) => Promise<void>;
  /** Ends access tokens of one session at once. */
  endSession: (userId: number, sessionId: number) => Promise<void>;
  /** Makes known what changed about a user. */
  changeUser: (userId: number, change: UserChange) => Promise<void>;
  /**
   * @returns the actor as of now, undefined when its session has ended, or `unsure` when another session was last known by
   * its id: which of the two has it, the row says. Two Redis commands.
   */
  apply: (actor: Actor) => Promise<Actor | "unsure" | undefined>;
};

export function createOverrides(redis: RedisClient): Overrides {
  async function overrideUser(userId: number, fields: Record<string, string>): Promise<void> {
    const key = keys.authOverride(userId);
    await Promise.all([
      redis.run((pipe) => pipe.hset(key, fields)),
      redis.run((pipe) => pipe.expire(key, OVERRIDE_TTL_SECONDS)),
    ]);
  }

  return {
    async startSession({ id, nonce }) {
      await redis.run((pipe) => pipe.set(keys.session(id), nonce, { ex: OVERRIDE_TTL_SECONDS }));
    },
    // Name and role may be left from an account that had the id.
    startUser: (userId, epoch) => overrideUser(userId, { first: String(epoch), username: "", role: "" }),
    async endSession(userId, sessionId) {
      const key = keys.endedSession(userId, sessionId);
      await redis.run((pipe) => pipe.set(key, "1", { ex: OVERRIDE_TTL_SECONDS }));
    },
    async changeUser(userId, change) {
      const fields: Record<string, string> = {};
      if (change.epoch !== undefined) {
        fields["epoch"] = String(change.epoch);
        fields["kept"] = String(change.keptSessionId ?? "");
      }
      if (change.username !== undefined) fields["username"] = change.username;
      if (change.role !== undefined) fields["role"] = change.role;
      await overrideUser(userId, fields);
    },
    async apply(actor) {
      const { id, sessionId } = actor;
      const [[ended, nonce], fields] = await Promise.all([
        redis.run<[string | null, string | null]>((pipe) =>
          pipe.mget(keys.endedSession(id, sessionId), keys.session(sessionId)),
        ),
        redis.run<(string | null)[]>((pipe) =>
          pipe.hmget(keys.authOverride(id), "epoch", "kept", "username", "role", "first"),
        ),
      ]);
      const [epoch, kept, username, role, first] = fields;
      if (ended !== null) return undefined;
      if (first && actor.epoch < Number(first)) return undefined;
      if (epoch && actor.epoch < Number(epoch) && kept !== String(actor.sessionId)) return undefined;
      if (nonce !== null && nonce !== actor.nonce) return "unsure";
      return {
        ...actor,
        username: username || actor.username,
        role: role === "admin" || role === "user" ? role : actor.role,
      };
    },
  };
}
