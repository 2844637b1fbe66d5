/**
 * Like counts on their way to a room: absolute, never back to an older state, and few frames where many likes come.
 * @module
 */
import type { LikeCount } from "../src/realtime/events.ts";
import type { LogEvent } from "./backlog.ts";

/** Time between two frames of one target. Four in a second with room to spare for the network's jitter. */
const COUNT_INTERVAL_MS = 300;
/** Longer than any count can be on its way. */
const COUNT_MEMORY_MS = 7 * 24 * 3_600_000;

/** Names the task, for the owner's alarm. */
export const COUNTS_TASK = "counts";

/** What to do about a count: publish it, wait until `due` (milliseconds since the epoch), or nothing. */
export type CountVerdict =
  | { status: "sent"; event: LogEvent }
  | { status: "held"; due: number }
  | { status: "known" };

type Row = {
  target: string;
  count: number;
  revision: number;
  sent_at: number;
  held: number;
};

export class LikeCounts {
  readonly #sql: SqlStorage;

  constructor(storage: DurableObjectStorage) {
    this.#sql = storage.sql;
    this.#sql.exec(`create table if not exists like_counts (
      target text primary key, count integer not null, revision integer not null,
      sent_at integer not null, held integer not null);
      create index if not exists like_counts_held on like_counts (sent_at) where held = 1`);
  }

  /** Takes note of a count. */
  record({ type, targetId, likeCount, revision }: LikeCount, now: number): CountVerdict {
    const target = `${type}:${targetId}`;
    const row = this.#sql.exec<Row>("select * from like_counts where target = ?", target).toArray()[0];
    if (row && revision <= row.revision) return { status: "known" };
    const due = row ? row.sent_at + COUNT_INTERVAL_MS : now;
    if (now < due) {
      // Held even where it came back to what was sent: somebody may have read by REST what it was in between.
      this.#sql.exec(
        "update like_counts set count = ?, revision = ?, held = 1 where target = ?",
        likeCount,
        revision,
        target,
      );
      return { status: "held", due };
    }
    this.#sql.exec(
      `insert into like_counts (target, count, revision, sent_at, held) values (?, ?, ?, ?, 0)
        on conflict (target) do update set count = excluded.count, revision = excluded.revision,
          sent_at = excluded.sent_at, held = 0`,
      target,
      likeCount,
      revision,
      now,
    );
    return { status: "sent", event: toEvent({ target, count: likeCount, revision }) };
  }

  /** The count as of a later revision than the given one; undefined when none is known. */
  newerThan(type: LikeCount["type"], targetId: number, revision: number): number | undefined {
    return this.#sql
      .exec<Pick<Row, "count">>(
        "select count from like_counts where target = ? and revision > ?",
        `${type}:${targetId}`,
        revision,
      )
      .toArray()[0]?.count;
  }

  /** Takes the held counts whose time has come. */
  takeDue(now: number): LogEvent[] {
    return this.#sql
      .exec<Row>(
        "update like_counts set sent_at = ?, held = 0 where held = 1 and sent_at <= ? returning *",
        now,
        now - COUNT_INTERVAL_MS,
      )
      .toArray()
      .map(toEvent);
  }

  /** When the next held count may go; null: none is held. */
  nextDue(): number | null {
    const { first } = this.#sql
      .exec<{ first: number | null }>("select min(sent_at) as first from like_counts where held = 1")
      .one();
    return first === null ? null : first + COUNT_INTERVAL_MS;
  }

  /** Forgets targets that nobody has liked for a long time. */
  trim(now: number): void {
    this.#sql.exec("delete from like_counts where held = 0 and sent_at < ?", now - COUNT_MEMORY_MS);
  }

  clear(): void {
    this.#sql.exec("delete from like_counts");
  }
}

function toEvent({ target, count, revision }: Pick<Row, "target" | "count" | "revision">): LogEvent {
  const [type = "", id] = target.split(":");
  return { key: `${target}:${revision}`, type, data: { targetId: Number(id), likeCount: count } };
}
