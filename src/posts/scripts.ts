/**
 * The cache of posts, inside Redis. A cached post is a hash:
 *
 * - `r` revision of the row. Alone (without `s`) it is a fence: nothing older may be cached.
 * - `s` what lists show of the post as JSON, but for its counts: `l` likes, `m` comments, `v` views, kept up to date.
 * - `c` its content as JSON, where a reader of the post itself filled it in; a list does not.
 * - `t` when the read that filled it began, `a` author and `b` board: names that changed since make it out of date.
 *
 * Safe under any interleaving: a fill is refused when a newer revision was announced, while a writer holds the post,
 * when a name in it changed, or when a batch of views was written to the database since its read began. A writer that
 * must answer before it can announce its revision (likes, comments) holds the post from before its statement until
 * after its answer, and then tells the new count, so that the post need not be read again.
 * @module
 */
import type { Script } from "../cache/client.ts";
import { FENCE_TTL_SECONDS, HOLDS_TTL_SECONDS } from "../cache/hold.ts";
import { keys } from "../cache/keys.ts";
import { LISTS } from "../cache/lists.ts";
import { HOLDS } from "../cache/lua.ts";

const POST_TTL_SECONDS = 600;
/** However often its counts change, a post is read anew after this time. Less than names and holds are remembered. */
const MAX_AGE_MS = 1_800_000;
/** Of a deleted post: higher than any revision. */
export const FINAL_REVISION = Number.MAX_SAFE_INTEGER;
/** In place of the summary of a post that is gone. */
export const GONE = "-";

const POST_KEY = `
local POST = '${keys.post("")}'
local function holds_of(post) return post .. ':holds' end`;

/**
 * `entry_of(post)`: `s`, `l`, `m`, `v` of a post that may be shown; else nothing and its revision.
 * `unflushed(id)`: views that are not in the database.
 */
const READING = `${POST_KEY}
local PENDING, BATCH, FLUSHED = '${keys.pendingViews()}', '${keys.viewBatch()}', '${keys.viewsFlushedAt()}'
local function renamed(author, board, since)
  for _, of in ipairs({'user:' .. author, 'board:' .. board}) do
    if (tonumber(redis.call('GET', '${keys.renamed("")}' .. of)) or 0) >= since then return true end
  end
  return false
end
local function valid(author, board, since)
  return now_ms() - since < ${MAX_AGE_MS} and not renamed(author, board, since)
end
local function entry_of(post)
  local e = redis.call('HMGET', post, 's', 'l', 'm', 'v', 't', 'a', 'b', 'r')
  if e[1] and untouched(holds_of(post)) and valid(e[6], e[7], tonumber(e[5])) then return e end
  return nil, e[8]
end
local function unflushed(id)
  return (tonumber(redis.call('HGET', PENDING, id)) or 0) + (tonumber(redis.call('HGET', BATCH, id)) or 0)
end`;

/** `fill_post(…)`: 1 when the post is cached now. `content` is empty where a list fills; a post's never is. */
const FILLING = `${READING}
local function fill_post(id, read_at, revision, summary, author, board, likes, comments, views, content)
  local post = POST .. id
  local open, died = let_in(holds_of(post))
  -- Nothing tells any more that a writer died: what it may have changed must not be there, whatever becomes of this fill.
  if died then redis.call('HDEL', post, 's', 'c', 'l', 'm', 'v', 't', 'a', 'b') end
  if not open or renamed(author, board, read_at) then return 0 end
  if redis.call('HEXISTS', BATCH, id) == 1 or (tonumber(redis.call('GET', FLUSHED)) or 0) >= read_at then return 0 end
  local known = redis.call('HMGET', post, 'r', 's', 't', 'a', 'b')
  if known[1] and tonumber(known[1]) > tonumber(revision) then return 0 end
  if known[2] and known[1] == revision and valid(known[4], known[5], tonumber(known[3])) then
    if content ~= '' then redis.call('HSET', post, 'c', content) end
    return 1
  end
  redis.call('HDEL', post, 'c')
  redis.call('HSET', post, 'r', revision, 's', summary, 't', read_at, 'a', author, 'b', board,
    'l', likes, 'm', comments, 'v', views + (tonumber(redis.call('HGET', PENDING, id)) or 0))
  if content ~= '' then redis.call('HSET', post, 'c', content) end
  -- Posts that were filled together do not end together.
  redis.call('EXPIRE', post, math.floor(${POST_TTL_SECONDS} * (0.9 + (id * 7 % 21) / 100)))
  return 1
end`;

/** `count_view(id, viewed, seconds)`: counts a view, once per viewer in the time; 0 seconds: it is none. */
const COUNTING = `
local function count_view(id, viewed, seconds)
  if seconds == '0' then return end
  if not redis.call('SET', viewed, '1', 'NX', 'EX', seconds) then return end
  redis.call('HINCRBY', PENDING, id, 1)
  if redis.call('HEXISTS', POST .. id, 's') == 1 then redis.call('HINCRBY', POST .. id, 'v', 1) end
end`;

/**
 * Reads a post and counts the view, if the post is cached. KEYS: post, viewer. ARGV: id, seconds for which the view does
 * not count again (0: not a view).
 * @returns `[summary, likes, comments, views, content]` on a hit; `[false, now, views not yet in the database]` on a miss
 */
export const READ_POST: Script = {
  text: `${HOLDS}${READING}${COUNTING}
local entry = entry_of(KEYS[1])
local content = entry and redis.call('HGET', KEYS[1], 'c')
if content then
  count_view(ARGV[1], KEYS[2], ARGV[2])
  return {entry[1], entry[2], entry[3], redis.call('HGET', KEYS[1], 'v'), content}
end
local own = 0
if ARGV[2] ~= '0' and redis.call('EXISTS', KEYS[2]) == 0 then own = 1 end
return {false, tostring(now_ms()), unflushed(ARGV[1]) + own}`,
};

