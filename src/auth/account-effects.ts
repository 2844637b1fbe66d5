/**
 * What follows when sessions end or accounts change, wherever it matters: access tokens and cached names by way of
 * Redis, sockets by way of the user's room. The rows themselves say that these effects are due, in the statement that
 * changed them, so that a sweep makes up for what an outage or a killed Worker kept from happening.
 * @module
 */
import { ignoreOutage } from "../cache/client.ts";
import type { Background } from "../common/background.ts";
import type { EndedSessions } from "../realtime/events.ts";
import type { Delivery, RoomPublisher } from "../realtime/publisher.ts";
import type { Overrides, UserChange } from "./overrides.ts";
import type { AuthRepository } from "./repository.ts";

type Deps = {
  repository: AuthRepository;
  overrides: Overrides;
  rooms: Pick<RoomPublisher, "endSessions">;
  /** Makes cached names of authors out of date. */
  forgetNames: () => Promise<void>;
  background: Background;
  now: () => Date;
};

/** A sweep looks for effects that stayed due for this long. */
const OVERDUE_MS = 30_000;
const SWEEP_LIMIT = 100;

export type AccountEffects = ReturnType<typeof createAccountEffects>;

export function createAccountEffects({ repository, overrides, rooms, forgetNames, background, now }: Deps) {
  /** Does all of it side by side, and settles after the answer if all of it worked. */
  async function deliver(
    redis: Promise<void>[],
    room: Promise<Delivery> | null,
    settle: () => Promise<void>,
  ) {
    const [delivery, ...reached] = await Promise.all([
      room,
      ...redis.map((effect) => effect.then(() => true).catch(ignoreOutage)),
    ]);
    if (reached.every((outcome) => outcome === true) && delivery?.status !== "unavailable") {
      background("settle effects of an account", settle);
    }
  }

  return {
    /** One session has ended. One call to Redis and one to the user's object. */
    sessionEnded: (userId: number, sessionId: number, dueAt: Date) =>
      deliver([overrides.endSession(sessionId)], rooms.endSessions(userId, { sessionId }), () =>
        repository.settleSession(sessionId, dueAt),
      ),

    /** Sessions of an older epoch have ended, all but the kept one. One call to Redis and one to the user's object. */
    sessionsEnded(userId: number, ended: { epoch: number; keptSessionId?: number }, dueAt: Date) {
      return deliver([overrides.changeUser(userId, ended)], rooms.endSessions(userId, ended), () =>
        repository.settleUser(userId, dueAt),
      );
    },

    /** The user has another name. One call to Redis. */
    renamed: (userId: number, username: string, dueAt: Date) =>
      deliver([forgetNames(), overrides.changeUser(userId, { username })], null, () =>
        repository.settleUser(userId, dueAt),
      ),

    /** The account is gone. One call to Redis and one to the user's object. */
    erased: (userId: number, epoch: number, dueAt: Date) =>
      deliver(
        [forgetNames(), overrides.changeUser(userId, { epoch })],
        rooms.endSessions(userId, { erased: true }),
        () => repository.settleUser(userId, dueAt),
      ),

    /** Finds effects that were lost and makes up for them. @returns how many rows */
    async sweep(): Promise<number> {
      const before = new Date(now().getTime() - OVERDUE_MS);
      const [sessions, users] = await Promise.all([
        repository.listOverdueSessions(before, SWEEP_LIMIT),
        repository.listOverdueUsers(before, SWEEP_LIMIT),
      ]);
      await Promise.all([
        ...sessions.map(({ id, userId, dueAt }) => this.sessionEnded(userId, id, dueAt)),
        ...users.map(({ id, epoch, username, role, keptSessionId, dueAt }) => {
          const kept = keptSessionId === null ? {} : { keptSessionId };
          const change: UserChange = username === null ? { epoch } : { epoch, username, role, ...kept };
          const ended: EndedSessions = username === null ? { erased: true } : { epoch, ...kept };
          return deliver(
            [forgetNames(), overrides.changeUser(id, change)],
            rooms.endSessions(id, ended),
            () => repository.settleUser(id, dueAt),
          );
        }),
      ]);
      return sessions.length + users.length;
    },
  };
}
