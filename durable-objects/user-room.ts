/**
 * One object for each user: the sockets of the user's own room, where else the user's sockets are, and which
 * sessions have ended.
 * @module
 */
import { DurableObject } from "cloudflare:workers";
import { readConfig } from "../src/env.ts";
import { CLOSE, type EndedSessions, type Published, type UserEvent } from "../src/realtime/events.ts";
import type { PollAnswer, PollRequest } from "../src/realtime/poll.ts";
import { createRooms, parseRoom, type Rooms } from "../src/realtime/rooms.ts";
import { readTicket, type Ticket } from "../src/realtime/ticket.ts";
import { Room } from "./room.ts";
import { hasEnded, SessionMemory } from "./sessions.ts";
import { openMembers, openSockets, turnAway } from "./sockets.ts";
import { type Entrance, type Whereabout, Whereabouts } from "./whereabouts.ts";

/** Rooms that could not be told of an ending are told again. */
const REVOKE_TASK = "revoke";
const REVOKE_RETRY_MS = 1_000;
/** Calls to rooms under way at once. */
const CALLS_AT_ONCE = 50;
/** The log of an erased user goes after this time. */
const CLEAR_TASK = "clear";
const CLEAR_AFTER_MS = 3_600_000;

export class UserRoom extends DurableObject<WorkerBindings> {
  readonly #room: Room;
  readonly #sessions: SessionMemory;
  readonly #whereabouts: Whereabouts;
  readonly #rooms: Rooms;
  readonly #userId: number;

  constructor(ctx: DurableObjectState, env: WorkerBindings) {
    super(ctx, env);
    this.#sessions = new SessionMemory(ctx.storage);
    this.#whereabouts = new Whereabouts(ctx.storage);
    this.#rooms = createRooms(env);
    this.#room = new Room(ctx, env, {
      vouch: async (candidate) => !hasEnded(this.#sessions.endings(Date.now()), candidate),
      parted: () => undefined,
      viewers: () => 1,
    });
    this.#userId = parseRoom(this.#room.name)?.id ?? 0;
  }

  /** Upgrades. The Worker has checked the token and the origin; 401 is for a session that ended meanwhile. */
  override fetch(request: Request): Response {
    const ticket: Ticket = readTicket(request);
    if (ticket.expiresAt <= Date.now() || hasEnded(this.#sessions.endings(Date.now()), ticket)) {
      return new Response(null, { status: 401 });
    }
    const settings = readConfig(this.env);
    if (!settings.ok) return new Response(null, { status: 503 });
    if (openSockets(this.ctx).length >= settings.config.USER_SOCKETS_MAX) {
      return turnAway(CLOSE.full, "too many sockets of this user");
    }
    return this.#room.join(ticket, crypto.randomUUID()).response;
  }

  /** Stores events in order and sends those that are new. */
  publish(events: UserEvent[]): Published {
    return this.#room.publish(events);
  }

  /**
   * A post's room is about to seat a socket of this user, or to let it live on. From here on the room hears of every
   * ending that concerns the socket.
   */
  enter(whereabout: Whereabout): Entrance {
    if (hasEnded(this.#sessions.endings(Date.now()), whereabout)) return "ended";
    return this.#whereabouts.add(whereabout, Date.now()) ? "welcome" : "full";
  }

  /** The socket is gone. */
  leave(id: string): void {
    this.#whereabouts.remove(id);
  }

  /**
   * Ends sessions: their sockets close, here and in the posts' rooms, and late ones are refused. Resolves when every
   * room has been told; `pending` when some could not be reached and will be told again.
   */
  async endSessions(ended: EndedSessions): Promise<{ status: "done" | "pending" }> {
    const now = Date.now();
    this.#sessions.end(ended, now);
    const endings = this.#sessions.endings(Date.now());
    for (const { socket, attachment } of openMembers(this.ctx)) {
      if (hasEnded(endings, attachment)) {
        this.#room.dismiss(socket, CLOSE.unauthenticated, "the session has ended");
      }
    }
    if (endings.erased) {
      this.#room.end(CLOSE.unauthenticated, "the account was erased");
      this.#room.schedule.atLatest(CLEAR_TASK, now + CLEAR_AFTER_MS);
    } else this.#room.waiters.wake();
    return { status: (await this.#tellRooms()) ? "done" : "pending" };
  }

  /** Long poll. */
  async events(request: PollRequest): Promise<PollAnswer> {
    if (hasEnded(this.#sessions.endings(Date.now()), request)) return { status: "ended" };
    const answer = await this.#room.poll(request);
    return hasEnded(this.#sessions.endings(Date.now()), request) ? { status: "ended" } : answer;
  }

  /** Makes a long poll answer now. */
  stopWaiting(waiter: string): void {
    this.#room.waiters.stop(waiter);
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    return this.#room.receive(socket, message);
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    this.#room.closed(socket, code, reason);
  }

  override webSocketError(socket: WebSocket): void {
    this.#room.failed(socket);
  }

  override async alarm(): Promise<void> {
    await this.#room.alarm({
      [REVOKE_TASK]: async () => {
        await this.#tellRooms();
      },
      [CLEAR_TASK]: () => this.#room.clear(),
    });
  }

  /** Tells the rooms that have sockets of ended sessions. @returns whether all of them know now */
  async #tellRooms(): Promise<boolean> {
    const endings = this.#sessions.endings(Date.now());
    const ended = this.#whereabouts.all().filter((whereabout) => hasEnded(endings, whereabout));
    if (ended.length === 0) return true;
    // Written down first: the alarm goes on where a room cannot be reached or this object dies half-way.
    this.#room.schedule.atLatest(REVOKE_TASK, Date.now() + REVOKE_RETRY_MS);
    const postIds = [...new Set(ended.map(({ postId }) => postId))];
    let told = true;
    for (let start = 0; start < postIds.length; start += CALLS_AT_ONCE) {
      const calls = postIds.slice(start, start + CALLS_AT_ONCE).map(async (postId) => {
        await this.#rooms.post(postId).endSessions(this.#userId, endings);
        for (const whereabout of ended) {
          if (whereabout.postId === postId) this.#whereabouts.remove(whereabout.id);
        }
      });
      const outcomes = await Promise.allSettled(calls);
      told &&= outcomes.every(({ status }) => status === "fulfilled");
    }
    return told;
  }
}
