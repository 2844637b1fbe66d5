/**
 * `/v2/flowControl`: the limits of a key, as the last message brought them or as they were pinned.
 * @module
 */
import type { Database } from "./database.ts";
import { activeOfKey, type FlowRow, type Lanes } from "./lanes.ts";
import type { FlowControl } from "./options.ts";
import { QstashProblem } from "./problem.ts";

/** Takes over what a message brings, except where a value is pinned. */
export function registerFlowControl(
  db: Database,
  { key, parallelism, rate, periodSeconds }: FlowControl,
): void {
  db.run(
    `INSERT INTO flow_control (key, parallelism, rate, period_seconds) VALUES (?, ?, ?, ?)
     ON CONFLICT (key) DO UPDATE SET
       parallelism = CASE WHEN pinned_parallelism THEN parallelism ELSE excluded.parallelism END,
       rate = CASE WHEN pinned_rate THEN rate ELSE excluded.rate END,
       period_seconds = CASE WHEN pinned_rate THEN period_seconds ELSE excluded.period_seconds END`,
    key,
    parallelism,
    rate,
    periodSeconds,
  );
}

/** `speed` divides the period of a rate, `globalMax` is the bound on all deliveries in flight. */
export function createFlowControl({
  db,
  lanes,
  speed,
  globalMax,
}: {
  db: Database;
  lanes: Lanes;
  speed: number;
  globalMax: number;
}) {
  function describe(row: FlowRow): Record<string, unknown> {
    const waiting = db.get<{ size: number }>(
      "SELECT COUNT(*) AS size FROM messages WHERE flow_key = ? AND state = 'waiting'",
      row.key,
    );
    const periodOver = row.period_start + (row.period_seconds * 1000) / speed <= Date.now();
    return {
      flowControlKey: row.key,
      waitListSize: waiting?.size ?? 0,
      parallelismMax: row.parallelism,
      parallelismCount: activeOfKey(db, row.key),
      rateMax: row.rate,
      rateCount: periodOver ? 0 : row.rate_count,
      ratePeriod: row.period_seconds,
      ratePeriodStart: Math.floor(row.period_start / 1000),
      isPaused: row.paused === 1,
      isPinnedParallelism: row.pinned_parallelism === 1,
      isPinnedRate: row.pinned_rate === 1,
    };
  }

  /** Makes sure that the key exists, changes it, and lets waiting messages try again. */
  function change(key: string, assignments: string, ...values: number[]): void {
    db.transaction(() => {
      db.run("INSERT INTO flow_control (key) VALUES (?) ON CONFLICT (key) DO NOTHING", key);
      db.run(`UPDATE flow_control SET ${assignments} WHERE key = ?`, ...values, key);
    });
    lanes.touchFlow(key);
  }

  return {
    list: () => db.all<FlowRow>("SELECT * FROM flow_control ORDER BY key").map((row) => describe(row)),

    /** @throws QstashProblem 404. */
    get(key: string): Record<string, unknown> {
      const row = db.get<FlowRow>("SELECT * FROM flow_control WHERE key = ?", key);
      if (!row) throw new QstashProblem(404, `flow control key ${key} not found`);
      return describe(row);
    },

    globalParallelism: () => ({
      parallelismMax: globalMax,
      parallelismCount:
        db.get<{ active: number }>("SELECT COUNT(*) AS active FROM messages WHERE state = 'active'")
          ?.active ?? 0,
    }),

    pause: (key: string) => change(key, "paused = 1"),
    resume: (key: string) => change(key, "paused = 0"),
    resetRate: (key: string) => change(key, "rate_count = 0, period_start = ?", Date.now()),

    /** @throws QstashProblem 400 when no value is given or one is not a positive whole number. */
    pin(key: string, query: URLSearchParams): void {
      const parallelism = positive(query, "parallelism");
      const rate = positive(query, "rate");
      const period = positive(query, "period");
      if (parallelism === undefined && rate === undefined) {
        throw new QstashProblem(400, "parallelism or rate is required");
      }
      const now = Date.now();
      db.transaction(() => {
        if (parallelism !== undefined) change(key, "parallelism = ?, pinned_parallelism = 1", parallelism);
        if (rate !== undefined)
          change(key, "rate = ?, period_seconds = ?, pinned_rate = 1", rate, period ?? 1);
        change(key, "rate_count = 0, period_start = ?", now);
      });
    },

    unpin(key: string, query: URLSearchParams): void {
      db.transaction(() => {
        if (query.get("parallelism") === "true") change(key, "pinned_parallelism = 0");
        if (query.get("rate") === "true") change(key, "pinned_rate = 0");
      });
    },
  };
}

function positive(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new QstashProblem(400, `invalid ${name}: ${text}`);
  return Number(text);
}
