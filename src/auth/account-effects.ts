/**
 * What follows when sessions end or accounts change, wherever it matters: access tokens and cached names by way of
 * Redis, sockets by way of the user's room. The rows themselves say that these effects are due, in the statement that
 * changed them, so that a sweep makes up for what an outage or a killed Worker kept from happening.
 * @module
 */
import { ignoreOutage } from "../cache/client.ts";
import type { ListCache } from "../cache/lists.ts";
import type { ForgetName } from "../cache/names.ts";
import type { Effects } from "../common/background.ts";
import { DONE, type Outcome, UNAVAILABLE } from "../common/retry.ts";
import { overdueSince, SWEEP_LIMIT, workOff } from "../common/sweep.ts";
import type { EndedSessions } from "../realtime/events.ts";
import type { RoomPublisher } from "../realtime/publisher.ts";
import type { Overrides, UserChange } from "./overrides.ts";
import type { AuthRepository } from "./repository.ts";

type Deps = {
  repository: AuthRepository;
  overrides: Overrides;
  rooms: Pick<RoomPublisher, "endSessions">;
  forgetName: ForgetName;
  listCache: Pick<ListCache, "fence">;
  effects: Effects;
  now: () => Date;
};

export type AccountEffects = ReturnType<typeof createAccountEffects>;

/** What has to reach Redis and the user's room; made anew for each attempt. */
type Change = {
  redis: () => Promise<void>[];
  room: (() => Promise<Outcome>) | null;
  settle: () => Promise<void>;
};

export function createAccountEffects(deps: Deps) {
  const { repository, overrides, rooms, forgetName, listCache, effects, now } = deps;

  /** What is cached under a name that is gone: inside posts, and the list of the user's own, which is found no more. */
  const forgetAuthor = (userId: number) => [
    forgetName(`user:${userId}`),
    listCache.fence([`posts:*:${userId}`]),
  ];

  /** All of it side by side. */
  async function reach({ redis, room }: Change): Promise<Outcome> {
    const [delivery, ...reached] = await Promise.all([
      room?.(),
      ...redis().map((effect) => effect.then(() => true).catch(ignoreOutage)),
    ]);
    return reached.every((outcome) => outcome === true) ? (delivery ?? DONE) : UNAVAILABLE;
  }

  async function reachAndSettle(change: Change): Promise<Outcome> {
    const outcome = await reach(change);
    if (outcome.status === "done") await change.settle();
    return outcome;
  }

  /** Before the answer, so that it is true when it is read; what failed is done again after it, and settled there. */
  async function deliver(change: Change): Promise<void> {
    const outcome = await reach(change);
    effects("effects of an account", async () => {
      if (outcome.status !== "done") return reachAndSettle(change);
      await change.settle();
      return DONE;
    });
  }

  function endOfSession(userId: number, sessionId: number, dueAt: Date): Change {
    return {
      redis: () => [overrides.endSession(userId, sessionId)],
      room: () => rooms.endSessions(userId, { sessionId }),
      settle: () => repository.settleSession(sessionId, dueAt),
    };
  }

  return {
    /** One session has ended. One call to Redis and one to the user's object. */
    sessionEnded: (userId: number, sessionId: number, dueAt: Date) =>
      deliver(endOfSession(userId, sessionId, dueAt)),

    /** Sessions of an older epoch have ended, all but the kept one. One call to Redis and one to the user's object. */
    sessionsEnded: (userId: number, ended: { epoch: number; keptSessionId?: number }, dueAt: Date) =>
      deliver({
        redis: () => [overrides.changeUser(userId, ended)],
        room: () => rooms.endSessions(userId, ended),
        settle: () => repository.settleUser(userId, dueAt),
      }),

    /** The user has another name. One call to Redis. */
    renamed: (userId: number, username: string, dueAt: Date) =>
      deliver({
        redis: () => [forgetName(`user:${userId}`), overrides.changeUser(userId, { username })],
        room: null,
        settle: () => repository.settleUser(userId, dueAt),
      }),

    /** The account is gone. One call to Redis and one to the user's object. */
    erased: (userId: number, epoch: number, dueAt: Date) =>
      deliver({
        redis: () => [...forgetAuthor(userId), overrides.changeUser(userId, { epoch })],
        room: () => rooms.endSessions(userId, { erased: true }),
        settle: () => repository.settleUser(userId, dueAt),
      }),

    /** Finds effects that were lost and makes up for them. @returns how many rows */
    async sweep(): Promise<number> {
      const before = overdueSince(now());
      const [sessions, users] = await Promise.all([
        repository.listOverdueSessions(before, SWEEP_LIMIT),
        repository.listOverdueUsers(before, SWEEP_LIMIT),
      ]);
      const changes = [
        ...sessions.map(({ id, userId, dueAt }) => endOfSession(userId, id, dueAt)),
        ...users.map(({ id, epoch, username, role, keptSessionId, dueAt }): Change => {
          const kept = keptSessionId === null ? {} : { keptSessionId };
          const change: UserChange = username === null ? { epoch } : { epoch, username, role, ...kept };
          const ended: EndedSessions = username === null ? { erased: true } : { epoch, ...kept };
          return {
            redis: () => [...forgetAuthor(id), overrides.changeUser(id, change)],
            room: () => rooms.endSessions(id, ended),
            settle: () => repository.settleUser(id, dueAt),
          };
        }),
      ];
      return workOff(changes, reachAndSettle);
    },
  };
}
