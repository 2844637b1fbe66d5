/**
 * Whether the parts that LiveForum needs can be reached, and whether late work is done.
 * @module
 */
import type { RedisClient } from "../cache/client.ts";
import type { Meter } from "../common/meter.ts";
import { lateSince } from "../common/sweep.ts";
import { isSchemaBehind } from "../db/errors.ts";
import type { HealthRepository } from "./repository.ts";

const CHECK_TIMEOUT_MS = 2_000;

export type Check = "ok" | "down";
export type Health =
  /** The database is gone. */
  | { status: "down" }
  | {
      /** `degraded`: all is served, more slowly or later. */
      status: "ok" | "degraded";
      checks: {
        db: "ok";
        redis: Check;
        qstash: Check;
        /** `late`: something has been due for over `LATE_MS`. */
        effects: "ok" | "late";
      };
    };

export type HealthService = ReturnType<typeof createHealthService>;

export function createHealthService(deps: {
  repository: HealthRepository;
  redis: RedisClient;
  qstash: { url: string; token: string };
  meter: Meter;
  now: () => Date;
}) {
  /** The statement that tells whether the database answers is also the one that looks for what is late. */
  async function askDatabase(): Promise<"ok" | "late"> {
    try {
      return (await deps.repository.hasDueBefore(lateSince(deps.now()))) ? "late" : "ok";
    } catch (error) {
      // It answers. Sweeps fail as this statement does.
      if (isSchemaBehind(error)) return "late";
      throw error;
    }
  }

  return {
    /** One call to each part, side by side; each is given two seconds. Never rejects. */
    async check(): Promise<Health> {
      const [effects, redis, qstash] = await Promise.all([
        inTime(askDatabase),
        outcome(() => deps.redis.run((pipe) => pipe.ping())),
        outcome(() => deps.meter.measure("qstash", () => askQstash(deps.qstash))),
      ]);
      if (effects === undefined) return { status: "down" };
      const well = redis === "ok" && qstash === "ok" && effects === "ok";
      return { status: well ? "ok" : "degraded", checks: { db: "ok", redis, qstash, effects } };
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
  return (
    (await inTime(async () => {
      await probe();
      return "ok" as const;
    })) ?? "down"
  );
}

/** What a probe finds; undefined when it fails or takes too long. */
async function inTime<T>(probe: () => Promise<T>): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("timed out")), CHECK_TIMEOUT_MS);
  });
  try {
    return await Promise.race([probe(), timeout]);
  } catch {
    return undefined;
  } finally {
    if (timer !== undefined) clearTimeout(timer);
  }
}
