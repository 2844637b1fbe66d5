/**
 * Views on their way from Redis to the database.
 * @module
 */
import type { Script } from "../cache/client.ts";
import { NOW } from "../cache/lua.ts";

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
  text: `${NOW}
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[2], now_ms(), 'EX', ARGV[2])
return 1`,
};
