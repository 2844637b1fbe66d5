/**
 * Who may enter which room, and the way in: by socket or by long poll.
 * @module
 */
import type { Actor } from "../auth/actor.ts";
import type { AccessTokens } from "../auth/tokens.ts";
import { AppError } from "../common/errors.ts";
import { within } from "../common/retry.ts";
import type { PolledFrame, Position } from "./events.ts";
import type { PollAnswer } from "./poll.ts";
import { callRoom, type Room, type Rooms } from "./rooms.ts";
import { ticketRequest } from "./ticket.ts";

type Deps = {
  rooms: Rooms;
  accessTokens: Pick<AccessTokens, "verify">;
  /** Whether there is such a post that is not deleted. One statement at most. */
  postExists: (postId: number) => Promise<boolean>;
  now: () => Date;
};

/** A signed-in user with the time at which the access token ends, in seconds since the epoch. */
export type Visitor = { actor: Actor; expiresAt: number };

/** Longest wait for a room to let somebody in, or to answer when it was told to stop waiting. */
const ROOM_TIMEOUT_MS = 5_000;

export type RoomsService = ReturnType<typeof createRoomsService>;

export function createRoomsService({ rooms, accessTokens, postExists, now }: Deps) {
  async function reach<T>(timeoutMs: number, call: () => Promise<T>): Promise<T> {
    try {
      return await within(timeoutMs, "The room", callRoom(call));
    } catch (cause) {
      throw unavailable(cause);
    }
  }

  return {
    /** @throws AppError `token_expired` or `unauthenticated`. No upstream call. */
    visitor(token: string): Promise<Visitor> {
      return accessTokens.verify(token, now());
    },

    /** One statement for a post's room, none for a user's. @throws AppError `forbidden` or `not_found` */
    async requireAccess(actor: Actor, room: Room): Promise<void> {
      if (room.kind === "user") {
        if (room.id !== actor.id) throw new AppError("forbidden", "This is another user's room");
      } else if (!(await postExists(room.id))) throw noSuchPost();
    },

    /**
     * A seat in a room for somebody who may enter it.
     * @returns the client's end of the socket; a room that is full closes it at once with 4503
     * @throws AppError `unauthenticated`, `not_found` or `unavailable`
     */
    async join({ actor, expiresAt }: Visitor, room: Room, position: Position | null): Promise<WebSocket> {
      const ticket = {
        user: { id: actor.id, username: actor.username },
        sessionId: actor.sessionId,
        epoch: actor.epoch,
        expiresAt: expiresAt * 1000,
        position,
      };
      const response = await reach(ROOM_TIMEOUT_MS, () => rooms.of(room).fetch(ticketRequest(ticket)));
      if (response.webSocket) return response.webSocket;
      if (response.status === 401) throw sessionEnded();
      if (response.status === 404) throw noSuchPost();
      throw unavailable(new Error(`the room answered ${response.status}`));
    },

    /**
     * The frames behind a position; waits for the first where there is none yet.
     * @throws AppError `unauthenticated`, `not_found` or `unavailable`
     */
    async poll(
      actor: Actor,
      room: Room,
      position: Position | null,
      waitSeconds: number,
    ): Promise<PolledFrame[]> {
      const waiter = crypto.randomUUID();
      const waitMs = waitSeconds * 1000;
      const { id: userId, sessionId, epoch } = actor;
      let timer: ReturnType<typeof setTimeout> | null = null;
      // The time is kept here: a timer of the room's would keep its object awake.
      const unstoppable = new Promise<never>((_, reject) => {
        timer = setTimeout(() => {
          rooms
            .of(room)
            .stopWaiting(waiter)
            .catch((cause: unknown) => reject(unavailable(cause)));
        }, waitMs);
      });
      const request = { userId, sessionId, epoch, position, waiter, waitMs };
      let answer: PollAnswer;
      try {
        answer = await Promise.race([
          reach(waitMs + ROOM_TIMEOUT_MS, () => rooms.of(room).events(request)),
          unstoppable,
        ]);
      } finally {
        clearTimeout(timer);
      }
      if (answer.status === "ended") throw sessionEnded();
      if (answer.status === "gone") throw noSuchPost();
      return answer.frames.map(readPolledFrame);
    },
  };
}

/** A trusted cast: the room made the text from a frame. */
function readPolledFrame(text: string): PolledFrame {
  return JSON.parse(text) as PolledFrame;
}

function noSuchPost(): AppError {
  return new AppError("not_found", "There is no such post");
}

function sessionEnded(): AppError {
  return new AppError("unauthenticated", "The session has ended");
}

function unavailable(cause: unknown): AppError {
  return new AppError("unavailable", "The room cannot be reached; please try again in a moment", {
    cause,
    headers: { "retry-after": "1" },
  });
}
