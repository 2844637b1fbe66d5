/** Waits until Redis no longer counts as away, which the Worker remembers for the files of tests that follow as well. */
import { vi } from "vitest";
import { anonymous } from "./client.ts";

/** The machine may be busy. */
const PATIENT = { timeout: 120_000, interval: 200 };

export async function untilRedisIsBack(): Promise<void> {
  await vi.waitFor(async () => {
    const { body } = await anonymous().get<{ checks?: { redis: string } }>("/api/health");
    if (body.checks?.redis !== "ok") throw new Error(`Redis is not back: ${JSON.stringify(body)}`);
  }, PATIENT);
}
