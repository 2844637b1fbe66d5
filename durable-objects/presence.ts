/**
 * Who is in a room: people, not sockets. Somebody whose last socket went still counts for a moment, so that a
 * reconnect is not seen by the others.
 * @module
 */
import { openMembers, openSockets } from "./sockets.ts";
import type { Schedule } from "./schedule.ts";

/** How long somebody without a socket still counts. */
const GRACE_MS = 10_000;
/** At most one `presence` frame in this time. */
const PRESENCE_INTERVAL_MS = 1_000;

/** Names of the tasks, for the owner's alarm. */
export const PRESENCE_TASK = "presence";
export const GRACE_TASK = "grace";

const SENT_AT_KEY = "presence_sent_at";

/** @param except a socket that knows already */
type Send = (viewers: number, except?: WebSocket) => void;

export class Presence {
  readonly #ctx: DurableObjectState;
  readonly #schedule: Schedule;
  readonly #send: Send;
  /** What the sockets and the table tell, kept while the object is awake; undefined: to be counted. */
  #viewers: number | undefined;

  constructor(ctx: DurableObjectState, schedule: Schedule, send: Send) {
    this.#ctx = ctx;
    this.#schedule = schedule;
    this.#send = send;
    ctx.storage.sql.exec(
      "create table if not exists leaving (user_id integer primary key, until integer not null)",
    );
  }

  /** People in the room. */
  viewers(): number {
    this.#viewers ??= this.#count(Date.now());
    return this.#viewers;
  }

  /** Before somebody's socket is seated. @returns whether the others have to be told */
  arrive(userId: number): boolean {
    const { rowsWritten } = this.#ctx.storage.sql.exec("delete from leaving where user_id = ?", userId);
    if (rowsWritten > 0 || openSockets(this.#ctx, userId).length > 0) return false;
    this.#viewers = this.viewers() + 1;
    return true;
  }

  /** After a socket of somebody is gone. */
  depart(userId: number, now: number): void {
    if (openSockets(this.#ctx, userId).length > 0) return;
    this.#ctx.storage.sql.exec(
      "insert into leaving (user_id, until) values (?, ?) on conflict (user_id) do nothing",
      userId,
      now + GRACE_MS,
    );
    this.#schedule.atLatest(GRACE_TASK, now + GRACE_MS);
  }

  /** Tells the room now, or as soon as a frame may be sent again. */
  announce(now: number, except?: WebSocket): void {
    if (openSockets(this.#ctx).every((socket) => socket === except)) return;
    const mayAt = (this.#ctx.storage.kv.get<number>(SENT_AT_KEY) ?? 0) + PRESENCE_INTERVAL_MS;
    if (now < mayAt) {
      this.#schedule.atLatest(PRESENCE_TASK, mayAt);
      return;
    }
    this.#ctx.storage.kv.put(SENT_AT_KEY, now);
    this.#viewers = this.#count(now);
    this.#send(this.#viewers, except);
  }

  /** Forgets those whose grace is over. */
  endGrace(now: number): void {
    const { sql } = this.#ctx.storage;
    const { rowsWritten } = sql.exec("delete from leaving where until <= ?", now);
    const { next } = sql.exec<{ next: number | null }>("select min(until) as next from leaving").one();
    if (next !== null) this.#schedule.atLatest(GRACE_TASK, next);
    if (rowsWritten === 0) return;
    this.#viewers = undefined;
    this.announce(now);
  }

  #count(now: number): number {
    const people = new Set(openMembers(this.#ctx).map(({ attachment }) => attachment.userId));
    const leaving = this.#ctx.storage.sql.exec<{ user_id: number }>(
      "select user_id from leaving where until > ?",
      now,
    );
    for (const { user_id: userId } of leaving) people.add(userId);
    return people.size;
  }
}
