/**
 * Ending sessions at once, wherever they are used: access tokens by way of Redis, sockets by way of the user's room.
 * The database has it already when this is called.
 * @module
 */
import { ignoreOutage } from "../cache/client.ts";
import type { RoomPublisher } from "../realtime/publisher.ts";
import type { Overrides } from "./overrides.ts";

export type Revocation = {
  /** One session. */
  endSession: (userId: number, sessionId: number) => Promise<void>;
  /** All sessions of an older epoch, but for one. */
  endOlder: (userId: number, epoch: number, keptSessionId?: number) => Promise<void>;
  /** The account is gone, and its sessions with it. */
  endAccount: (userId: number, epoch: number) => Promise<void>;
};

export function createRevocation(
  overrides: Overrides,
  rooms: Pick<RoomPublisher, "endSessions">,
): Revocation {
  /** One call to Redis and one to the user's object, side by side. */
  async function tell(tokens: Promise<void>, sockets: Promise<unknown>): Promise<void> {
    await Promise.all([tokens.catch(ignoreOutage), sockets]);
  }
  return {
    endSession: (userId, sessionId) =>
      tell(overrides.endSession(sessionId), rooms.endSessions(userId, { sessionId })),
    endOlder(userId, epoch, keptSessionId) {
      const kept = keptSessionId === undefined ? {} : { keptSessionId };
      return tell(
        overrides.changeUser(userId, { epoch, ...kept }),
        rooms.endSessions(userId, { epoch, ...kept }),
      );
    },
    endAccount: (userId, epoch) =>
      tell(overrides.changeUser(userId, { epoch }), rooms.endSessions(userId, { erased: true })),
  };
}
