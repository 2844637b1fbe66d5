/**
 * Whether the parts that LiveForum needs can be reached.
 * @module
 */
import type { RedisClient } from "../cache/client.ts";
import type { Meter } from "../common/meter.ts";
import type { HealthRepository } from "./repository.ts";

const CHECK_TIMEOUT_MS = 2_000;

export type Check = "ok" | "down";
export type Health = {
  /** `degraded`: all is served, more slowly or later. `down`: the database is gone. */
  status: "ok" | "degraded" | "down";
  checks: { db: Check; redis: Check; qstash: Check };
};

export type HealthService = ReturnType<typeof createHealthService>;

export function createHealthService(deps: {
  repository: HealthRepository;
  redis: RedisClient;
  qstash: { url: string; token: string };
  meter: Meter;
}) {
  const probes: Record<keyof Health["checks"], () => Promise<unknown>> = {
    db: () => deps.repository.ping(),
    redis: () => deps.redis.run((pipe) => pipe.ping()),
    qstash: () => deps.meter.measure("qstash", () => askQstash(deps.qstash)),
  };
  return {
    /** One call to each part, side by side; each is given two seconds. Never rejects. */
    async check(): Promise<Health> {
      const [db, redis, qstash] = await Promise.all([
        outcome(probes.db),
        outcome(probes.redis),
        outcome(probes.qstash),
      ]);
      const checks = { db, redis, qstash };
      const status = db === "down" ? "down" : redis === "down" || qstash === "down" ? "degraded" : "ok";
      return { status, checks };
    },
  };
}

async function askQstash({ url, token }: { url: string; token: string }): Promise<void> {
  const response = await fetch(`${url}/v2/keys`, {
    headers: { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(CHECK_TIMEOUT_MS),
  });
  // To its end: half an answer is none.
  await response.json();
  if (!response.ok) throw new Error(`QStash answered ${response.status}`);
}

async function outcome(probe: () => Promise<unknown>): Promise<Check> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("timed out")), CHECK_TIMEOUT_MS);
  });
  try {
    await Promise.race([probe(), timeout]);
    return "ok";
  } catch {
    return "down";
  } finally {
    if (timer !== undefined) clearTimeout(timer);
  }
}
