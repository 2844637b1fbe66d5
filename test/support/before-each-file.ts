/**
 * What comes before each file of the worker project's tests. They share an isolate, as requests do in production, and with it
 * what the Worker remembers there: after a file that took Redis away, Redis counts as away for two seconds more.
 */
import { beforeAll } from "vitest";
import { anonymous } from "./client.ts";
import { waitFor } from "./patience.ts";

/** The machine may be busy. */
const PATIENCE = { timeout: 120_000, interval: 200 };

beforeAll(
  () =>
    waitFor(async () => {
      const { body } = await anonymous().get<{ checks?: { redis: string } }>("/api/health");
      if (body.checks?.redis !== "ok") throw new Error(`Redis is not back: ${JSON.stringify(body)}`);
    }, PATIENCE),
  PATIENCE.timeout,
);
