/**
 * Redis's clock: the one clock that all isolates share.
 * @module
 */
import type { RedisClient } from "./client.ts";

/** Milliseconds since 1970. One Redis command. */
export async function redisTime(redis: RedisClient): Promise<number> {
  const [seconds, microseconds] = await redis.run<[number | string, number | string]>((pipe) => pipe.time());
  return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
}
