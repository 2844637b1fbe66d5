/**
 * What each file of the worker project's tests begins with. They share an isolate, as requests do in production, and with it
 * what the Worker remembers there (after a file that took Redis away, Redis counts as away for two seconds more), and what
 * modules of the tests do, which are loaded once for all.
 */
import { afterEach, beforeAll } from "vitest";
import { anonymous } from "./client.ts";
import { forgetSharedAdmin } from "./factories.ts";
import { waitFor } from "./patience.ts";
import { throwBrokenFrame } from "./sockets.ts";
import { leaveHome } from "./threads.ts";

/** The machine may be busy. */
const PATIENCE = { timeout: 120_000, interval: 200 };

beforeAll(() => {
  forgetSharedAdmin();
  leaveHome();
});

beforeAll(
  () =>
    waitFor(async () => {
      const { body } = await anonymous().get<{ checks?: { redis: string } }>("/api/health");
      if (body.checks?.redis !== "ok") throw new Error(`Redis is not back: ${JSON.stringify(body)}`);
    }, PATIENCE),
  PATIENCE.timeout,
);

// A frame that is not as documented fails the test that got it.
afterEach(throwBrokenFrame);
