/**
 * First pages of lists. A cached list is a hash: `i` its content as text, `t` when the read that filled it began, `e` until
 * when it may be served, `c` when the list last changed. It cannot be stale: a fill is refused while a writer is at work on the list, and when the list
 * changed after the fill's read began.
 * @module
 */
import type { RedisClient, Script } from "./client.ts";
import { createHold, FENCE_TTL_SECONDS, type Hold, HOLD_MS, HOLDS_TTL_SECONDS } from "./hold.ts";
import { keys, type ListName } from "./keys.ts";
import { HOLDS } from "./lua.ts";

/** Bounds how long a list can miss what was written past the Worker, by hand or by a restored backup. */
const LIST_TTL_SECONDS = 120;

/** `list_of(list, holds)`: content and time, or nothing; `fill_list(…)`: 1 when it was taken. */
export const LISTS = `${HOLDS}
local function list_of(list, holds)
  local entry = redis.call('HMGET', list, 'i', 't', 'e')
  if entry[1] and tonumber(entry[3]) > now_ms() and untouched(holds) then return entry[1], tonumber(entry[2]) end
end
local function fill_list(list, holds, read_at, content, ttl_seconds)
  local open, died = let_in(holds)
  -- Nothing tells any more that a writer died: what it may have changed must not be there, whatever becomes of this fill.
  if died then redis.call('HDEL', list, 'i', 't', 'e') end
  if not open then return 0 end
  local known = redis.call('HMGET', list, 'c', 't')
  if (tonumber(known[1]) or 0) >= tonumber(read_at) or (tonumber(known[2]) or 0) > tonumber(read_at) then return 0 end
  redis.call('HSET', list, 'i', content, 't', read_at, 'e', now_ms() + ttl_seconds * 1000)
  redis.call('EXPIRE', list, ${FENCE_TTL_SECONDS})
  return 1
end`;

/** KEYS: list, holds. @returns `[content or false, now]` */
const READ_LIST: Script = {
  text: `${LISTS}
local content = list_of(KEYS[1], KEYS[2])
return {content or false, tostring(now_ms())}`,
};

/** KEYS: list, holds. ARGV: when the read began, content, TTL in seconds. */
const FILL_LIST: Script = {
  text: `${LISTS}
return fill_list(KEYS[1], KEYS[2], ARGV[1], ARGV[2], tonumber(ARGV[3]))`,
};

/** A writer begins. KEYS: holds of each list. ARGV: token, milliseconds, TTL in seconds. */
const HOLD_LISTS: Script = {
  text: `${HOLDS}
local now = now_ms()
for _, holds in ipairs(KEYS) do
  redis.call('ZADD', holds, now + tonumber(ARGV[2]), ARGV[1])
  redis.call('EXPIRE', holds, ARGV[3])
end
return 1`,
};

/** Lists changed, or a writer is done with them. KEYS: list and holds of each. ARGV: token or nothing, 1 when they changed, TTL in seconds. */
const CHANGE_LISTS: Script = {
  text: `${HOLDS}
local now = now_ms()
for index = 1, #KEYS, 2 do
  if ARGV[2] == '1' then
    redis.call('HDEL', KEYS[index], 'i', 't', 'e')
    redis.call('HSET', KEYS[index], 'c', now)
    redis.call('EXPIRE', KEYS[index], ARGV[3])
  end
  if ARGV[1] ~= '' then redis.call('ZREM', KEYS[index + 1], ARGV[1]) end
end
return 1`,
};

/** `readAt` is what a fill must come with. */
export type CachedList = { content: string | null; readAt: string };

export type ListCache = {
  /** One Redis command. */
  read: (name: ListName) => Promise<CachedList>;
  /** Caches what was read from the database since `readAt`, unless the list changed meanwhile. One Redis command. */
  fill: (name: ListName, content: string, readAt: string) => Promise<void>;
  /** The lists changed: nothing older is served after this. One Redis command. */
  fence: (names: ListName[]) => Promise<void>;
  /** Keeps the lists out of the cache until the release, for 25 s at most. One Redis command each. */
  hold: (names: ListName[]) => Hold;
};

export function createListCache(redis: RedisClient): ListCache {
  const change = (names: ListName[], token: string, changed: boolean) =>
    redis.script(
      CHANGE_LISTS,
      names.flatMap((name) => [keys.list(name), keys.listHolds(name)]),
      [token, changed ? 1 : 0, FENCE_TTL_SECONDS],
    );
  return {
    async read(name) {
      const [content, readAt] = await redis.script<[string | null, string]>(
        READ_LIST,
        [keys.list(name), keys.listHolds(name)],
        [],
      );
      return { content, readAt };
    },
    async fill(name, content, readAt) {
      await redis.script(
        FILL_LIST,
        [keys.list(name), keys.listHolds(name)],
        [readAt, content, listTtlSeconds()],
      );
    },
    async fence(names) {
      await change(names, "", true);
    },
    hold(names) {
      const token = crypto.randomUUID();
      return createHold(
        redis.script(HOLD_LISTS, names.map(keys.listHolds), [token, HOLD_MS, HOLDS_TTL_SECONDS]),
        async (revision) => {
          await change(names, token, revision > 0);
        },
      );
    },
  };
}

/** Lists that were filled together do not end together. */
export function listTtlSeconds(): number {
  return Math.round(LIST_TTL_SECONDS * (0.9 + Math.random() * 0.2));
}
