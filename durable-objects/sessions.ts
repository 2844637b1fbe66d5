/**
 * Which sessions of a user have ended: remembered for as long as their access tokens may still be about.
 * @module
 */
import { ACCESS_TOKEN_SECONDS } from "../src/auth/tokens.ts";
import type { EndedSessions } from "../src/realtime/events.ts";

/** A little longer than a token lives, for clocks that differ. */
const MEMORY_MS = (ACCESS_TOKEN_SECONDS + 120) * 1000;

const USER_KEY = "ended";

/** A session as a token tells of it. */
export type Session = { sessionId: number; epoch: number };

/** All that is known to have ended; what the rooms of the user are told. */
export type Endings = {
  sessionIds: number[];
  /** Sessions of an older epoch have ended… */
  epoch: number;
  /** …but for this one. */
  keptSessionId: number | null;
  /** Everything has ended: the account is gone. */
  erased: boolean;
};

/** Whether a session is among them. */
export function hasEnded(endings: Endings, { sessionId, epoch }: Session): boolean {
  return (
    endings.erased ||
    endings.sessionIds.includes(sessionId) ||
    (epoch < endings.epoch && sessionId !== endings.keptSessionId)
  );
}

type UserEndings = Omit<Endings, "sessionIds">;

const NOTHING: UserEndings = { epoch: 0, keptSessionId: null, erased: false };

export class SessionMemory {
  readonly #storage: DurableObjectStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    storage.sql.exec(
      "create table if not exists ended_sessions (id integer primary key, until integer not null)",
    );
  }

  /** Takes note of an ending. Repeating it, or an older one after a newer one, changes nothing. */
  end(ended: EndedSessions, now: number): void {
    const { sql, kv } = this.#storage;
    sql.exec("delete from ended_sessions where until <= ?", now);
    const user = this.#user();
    if ("sessionId" in ended) {
      sql.exec(
        "insert or replace into ended_sessions (id, until) values (?, ?)",
        ended.sessionId,
        now + MEMORY_MS,
      );
    } else if ("erased" in ended) {
      kv.put(USER_KEY, { ...user, erased: true });
    } else if (ended.epoch > user.epoch) {
      kv.put(USER_KEY, { ...user, epoch: ended.epoch, keptSessionId: ended.keptSessionId ?? null });
    }
  }

  endings(now: number): Endings {
    const { sql } = this.#storage;
    const sessions = sql.exec<{ id: number }>("select id from ended_sessions where until > ?", now).toArray();
    return { ...this.#user(), sessionIds: sessions.map(({ id }) => id) };
  }

  #user(): UserEndings {
    return this.#storage.kv.get<UserEndings>(USER_KEY) ?? NOTHING;
  }
}
