/**
 * The two kinds of line a message may have to stand in before it is delivered: its queue (in order, at most
 * `parallelism` messages under way, retries and callbacks included) and its flow-control key (at most
 * `parallelism` in flight and `rate` started per period). Which message stands where is in the database; this
 * module remembers only which lines are worth another look.
 * @module
 */
import type { Database } from "./database.ts";

/** What the gate has to know of a message that has become due. */
export type DueRow = {
  seq: number;
  id: string;
  queue_name: string | null;
  held_queue: string | null;
  queue_order: number | null;
  flow_key: string | null;
};

export type FlowRow = {
  key: string;
  parallelism: number;
  rate: number;
  period_seconds: number;
  pinned_parallelism: number;
  pinned_rate: number;
  paused: number;
  rate_count: number;
  period_start: number;
};

/** `speed` divides the period of a rate. `wake` asks the dispatcher for another round. */
export function createLanes({ db, speed, wake }: { db: Database; speed: number; wake: () => void }) {
  const queuesToCheck = new Set<string>();
  const keysToCheck = new Set<string>();
  /** When the next period of a key starts that has used up its rate and has messages waiting. */
  const periodEnds = new Map<string, number>();
  let lastOrder = 0;

  /** Looks at every line again, as after a start. */
  function checkAll(): void {
    const highest = db.get<{ queue: number | null; flow: number | null }>(
      "SELECT MAX(queue_order) AS queue, MAX(flow_order) AS flow FROM messages WHERE state != 'done'",
    );
    lastOrder = Math.max(lastOrder, highest?.queue ?? 0, highest?.flow ?? 0);
    for (const { name } of db.all<{ name: string }>(
      "SELECT DISTINCT queue_name AS name FROM messages WHERE state = 'queued'",
    )) {
      queuesToCheck.add(name);
    }
    for (const { key } of db.all<{ key: string }>(
      "SELECT DISTINCT flow_key AS key FROM messages WHERE state = 'waiting'",
    )) {
      keysToCheck.add(key);
    }
  }

  /** The next place at the end of a line. */
  function nextOrder(): number {
    lastOrder += 1;
    return lastOrder;
  }

  /** Something about the queue changed: a message joined or left, or its settings did. */
  function touchQueue(name: string | null): void {
    if (name === null) return;
    queuesToCheck.add(name);
    wake();
  }

  function touchFlow(key: string | null): void {
    if (key === null) return;
    keysToCheck.add(key);
    wake();
  }

  /** Lets the first messages of every queue through as far as there is room; they become due. */
  function admitQueued(now: number): void {
    for (const name of queuesToCheck) {
      queuesToCheck.delete(name);
      const queue = db.get<{ parallelism: number; paused: number }>(
        "SELECT parallelism, paused FROM queues WHERE name = ?",
        name,
      );
      if (!queue || queue.paused) continue;
      const used = db.get<{ slots: number }>(
        "SELECT COUNT(DISTINCT slot) AS slots FROM messages WHERE held_queue = ? AND finished_at IS NULL",
        name,
      );
      const free = queue.parallelism - (used?.slots ?? 0);
      if (free <= 0) continue;
      db.run(
        `UPDATE messages SET state = 'due', due_at = ?, held_queue = queue_name, slot = id WHERE seq IN
           (SELECT seq FROM messages WHERE queue_name = ? AND state = 'queued' ORDER BY queue_order LIMIT ?)`,
        now,
        name,
        free,
      );
    }
  }

  /** Whether the key lets one more start now; with `until`, when it surely will. */
  function flowRoom(key: string, now: number): { free: boolean; until?: number } {
    const flow = db.get<FlowRow>("SELECT * FROM flow_control WHERE key = ?", key);
    if (!flow) return { free: true };
    if (flow.paused) return { free: false };
    if (flow.parallelism > 0 && activeOfKey(db, key) >= flow.parallelism) return { free: false };
    if (flow.rate > 0) {
      const periodEnd = flow.period_start + (flow.period_seconds * 1000) / speed;
      if (now < periodEnd && flow.rate_count >= flow.rate)
        return { free: false, until: Math.ceil(periodEnd) };
    }
    return { free: true };
  }

  /** Counts one start against the rate of the key. */
  function countStart(key: string, now: number): void {
    db.run(
      `UPDATE flow_control SET
         rate_count = CASE WHEN period_start + period_seconds * 1000 / ?1 <= ?2 THEN 1 ELSE rate_count + 1 END,
         period_start = CASE WHEN period_start + period_seconds * 1000 / ?1 <= ?2 THEN ?2 ELSE period_start END
       WHERE key = ?3 AND rate > 0`,
      speed,
      now,
      key,
    );
  }

  /**
   * Stops a due message that has to stand in line. Those that already stand there have been taken before
   * (`takeWaiting`), so that it overtakes none.
   * @returns whether it may be delivered now; if so, it has been counted.
   */
  function passes(row: DueRow, now: number): boolean {
    if (row.queue_name !== null && !passesQueue(row, row.queue_name)) return false;
    if (row.flow_key === null) return true;
    const room = flowRoom(row.flow_key, now);
    if (room.free) {
      countStart(row.flow_key, now);
      return true;
    }
    db.run(
      "UPDATE messages SET state = 'waiting', due_at = NULL, flow_order = ? WHERE seq = ?",
      nextOrder(),
      row.seq,
    );
    if (room.until !== undefined) periodEnds.set(row.flow_key, room.until);
    return false;
  }

  function passesQueue(row: DueRow, queueName: string): boolean {
    if (row.held_queue !== null) {
      const queue = db.get<{ paused: number }>("SELECT paused FROM queues WHERE name = ?", queueName);
      if (!queue?.paused) return true;
    }
    // Back into the line: at its own place when it has one (a retry that comes due while the queue is paused).
    db.run(
      `UPDATE messages SET state = 'queued', due_at = NULL, held_queue = NULL, slot = NULL, queue_order = ?
       WHERE seq = ?`,
      row.queue_order ?? nextOrder(),
      row.seq,
    );
    queuesToCheck.add(queueName);
    return false;
  }

  /** Up to `limit` messages whose flow-control key has room again, in their order; they have been counted. */
  function takeWaiting(now: number, limit: number, activate: (seq: number) => void): void {
    for (const [key, end] of periodEnds) {
      if (end > now) continue;
      periodEnds.delete(key);
      keysToCheck.add(key);
    }
    let taken = 0;
    for (const key of keysToCheck) {
      while (taken < limit) {
        const first = db.get<{ seq: number }>(
          "SELECT seq FROM messages WHERE flow_key = ? AND state = 'waiting' ORDER BY flow_order LIMIT 1",
          key,
        );
        const room = first ? flowRoom(key, now) : undefined;
        if (!first || !room?.free) {
          keysToCheck.delete(key);
          if (room?.until !== undefined) periodEnds.set(key, room.until);
          break;
        }
        countStart(key, now);
        activate(first.seq);
        taken += 1;
      }
      if (taken >= limit) break;
    }
  }

  return {
    checkAll,
    nextOrder,
    touchQueue,
    touchFlow,
    admitQueued,
    passes,
    takeWaiting,
    /** The next moment at which a key gets room without anything else happening. */
    nextPeriodEnd: (): number => Math.min(...periodEnds.values()),
  };
}

export type Lanes = ReturnType<typeof createLanes>;

/** Deliveries in flight of a flow-control key. */
export function activeOfKey(db: Database, key: string): number {
  return (
    db.get<{ active: number }>(
      "SELECT COUNT(*) AS active FROM messages WHERE flow_key = ? AND state = 'active'",
      key,
    )?.active ?? 0
  );
}
