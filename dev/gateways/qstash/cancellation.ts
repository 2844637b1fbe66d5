/**
 * `/v2/messages`: reading and cancelling what is on its way.
 * @module
 */
import type { Database } from "./database.ts";
import { parseFilter } from "./filters.ts";
import type { Lanes } from "./lanes.ts";
import { appendLog, describeMessage, findMessage, finishMessage, type MessageRow } from "./messages.ts";
import { QstashProblem } from "./problem.ts";

/** How long a delivered or failed message can still be read, as QStash removes it shortly after. */
const READABLE_AFTER_MS = 60_000;

type Cancellable = Pick<MessageRow, "seq" | "state" | "held_queue">;

export function createMessages({ db, lanes }: { db: Database; lanes: Lanes }) {
  /** One in flight cannot be called back: it is not tried again when this attempt fails. */
  function cancelOne(row: Cancellable, now: number): void {
    appendLog(db, { message: row.seq, state: "CANCEL_REQUESTED", time: now });
    if (row.state === "active") {
      db.run("UPDATE messages SET cancel_requested = 1 WHERE seq = ?", row.seq);
      return;
    }
    finishMessage(db, row.seq, "CANCELLED", now);
    appendLog(db, { message: row.seq, state: "CANCELLED", time: now });
    lanes.touchQueue(row.held_queue);
  }

  return {
    /** @throws QstashProblem 404. */
    get(id: string): Record<string, unknown> {
      const row = findMessage(db, id);
      const gone = row && row.state === "done" && !isReadable(db, row.seq);
      if (!row || gone) throw new QstashProblem(404, `message ${id} not found`);
      return describeMessage(row);
    },

    /** @throws QstashProblem 404 when it is not on its way any more. */
    cancel(id: string): { cancelled: number } {
      return db.transaction(() => {
        const row = findMessage(db, id);
        if (!row || row.state === "done") throw new QstashProblem(404, `message ${id} not found`);
        cancelOne(row, Date.now());
        return { cancelled: 1 };
      });
    },

    /** All that match, or all there are when nothing is asked for. `count` is accepted and, as in production, ignored. */
    cancelMany(query: URLSearchParams): { cancelled: number } {
      const filter = parseFilter("messages", query);
      return db.transaction(() => {
        const rows = db.all<Cancellable>(
          `SELECT m.seq, m.state, m.held_queue FROM messages m WHERE m.finished_at IS NULL AND ${filter.where}`,
          ...filter.values,
        );
        const now = Date.now();
        for (const row of rows) cancelOne(row, now);
        return { cancelled: rows.length };
      });
    },
  };
}

function isReadable(db: Database, seq: number): boolean {
  const row = db.get<{ readable: number }>(
    "SELECT outcome != 'CANCELLED' AND finished_at > ? AS readable FROM messages WHERE seq = ?",
    Date.now() - READABLE_AFTER_MS,
    seq,
  );
  return row?.readable === 1;
}
