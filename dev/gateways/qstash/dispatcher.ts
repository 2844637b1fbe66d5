/**
 * The engine: takes what is due from the database, keeps a bounded number of deliveries in flight, and sleeps
 * until the next thing is due.
 * @module
 */
import { attemptDelivery } from "./attempt.ts";
import type { Database } from "./database.ts";
import type { DueRow, Lanes } from "./lanes.ts";
import { appendLog, type MessageRow } from "./messages.ts";
import type { Schedules } from "./schedules.ts";
import type { Settlement } from "./settlement.ts";
import type { SigningKeys } from "./signing.ts";

/** Due messages looked at in one round, so that a long backlog does not hold up calls to the API. */
const ROUND_MAX = 200;

/** The longest sleep: the clock may jump, and Node's timers end at 24 days. */
const SLEEP_MAX_MS = 10 * 60_000;

/** Wait before a message is tried again whose result could not be stored. */
const STORAGE_RETRY_MS = 10_000;

type DispatcherOptions = {
  db: Database;
  lanes: Lanes;
  schedules: Schedules;
  settlement: Settlement;
  keys: SigningKeys;
  maxInFlight: number;
};

export function createDispatcher({ db, lanes, schedules, settlement, keys, maxInFlight }: DispatcherOptions) {
  const running = new Set<Promise<void>>();
  const shutdown = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let roundAsked = false;
  let roundFailed = false;

  /** Asks for a round soon. Cheap: any number of calls before it make one round. */
  function wake(): void {
    if (roundAsked || shutdown.signal.aborted) return;
    roundAsked = true;
    setImmediate(() => {
      roundAsked = false;
      if (shutdown.signal.aborted) return;
      try {
        round();
      } catch (error) {
        console.error("[qstash]", error);
        roundFailed = true;
        sleepUntil(Date.now() + STORAGE_RETRY_MS);
      }
    });
  }

  function round(): void {
    const now = Date.now();
    const { claimed, more } = db.transaction(() => {
      // What the lanes remember may have run ahead of a transaction that was undone.
      if (roundFailed) lanes.checkAll();
      schedules.fireDue(now);
      lanes.admitQueued(now);
      return claim(now, maxInFlight - running.size);
    });
    roundFailed = false;
    for (const row of claimed) start(row);
    if (running.size >= maxInFlight) return;
    if (more) wake();
    else sleepUntil(Math.min(nextDueAt(), schedules.nextDueAt(), lanes.nextPeriodEnd()));
  }

  /** Marks up to `free` messages as in flight, those that stood in line for a flow-control key first. */
  function claim(now: number, free: number): { claimed: MessageRow[]; more: boolean } {
    const claimed: MessageRow[] = [];
    if (free <= 0) return { claimed, more: false };
    const activate = (seq: number) => {
      const row = db.get<MessageRow>(
        "UPDATE messages SET state = 'active', due_at = NULL, flow_order = NULL WHERE seq = ? RETURNING *",
        seq,
      );
      if (!row) return;
      appendLog(db, { message: seq, state: "ACTIVE", time: now });
      claimed.push(row);
    };
    lanes.takeWaiting(now, free, activate);
    const due = db.all<DueRow>(
      `SELECT seq, id, queue_name, held_queue, queue_order, flow_key FROM messages
       WHERE state = 'due' AND due_at <= ? ORDER BY due_at, seq LIMIT ?`,
      now,
      ROUND_MAX,
    );
    let queued = false;
    for (const row of due) {
      if (claimed.length >= free) break;
      if (lanes.passes(row, now)) activate(row.seq);
      else queued ||= row.queue_name !== null;
    }
    return { claimed, more: due.length === ROUND_MAX || queued };
  }

  const nextDueAt = () =>
    db.get<{ at: number | null }>("SELECT MIN(due_at) AS at FROM messages WHERE state = 'due'")?.at ??
    Infinity;

  function start(row: MessageRow): void {
    const delivery = deliver(row).finally(() => {
      running.delete(delivery);
      wake();
    });
    running.add(delivery);
  }

  /** On shutdown the message stays marked as in flight, so that the next start delivers it again. */
  async function deliver(row: MessageRow): Promise<void> {
    const result = await attemptDelivery(row, keys.read().current, shutdown.signal);
    if (shutdown.signal.aborted) return;
    try {
      db.transaction(() => settlement.settle(row, result));
    } catch (error) {
      console.error("[qstash]", error);
      putBack(row.seq);
    }
  }

  /** If this fails as well, the message stays marked as in flight until the next start. */
  function putBack(seq: number): void {
    try {
      db.run(
        "UPDATE messages SET state = 'due', due_at = ? WHERE seq = ?",
        Date.now() + STORAGE_RETRY_MS,
        seq,
      );
    } catch (error) {
      console.error("[qstash]", error);
    }
  }

  function sleepUntil(time: number): void {
    clearTimeout(timer);
    timer = setTimeout(wake, Math.min(SLEEP_MAX_MS, Math.max(0, time - Date.now())));
  }

  return {
    wake,

    /** Takes up what the last process left behind: what was in flight is due again at once. */
    resume(): void {
      db.run("UPDATE messages SET state = 'due', due_at = ? WHERE state = 'active'", Date.now());
      lanes.checkAll();
      wake();
    },

    /** Gives up deliveries in flight and waits until nothing uses the database any more. */
    async close(): Promise<void> {
      shutdown.abort();
      clearTimeout(timer);
      await Promise.allSettled(running);
    },
  };
}

export type Dispatcher = ReturnType<typeof createDispatcher>;
