/**
 * What services tell rooms. Nothing here throws for a room that cannot be reached: the caller learns it from the
 * outcome and leaves its effect due, so that a sweep repeats it; every call may be repeated.
 * @module
 */
import type { Logger } from "../common/logger.ts";
import { DONE, type Outcome, UNAVAILABLE, within } from "../common/retry.ts";
import type { EndedSessions, LikeCount, PostEvent, UserEvent } from "./events.ts";
import { callRoom, postRoom, type Rooms, userRoom } from "./rooms.ts";

/** `done`: the room has it; a room that is gone for good needs nothing. */
export type Delivery = Outcome;

/** Longest wait for a room, its second and third try included. */
const ROOM_TIMEOUT_MS = 5_000;

export type RoomPublisher = {
  /** Stores the events in the post's room in order and sends those that are new. One call to one object. */
  publishToPost: (postId: number, events: PostEvent[]) => Promise<Delivery>;
  /** Tells the post's room an absolute count. Many in a row become few frames, the last one exact. */
  publishCount: (postId: number, count: LikeCount) => Promise<Delivery>;
  /** Tells the post's room that the post is gone and closes it for good. */
  deletePost: (postId: number) => Promise<Delivery>;
  publishToUser: (userId: number, events: UserEvent[]) => Promise<Delivery>;
  /**
   * Closes the sockets of ended sessions wherever they are, and keeps late ones out. `done` may leave single rooms
   * that could not be reached to the user's own object, which goes on trying.
   */
  endSessions: (userId: number, ended: EndedSessions) => Promise<Delivery>;
};

export function createRoomPublisher(rooms: Rooms, log: Logger): RoomPublisher {
  async function deliver(room: string, call: () => Promise<unknown>): Promise<Delivery> {
    try {
      await within(ROOM_TIMEOUT_MS, "The room", callRoom(call));
      return DONE;
    } catch (error) {
      log.error("a room could not be reached", error, { room });
      return UNAVAILABLE;
    }
  }
  return {
    publishToPost: (postId, events) => deliver(postRoom(postId), () => rooms.post(postId).publish(events)),
    publishCount: (postId, count) => deliver(postRoom(postId), () => rooms.post(postId).publishCount(count)),
    deletePost: (postId) =>
      deliver(postRoom(postId), () =>
        rooms.post(postId).publish([{ key: "post_deleted", type: "post_deleted", data: { id: postId } }]),
      ),
    publishToUser: (userId, events) => deliver(userRoom(userId), () => rooms.user(userId).publish(events)),
    endSessions: (userId, ended) => deliver(userRoom(userId), () => rooms.user(userId).endSessions(ended)),
  };
}
