/**
 * A room's log: every event in order, bounded, in the object's own SQLite.
 * @module
 */
import { base64Url } from "../src/common/crypto.ts";
import type { Position } from "../src/realtime/events.ts";

/** The log keeps this many events and everything younger than `LOG_MIN_AGE_MS`. */
const LOG_MIN_EVENTS = 500;
const LOG_MIN_AGE_MS = 24 * 3_600_000;
/** A log that has outgrown this gives up age before the object's storage (10 GB) is full. */
const LOG_MAX_BYTES = 2 * 1024 ** 3;
/** More than this is not replayed in one go: the client reads by REST instead. Characters of JSON. */
const REPLAY_MAX_CHARACTERS = 16 * 1024 * 1024;

const EPOCH_KEY = "epoch";
const EPOCH_BYTES = 12;

/** An event as it is published. */
export type LogEvent = {
  key: string;
  type: string;
  data: unknown;
  /** The thing whose state this is; an event with an older revision than the last one of the thing is not stored. */
  state?: { of: string; revision: number };
};

/** `seqs` of all events in order, 0 for one whose state is out of date; `frames` of those that were new. */
export type Appended = { seqs: number[]; frames: string[] };

export class Backlog {
  readonly #storage: DurableObjectStorage;
  readonly #room: string;
  /** Made when the log is: another epoch means another log. */
  readonly epoch: string;

  /** @param room the name that frames carry */
  constructor(storage: DurableObjectStorage, room: string) {
    this.#storage = storage;
    this.#room = room;
    storage.sql.exec(`create table if not exists events (
      seq integer primary key, key text not null unique, at integer not null, frame text not null);
      create table if not exists states (thing text primary key, revision integer not null, at integer not null);
      create index if not exists states_at on states (at)`);
    let epoch = storage.kv.get<string>(EPOCH_KEY);
    if (epoch === undefined) {
      epoch = base64Url(crypto.getRandomValues(new Uint8Array(EPOCH_BYTES)));
      storage.kv.put(EPOCH_KEY, epoch);
    }
    this.epoch = epoch;
  }

  /** Stores the events whose keys are new, all or none. @param now milliseconds since the epoch */
  append(events: readonly LogEvent[], now: number): Appended {
    return this.#storage.transactionSync(() => {
      const seqs: number[] = [];
      const frames: string[] = [];
      let { last } = this.bounds();
      for (const { key, type, data, state } of events) {
        const known = this.#storage.sql
          .exec<{ seq: number }>("select seq from events where key = ?", key)
          .toArray()[0];
        if (known) {
          seqs.push(known.seq);
          continue;
        }
        if (state && !this.#advance(state, now)) {
          seqs.push(0);
          continue;
        }
        last += 1;
        const at = new Date(now).toISOString();
        const frame = JSON.stringify({ type, room: this.#room, seq: last, at, data });
        this.#storage.sql.exec(
          "insert into events (seq, key, at, frame) values (?, ?, ?, ?)",
          last,
          key,
          now,
          frame,
        );
        seqs.push(last);
        frames.push(frame);
      }
      return { seqs, frames };
    });
  }

  /** Takes note of a thing's state. @returns false when a newer one is known */
  #advance({ of, revision }: { of: string; revision: number }, now: number): boolean {
    const [known] = this.#storage.sql
      .exec<{ revision: number }>("select revision from states where thing = ?", of)
      .toArray();
    if (known && known.revision > revision) return false;
    this.#storage.sql.exec(
      "insert into states (thing, revision, at) values (?, ?, ?) on conflict (thing) do update set revision = excluded.revision, at = excluded.at",
      of,
      revision,
      now,
    );
    return true;
  }

  /** The oldest and the newest event that is kept; of an empty log 1 and 0. */
  bounds(): { first: number; last: number } {
    return this.#storage.sql
      .exec<{ first: number; last: number }>(
        "select coalesce((select min(seq) from events), 1) as first, coalesce((select max(seq) from events), 0) as last",
      )
      .one();
  }

  /**
   * All frames behind a position, in order; undefined when the log cannot tell them: it is another log, it no longer
   * reaches back so far, or they are too many for one go.
   */
  replay(position: Position): string[] | undefined {
    if (!this.#reaches(position)) return undefined;
    const frames = this.#read(position.after, REPLAY_MAX_CHARACTERS);
    return frames.whole ? frames.texts : undefined;
  }

  /** The next frames behind a position, up to about `maxCharacters` but at least one; undefined as for `replay`. */
  page(position: Position, maxCharacters: number): string[] | undefined {
    return this.#reaches(position) ? this.#read(position.after, maxCharacters).texts : undefined;
  }

  /**
   * Forgets what is over both bounds.
   * @returns when there will be more to forget (milliseconds since the epoch); undefined while nothing is over the count
   */
  trim(now: number): number | undefined {
    const { sql } = this.#storage;
    const { first, last } = this.bounds();
    const surplus = last - LOG_MIN_EVENTS;
    if (surplus < first) return undefined;
    const youngerThan = sql.databaseSize > LOG_MAX_BYTES ? now : now - LOG_MIN_AGE_MS;
    const young = sql
      .exec<{ seq: number; at: number }>(
        "select seq, at from events where seq <= ? and at > ? order by seq limit 1",
        surplus,
        youngerThan,
      )
      .toArray()[0];
    sql.exec("delete from events where seq < ?", young?.seq ?? surplus + 1);
    sql.exec("delete from states where at <= ?", youngerThan);
    return young && young.at + LOG_MIN_AGE_MS;
  }

  /** Forgets everything; for a room that is gone for good. */
  clear(): void {
    this.#storage.sql.exec("delete from events; delete from states");
  }

  #reaches({ epoch, after }: Position): boolean {
    const { first, last } = this.bounds();
    return epoch === this.epoch && after >= first - 1 && after <= last;
  }

  #read(after: number, maxCharacters: number): { texts: string[]; whole: boolean } {
    const texts: string[] = [];
    let characters = 0;
    const rows = this.#storage.sql.exec<{ frame: string }>(
      "select frame from events where seq > ? order by seq",
      after,
    );
    for (const { frame } of rows) {
      if (texts.length > 0 && characters + frame.length > maxCharacters) return { texts, whole: false };
      texts.push(frame);
      characters += frame.length;
    }
    return { texts, whole: true };
  }
}
