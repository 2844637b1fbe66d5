/**
 * `/v2/queues`.
 * @module
 */
import type { Database } from "./database.ts";
import type { Lanes } from "./lanes.ts";
import { appendLog, finishMessage } from "./messages.ts";
import { QstashProblem } from "./problem.ts";

type QueueRow = {
  name: string;
  parallelism: number;
  paused: number;
  created_at: number;
  updated_at: number;
};

const DEFAULT_PARALLELISM = 1;

const PARALLELISM_MAX = 1_000_000;

/** Creates the queue when it is missing. @throws QstashProblem 400 for a bad name. */
export function ensureQueue(db: Database, name: string, now: number): void {
  checkQueueName(name);
  db.run(
    "INSERT INTO queues VALUES (?, ?, 0, ?, ?) ON CONFLICT (name) DO NOTHING",
    name,
    DEFAULT_PARALLELISM,
    now,
    now,
  );
}

function checkQueueName(name: string): void {
  if (!/^[\w.-]+$/.test(name)) {
    throw new QstashProblem(
      400,
      "queue names can only contain alphanumeric characters, hyphens, periods and underscores",
    );
  }
}

export function createQueues({ db, lanes }: { db: Database; lanes: Lanes }) {
  function describe(row: QueueRow): Record<string, unknown> {
    const lag = db.get<{ lag: number }>(
      "SELECT COUNT(*) AS lag FROM messages WHERE queue_name = ? AND finished_at IS NULL",
      row.name,
    );
    return {
      name: row.name,
      createdAt: row.created_at,
      updatedAt: row.updated_at,
      parallelism: row.parallelism,
      paused: row.paused === 1,
      lag: lag?.lag ?? 0,
    };
  }

  function setPaused(name: string, paused: boolean): void {
    checkQueueName(name);
    const found = db.run(
      "UPDATE queues SET paused = ?, updated_at = ? WHERE name = ?",
      Number(paused),
      Date.now(),
      name,
    );
    if (found === 0) throw new QstashProblem(404, `queue ${name} not found`);
    lanes.touchQueue(name);
  }

  return {
    list: () => db.all<QueueRow>("SELECT * FROM queues ORDER BY name").map((row) => describe(row)),

    /** @throws QstashProblem 404. */
    get(name: string): Record<string, unknown> {
      checkQueueName(name);
      const row = db.get<QueueRow>("SELECT * FROM queues WHERE name = ?", name);
      if (!row) throw new QstashProblem(404, `queue ${name} not found`);
      return describe(row);
    },

    /** Creates or changes a queue; `parallelism` is 1 and `paused` false unless given. @throws QstashProblem 400. */
    upsert(body: unknown): void {
      const given = (body ?? {}) as Record<string, unknown>;
      const { queueName, parallelism = DEFAULT_PARALLELISM, paused = false } = given;
      if (typeof queueName !== "string") throw new QstashProblem(400, "queueName is required");
      checkQueueName(queueName);
      if (
        typeof parallelism !== "number" ||
        !Number.isInteger(parallelism) ||
        parallelism < 1 ||
        parallelism > PARALLELISM_MAX
      ) {
        throw new QstashProblem(400, `parallelism must be a whole number from 1 to ${PARALLELISM_MAX}`);
      }
      if (typeof paused !== "boolean") throw new QstashProblem(400, "paused must be a boolean");
      const now = Date.now();
      db.run(
        `INSERT INTO queues VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET
           parallelism = excluded.parallelism, paused = excluded.paused, updated_at = excluded.updated_at`,
        queueName,
        parallelism,
        Number(paused),
        now,
        now,
      );
      lanes.touchQueue(queueName);
    },

    pause: (name: string) => setPaused(name, true),
    resume: (name: string) => setPaused(name, false),

    /** Removes the queue and cancels what stands in it; a delivery in flight is let finish. */
    remove(name: string): void {
      checkQueueName(name);
      const now = Date.now();
      db.transaction(() => {
        db.run("DELETE FROM queues WHERE name = ?", name);
        const standing = db.all<{ seq: number }>(
          "SELECT seq FROM messages WHERE queue_name = ? AND finished_at IS NULL AND state != 'active'",
          name,
        );
        for (const { seq } of standing) {
          finishMessage(db, seq, "CANCELLED", now);
          appendLog(db, { message: seq, state: "CANCELLED", time: now });
        }
      });
    },
  };
}
