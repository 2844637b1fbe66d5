/**
 * Names that are shown inside cached things. A change leaves its time behind, and whatever was read before it is out of
 * date: a renamed user costs the cache that user's posts, not everybody's.
 * @module
 */
import type { RedisClient, Script } from "./client.ts";
import { keys, type NameOf } from "./keys.ts";
import { NOW } from "./lua.ts";

/** Longer than anything that shows a name may be cached: see MAX_AGE_MS in posts/scripts.ts and boards/references.ts. */
export const RENAMED_TTL_SECONDS = 7_200;

/** KEYS: renamed. ARGV: TTL in seconds. */
const RENAME: Script = {
  text: `${NOW}
redis.call('SET', KEYS[1], now_ms(), 'EX', ARGV[1])
return 1`,
};

/** Makes what is cached with a user's or a board's name out of date. One Redis command. */
export type ForgetName = (of: NameOf) => Promise<void>;

export function createForgetName(redis: RedisClient): ForgetName {
  return async (of) => {
    await redis.script(RENAME, [keys.renamed(of)], [RENAMED_TTL_SECONDS]);
  };
}
