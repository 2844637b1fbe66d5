/**
 * The suite's database and Redis as the Worker reaches them, for states that the API does not lead to.
 * @module
 */
import { inject } from "vitest";
import { createRedis } from "../../src/cache/client.ts";
import { createMeter } from "../../src/common/meter.ts";
import { createDb } from "../../src/db/client.ts";

const { settings } = inject("cloud");

/** Drizzle over the PlanetScale gateway. */
export const db = createDb(settings["DATABASE_URL"] ?? "", createMeter());

/** Redis over the Upstash gateway. */
export const redis = createRedis(
  {
    url: settings["UPSTASH_REDIS_REST_URL"] ?? "",
    token: settings["UPSTASH_REDIS_REST_TOKEN"] ?? "",
    timeoutMs: 5_000,
  },
  createMeter(),
);

/** A loopback address that refuses connections. */
export const CLOSED_PORT = "127.0.0.1:1";
