/**
 * Where a user's sockets are: one row for each socket in a post's room, written before the room accepts it.
 * @module
 */
import type { Session } from "./sessions.ts";

/** A socket in a post's room. */
export type Whereabout = Session & {
  /** The connection's id, made by the post's room. */
  id: string;
  postId: number;
  /** When its token ends, milliseconds since the epoch. */
  expiresAt: number;
};

/** Whether a socket may be seated: its session is good, has ended, or the user has `WHEREABOUTS_MAX` sockets already. */
export type Entrance = "welcome" | "ended" | "full";

/** Sockets of one user in all posts' rooms together. */
const WHEREABOUTS_MAX = 500;
/** A row is kept this much longer than its token, in case its room was late. */
const EXPIRED_FOR_MS = 60_000;

type Row = { id: string; post_id: number; session_id: number; epoch: number };

export class Whereabouts {
  readonly #sql: SqlStorage;

  constructor(storage: DurableObjectStorage) {
    this.#sql = storage.sql;
    this.#sql.exec(`create table if not exists whereabouts (
      id text primary key, post_id integer not null, session_id integer not null,
      epoch integer not null, expires_at integer not null)`);
  }

  /** Notes a socket, or that it lives on under another token. @returns false when there are too many */
  add({ id, postId, sessionId, epoch, expiresAt }: Whereabout, now: number): boolean {
    // Rooms that lost their sockets in a crash or a deployment never said so.
    this.#sql.exec("delete from whereabouts where expires_at < ?", now - EXPIRED_FOR_MS);
    const { others } = this.#sql
      .exec<{ others: number }>("select count(*) as others from whereabouts where id <> ?", id)
      .one();
    if (others >= WHEREABOUTS_MAX) return false;
    this.#sql.exec(
      "insert or replace into whereabouts (id, post_id, session_id, epoch, expires_at) values (?, ?, ?, ?, ?)",
      id,
      postId,
      sessionId,
      epoch,
      expiresAt,
    );
    return true;
  }

  remove(id: string): void {
    this.#sql.exec("delete from whereabouts where id = ?", id);
  }

  all(): (Session & { id: string; postId: number })[] {
    return this.#sql
      .exec<Row>("select id, post_id, session_id, epoch from whereabouts")
      .toArray()
      .map((row) => ({ id: row.id, postId: row.post_id, sessionId: row.session_id, epoch: row.epoch }));
  }
}
