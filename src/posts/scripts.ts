/**
 * The cache of posts, inside Redis. A cached post is a hash:
 *
 * - `r` revision of the row. Alone (without `j`) it is a fence: nothing older may be cached.
 * - `j` the post as JSON, without its views; `n` the names token at the time of filling; `v` views, kept up to date.
 *
 * Safe under any interleaving: a fill is refused when a newer revision was announced, while a writer holds the post,
 * or when a batch of views was written to the database since its read began. A writer that must answer before it can
 * announce its revision (likes, comments) holds the post from before its statement until after its answer.
 * @module
 */
import type { Script } from "../cache/client.ts";

/** KEYS: post, holds, names, pending views, batch of views, viewer. */
const COUNT_VIEW = `
local function count_view(id, seconds, known)
  if seconds == '0' then return 0 end
  if not redis.call('SET', KEYS[6], '1', 'NX', 'EX', seconds) then return 0 end
  redis.call('HINCRBY', KEYS[4], id, 1)
  if known then redis.call('HINCRBY', KEYS[1], 'v', 1) end
  return 1
end
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function held(now)
  return redis.call('ZCOUNT', KEYS[2], now, '+inf') > 0
end
`;

/**
 * Reads a post and counts the view, if the post is cached. ARGV: id, seconds for which the view does not count again
 * (0: not a view), names token to assume when there is none.
 * @returns `[json, views]` on a hit; `[false, now, names token, views not yet in the database]` on a miss
 */
export const READ_POST: Script = {
  text: `${COUNT_VIEW}
local entry = redis.call('HMGET', KEYS[1], 'j', 'n', 'v')
local names = redis.call('GET', KEYS[3]) or ''
local now = now_ms()
if entry[1] and entry[2] == names and not held(now) then
  count_view(ARGV[1], ARGV[2], true)
  return {entry[1], redis.call('HGET', KEYS[1], 'v')}
end
local own = 0
if ARGV[2] ~= '0' and redis.call('EXISTS', KEYS[6]) == 0 then own = 1 end
local due = (tonumber(redis.call('HGET', KEYS[4], ARGV[1])) or 0) + (tonumber(redis.call('HGET', KEYS[5], ARGV[1])) or 0)
return {false, tostring(now), names, due + own}`,
};

/**
 * Counts the view of a post that was read from the database, and caches it. KEYS as above and when views were last
 * flushed. ARGV: id, view seconds, when the read began, names token it saw, revision, JSON, views in the database, TTL in seconds.
 * @returns 1 when the post is cached now
 */
export const FILL_POST: Script = {
  text: `${COUNT_VIEW}
count_view(ARGV[1], ARGV[2], redis.call('HEXISTS', KEYS[1], 'j') == 1)
local names = redis.call('GET', KEYS[3]) or ''
if names ~= ARGV[4] or held(now_ms()) then return 0 end
if redis.call('HEXISTS', KEYS[5], ARGV[1]) == 1 then return 0 end
if (tonumber(redis.call('GET', KEYS[7])) or 0) >= tonumber(ARGV[3]) then return 0 end
local entry = redis.call('HMGET', KEYS[1], 'r', 'j', 'n')
if entry[1] and tonumber(entry[1]) > tonumber(ARGV[5]) then return 0 end
if entry[2] and entry[3] == names and entry[1] == ARGV[5] then return 1 end
local views = tonumber(ARGV[7]) + (tonumber(redis.call('HGET', KEYS[4], ARGV[1])) or 0)
redis.call('HSET', KEYS[1], 'r', ARGV[5], 'j', ARGV[6], 'n', names, 'v', views)
redis.call('EXPIRE', KEYS[1], ARGV[8])
return 1`,
};

/** Announces a revision: what is cached goes, and nothing older comes back. KEYS: post. ARGV: revision, TTL in seconds. */
export const FENCE_POST: Script = {
  text: `
local known = tonumber(redis.call('HGET', KEYS[1], 'r')) or 0
if tonumber(ARGV[1]) < known then return 0 end
redis.call('HDEL', KEYS[1], 'j', 'n', 'v')
redis.call('HSET', KEYS[1], 'r', ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1`,
};

/**
 * A writer begins: what is cached goes, and nothing is cached until it is done, or until its time is up.
 * KEYS: post, holds. ARGV: token, milliseconds, TTL of the revision in seconds.
 */
export const HOLD_POST: Script = {
  text: `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HDEL', KEYS[1], 'j', 'n', 'v')
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('EXPIRE', KEYS[1], ARGV[3]) end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[2]), ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return 1`,
};

/** A writer is done, at the given revision (0: it changed nothing). KEYS: post, holds. ARGV: token, revision, TTL in seconds. */
export const RELEASE_POST: Script = {
  text: `
local known = tonumber(redis.call('HGET', KEYS[1], 'r')) or 0
if tonumber(ARGV[2]) > known then
  redis.call('HDEL', KEYS[1], 'j', 'n', 'v')
  redis.call('HSET', KEYS[1], 'r', ARGV[2])
  redis.call('EXPIRE', KEYS[1], ARGV[3])
end
return redis.call('ZREM', KEYS[2], ARGV[1])`,
};

/**
 * Takes the views that are to be written to the database; the same batch again when the last flush did not end.
 * KEYS: pending, batch. ARGV: id of a new batch. @returns the batch as field, value, … with its id under `id`
 */
export const TAKE_VIEWS: Script = {
  text: `
if redis.call('EXISTS', KEYS[2]) == 0 then
  if redis.call('EXISTS', KEYS[1]) == 0 then return {} end
  redis.call('RENAME', KEYS[1], KEYS[2])
  redis.call('HSET', KEYS[2], 'id', ARGV[1])
end
return redis.call('HGETALL', KEYS[2])`,
};

/** Ends a batch of views. KEYS: batch, flushed at. ARGV: id of the batch, TTL in seconds. */
export const END_VIEWS: Script = {
  text: `
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
local time = redis.call('TIME')
redis.call('SET', KEYS[2], time[1] * 1000 + math.floor(time[2] / 1000), 'EX', ARGV[2])
return 1`,
};
