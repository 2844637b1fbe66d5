/**
 * Parts that scripts share.
 *
 * Scripts also touch keys that are not among their KEYS: which posts a list shows, and whose names they show, is known
 * inside Redis alone. Redis and Upstash allow it in scripts without the flag `allow-key-locking`; a Redis Cluster would not.
 * @module
 */

/** `now_ms()`: Redis's clock, the one clock that all isolates share. */
export const NOW = `
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end`;

/**
 * Holds: a sorted set of writers that are at work, by the time until which they count. One whose time is up died, and
 * may have written: what was cached before is not trusted again, but a fill that begins now is.
 *
 * - `untouched(holds)`: whether no writer is or was at work since the last fill
 * - `let_in(holds)`: whether a fill may go on, and whether there were writers that died
 */
export const HOLDS = `${NOW}
local function untouched(holds)
  return redis.call('ZCARD', holds) == 0
end
local function let_in(holds)
  local died = redis.call('ZREMRANGEBYSCORE', holds, '-inf', now_ms()) > 0
  return redis.call('ZCARD', holds) == 0, died
end`;