/**
 * Counts the view of a post that was read from the database, and caches it. KEYS as above. ARGV: id, view seconds, when
 * the read began, revision, summary, author, board, likes, comments, views in the database, content.
 * @returns 1 when the post is cached now
 */
export const FILL_POST: Script = {
  text: `${HOLDS}${FILLING}${COUNTING}
count_view(ARGV[1], KEYS[2], ARGV[2])
return fill_post(ARGV[1], tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9], tonumber(ARGV[10]), ARGV[11])`,
};

/** Values that each post has in the answer of `READ_LISTED` and in the arguments of `FILL_LISTED`. */
export const READ_STRIDE = 4;
export const FILL_STRIDE = 8;

/**
 * Reads the first posts of a list of ids. KEYS: list, its holds; for a ranking also its lock and the rankings in demand.
 * ARGV: how many; for a ranking also its scope, milliseconds after which it is to be computed anew, and milliseconds for
 * which one reader alone does that.
 * @returns `[now, 1 when this reader is to compute the ranking, ids or false, …]`, and for each post summary, likes,
 * comments and views. A post that is not cached has an empty summary and, for views, those not yet in the database; the
 * summary of one that is gone is `GONE`.
 */
export const READ_LISTED: Script = {
  text: `${LISTS}${READING}
local now = now_ms()
local content, at = list_of(KEYS[1], KEYS[2])
local mine = 0
if KEYS[3] then
  redis.call('ZADD', KEYS[4], now, ARGV[2])
  if not content or now - at > tonumber(ARGV[3]) then
    if redis.call('SET', KEYS[3], '1', 'NX', 'PX', ARGV[4]) then mine = 1 end
  end
end
if not content then return {tostring(now), mine, false} end
local answer = {tostring(now), mine, content}
local left = tonumber(ARGV[1])
for id in string.gmatch(content, '%d+') do
  if left == 0 then break end
  left = left - 1
  local entry, revision = entry_of(POST .. id)
  local shown = entry or {revision == '${FINAL_REVISION}' and '${GONE}' or '', 0, 0, unflushed(id)}
  for value = 1, ${READ_STRIDE} do answer[#answer + 1] = shown[value] end
end
return answer`,
};

/**
 * Caches posts that a list showed, and the list. KEYS: list, its holds. ARGV: when the read began, ids of the list or
 * nothing, its TTL in seconds; then for each post id, revision, summary, author, board, likes, comments, views in the database.
 */
export const FILL_LISTED: Script = {
  text: `${LISTS}${FILLING}
local read_at = tonumber(ARGV[1])
for at = 4, #ARGV, ${FILL_STRIDE} do
  fill_post(ARGV[at], read_at, ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5], ARGV[at + 6], tonumber(ARGV[at + 7]), '')
end
if ARGV[2] == 'none' then return 0 end
return fill_list(KEYS[1], KEYS[2], ARGV[1], ARGV[2], tonumber(ARGV[3]))`,
};

/** `forget(post, revision)`: what is cached goes, and nothing older comes back. */
const FORGETTING = `
local function forget(post, revision)
  redis.call('HDEL', post, 's', 'c', 'l', 'm', 'v', 't', 'a', 'b')
  redis.call('HSET', post, 'r', revision)
  redis.call('EXPIRE', post, ${FENCE_TTL_SECONDS})
end`;

/** Announces a revision: what is cached goes, and nothing older comes back. KEYS: post. ARGV: revision. */
export const FENCE_POST: Script = {
  text: `${FORGETTING}
if tonumber(ARGV[1]) < (tonumber(redis.call('HGET', KEYS[1], 'r')) or 0) then return 0 end
forget(KEYS[1], ARGV[1])
return 1`,
};

/**
 * A writer begins: the post is not shown from the cache, and nothing is cached, until it is done, or until its time is
 * up. KEYS: post, holds. ARGV: token, milliseconds.
 */
export const HOLD_POST: Script = {
  text: `${HOLDS}
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('EXPIRE', KEYS[1], ${FENCE_TTL_SECONDS}) end
redis.call('ZADD', KEYS[2], now_ms() + tonumber(ARGV[2]), ARGV[1])
redis.call('EXPIRE', KEYS[2], ${HOLDS_TTL_SECONDS})
return 1`,
};

/**
 * A writer is done, at the given revision (0: it changed nothing). What is cached takes the counts over if it is the
 * state just before. KEYS: post, holds. ARGV: token, revision, likes or nothing, comments or nothing.
 */
export const RELEASE_POST: Script = {
  text: `${FORGETTING}
local revision, known = tonumber(ARGV[2]), tonumber(redis.call('HGET', KEYS[1], 'r')) or 0
if revision > known then
  local counts = (ARGV[3] or '') ~= '' or (ARGV[4] or '') ~= ''
  if counts and revision == known + 1 and redis.call('HEXISTS', KEYS[1], 's') == 1 then
    redis.call('HSET', KEYS[1], 'r', ARGV[2])
    if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], 'l', ARGV[3]) end
    if ARGV[4] ~= '' then redis.call('HSET', KEYS[1], 'm', ARGV[4]) end
    redis.call('EXPIRE', KEYS[1], ${FENCE_TTL_SECONDS})
  else
    forget(KEYS[1], ARGV[2])
  end
end
return redis.call('ZREM', KEYS[2], ARGV[1])`,
};
