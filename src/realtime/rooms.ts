/**
 * Names of rooms and the objects behind them: the one place that makes a stub.
 * @module
 */
import { delay } from "../common/delay.ts";
import type { PollAnswer, PollRequest } from "./poll.ts";

/** A room by what it belongs to. */
export type Room = { kind: "post" | "user"; id: number };

/** The name of a post's room: `post:7`. */
export function postRoom(postId: number): string {
  return `post:${postId}`;
}

/** The name of a user's room: `user:7`. */
export function userRoom(userId: number): string {
  return `user:${userId}`;
}

/** The room of that name, or undefined when there can be none. Only one spelling is a name: no signs, no leading zeros. */
export function parseRoom(name: string): Room | undefined {
  const [, kind, digits] = /^(post|user):([1-9]\d{0,15})$/.exec(name) ?? [];
  const id = Number(digits);
  if ((kind !== "post" && kind !== "user") || !Number.isSafeInteger(id)) return undefined;
  return { kind, id };
}

/** What both kinds of room answer to. */
export type RoomStub = {
  fetch: (request: Request) => Promise<Response>;
  events: (request: PollRequest) => Promise<PollAnswer>;
  stopWaiting: (waiter: string) => Promise<void>;
};

export type Rooms = ReturnType<typeof createRooms>;

/** Stubs cost nothing until they are called. One must not be used again after it threw. */
export function createRooms(env: Pick<WorkerBindings, "POST_ROOM" | "USER_ROOM">) {
  const post = (postId: number) => env.POST_ROOM.getByName(postRoom(postId));
  const user = (userId: number) => env.USER_ROOM.getByName(userRoom(userId));
  return {
    post,
    user,
    of: (room: Room): RoomStub => (room.kind === "post" ? post(room.id) : user(room.id)),
  };
}

const ATTEMPTS = 3;
const RETRY_BASE_MS = 50;

/**
 * Calls a room, again where the platform says that a second try may help (the object moved or restarted). `call` makes
 * its own stub each time. Full jitter, at most 150 ms of waiting in all.
 * @throws whatever the last attempt threw
 */
export async function callRoom<T>(call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call();
    } catch (error) {
      if (attempt === ATTEMPTS || !mayRetry(error)) throw error;
      await delay(Math.random() * RETRY_BASE_MS * attempt);
    }
  }
}

/** The platform marks its own errors; an overloaded object must not be asked again. */
function mayRetry(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { retryable, overloaded } = error as Error & { retryable?: boolean; overloaded?: boolean };
  return retryable === true && overloaded !== true;
}
