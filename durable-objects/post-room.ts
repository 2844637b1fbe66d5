/**
 * One object for each post: who watches it, and everything that happens to it in order.
 * @module
 */
import { DurableObject } from "cloudflare:workers";
import { readConfig } from "../src/env.ts";
import {
  CLOSE,
  type CountPublished,
  type LikeCount,
  type PostEvent,
  type Published,
  type ServerFrame,
  TYPING_INTERVAL_MS,
} from "../src/realtime/events.ts";
import type { PollAnswer, PollRequest } from "../src/realtime/poll.ts";
import { createRooms, parseRoom, type Rooms } from "../src/realtime/rooms.ts";
import { readTicket, type Ticket } from "../src/realtime/ticket.ts";
import { COUNTS_TASK, LikeCounts } from "./like-counts.ts";
import { GRACE_TASK, Presence, PRESENCE_TASK } from "./presence.ts";
import { type Candidate, Room } from "./room.ts";
import { type Endings, hasEnded } from "./sessions.ts";
import { type Attachment, openMembers, openSockets, send, setAttachment, turnAway } from "./sockets.ts";
import type { Entrance } from "./whereabouts.ts";

/** The log of a deleted post goes after this time. */
const CLEAR_TASK = "clear";
const CLEAR_AFTER_MS = 24 * 3_600_000;

export class PostRoom extends DurableObject<WorkerBindings> {
  readonly #room: Room;
  readonly #presence: Presence;
  readonly #counts: LikeCounts;
  readonly #rooms: Rooms;
  readonly #postId: number;
  /** Whoever waits for the user's object to vouch, and whether the session ended meanwhile. In memory, as the waiting is. */
  readonly #vouching = new Set<{ candidate: Candidate; ended: boolean }>();

  constructor(ctx: DurableObjectState, env: WorkerBindings) {
    super(ctx, env);
    this.#room = new Room(ctx, env, {
      vouch: (candidate) => this.#vouch(candidate).then((outcome) => outcome === "welcome"),
      parted: (attachment) => this.#parted(attachment),
      typed: (socket, attachment, now) => this.#typed(socket, attachment, now),
      viewers: () => this.#presence.viewers(),
    });
    this.#postId = parseRoom(this.#room.name)?.id ?? 0;
    this.#presence = new Presence(ctx, this.#room.schedule, (viewers, except) =>
      this.#room.broadcast(this.#frame({ type: "presence", data: { viewers } }), except),
    );
    this.#counts = new LikeCounts(ctx.storage);
    this.#rooms = createRooms(env);
  }

  /**
   * Upgrades. The Worker has checked the token, the origin and the post; 401 is for a session that ended meanwhile, 404
   * for a post that was deleted meanwhile, 503 when the user's object cannot be asked.
   */
  override async fetch(request: Request): Promise<Response> {
    const ticket = readTicket(request);
    const early = this.#refusal(ticket);
    if (early) return early;
    const candidate: Candidate = { ...ticket, id: crypto.randomUUID() };
    let outcome: Entrance;
    try {
      outcome = await this.#vouch(candidate);
    } catch {
      return new Response(null, { status: 503 });
    }
    if (outcome === "ended") return new Response(null, { status: 401 });
    if (outcome === "full") return turnAway(CLOSE.full, "too many rooms at once");
    const late = this.#refusal(ticket);
    if (late) {
      this.#forget(candidate.id, ticket.user.id);
      return late;
    }
    const news = this.#presence.arrive(ticket.user.id);
    const { response, socket } = this.#room.join(ticket, candidate.id);
    if (news) this.#presence.announce(Date.now(), socket);
    return response;
  }

  /** Stores events in order and sends those that are new. A deletion ends the room. */
  publish(events: PostEvent[]): Published {
    const outcome = this.#room.publish(events.map((event) => this.#withLatestCount(event)));
    if (outcome.status === "stored" && events.some(({ type }) => type === "post_deleted")) {
      this.#room.end(CLOSE.gone, "the post was deleted");
      this.#room.schedule.atLatest(CLEAR_TASK, Date.now() + CLEAR_AFTER_MS);
    }
    return outcome;
  }

  /** A whole object that was read before its last like does not take the count back. */
  #withLatestCount(event: PostEvent): PostEvent {
    if (!event.state || !("likeCount" in event.data)) return event;
    const type = event.type === "post_updated" ? "post_liked" : "comment_liked";
    const likeCount = this.#counts.newerThan(type, event.data.id, event.state.revision);
    return likeCount === undefined ? event : ({ ...event, data: { ...event.data, likeCount } } as PostEvent);
  }

  /** Takes an absolute count: frames of one target keep their distance, the last one is exact. */
  publishCount(count: LikeCount): CountPublished {
    if (this.#room.gone) return { status: "gone" };
    return this.ctx.storage.transactionSync(() => {
      const verdict = this.#counts.record(count, Date.now());
      if (verdict.status === "sent") this.#room.publish([verdict.event]);
      if (verdict.status === "held") this.#room.schedule.atLatest(COUNTS_TASK, verdict.due);
      return { status: verdict.status };
    });
  }

  /** Closes the sockets of a user's ended sessions, those included that are only about to open. Called by the user's object. */
  endSessions(userId: number, endings: Endings): void {
    for (const waiting of this.#vouching) {
      const { candidate } = waiting;
      if (candidate.user.id === userId && hasEnded(endings, candidate)) waiting.ended = true;
    }
    for (const { socket, attachment } of openMembers(this.ctx, userId)) {
      if (hasEnded(endings, attachment)) {
        this.#room.dismiss(socket, CLOSE.unauthenticated, "the session has ended");
      }
    }
  }

  /** Long poll. */
  events(request: PollRequest): Promise<PollAnswer> {
    return this.#room.poll(request);
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
      [PRESENCE_TASK]: (now) => this.#presence.announce(now),
      [GRACE_TASK]: (now) => this.#presence.endGrace(now),
      [COUNTS_TASK]: (now) => this.#sendCounts(now),
      [CLEAR_TASK]: () => this.#clear(),
    });
  }

  #refusal({ user, expiresAt }: Ticket): Response | undefined {
    if (this.#room.gone) return new Response(null, { status: 404 });
    if (expiresAt <= Date.now()) return new Response(null, { status: 401 });
    const settings = readConfig(this.env);
    if (!settings.ok) return new Response(null, { status: 503 });
    const { ROOM_SOCKETS_MAX, USER_SOCKETS_MAX } = settings.config;
    if (openSockets(this.ctx, user.id).length >= USER_SOCKETS_MAX) {
      return turnAway(CLOSE.full, "too many sockets of this user");
    }
    if (openSockets(this.ctx).length >= ROOM_SOCKETS_MAX) return turnAway(CLOSE.full, "the room is full");
    return undefined;
  }

  /** Notes the socket with the user's object and asks whether its session is good. Rejects when that cannot be reached. */
  async #vouch(candidate: Candidate): Promise<Entrance> {
    const { id, user, sessionId, epoch, expiresAt } = candidate;
    const waiting = { candidate, ended: false };
    this.#vouching.add(waiting);
    try {
      const outcome = await this.#rooms
        .user(user.id)
        .enter({ id, postId: this.#postId, sessionId, epoch, expiresAt });
      return waiting.ended ? "ended" : outcome;
    } finally {
      this.#vouching.delete(waiting);
    }
  }

  #parted({ id, userId }: Attachment): void {
    // Whoever watched a deleted post is forgotten with the token, instead of all at once.
    if (this.#room.gone) return;
    this.#forget(id, userId);
    this.#presence.depart(userId, Date.now());
  }

  /** A note that stays by accident only lasts as long as its token. */
  #forget(id: string, userId: number): void {
    this.ctx.waitUntil(
      this.#rooms
        .user(userId)
        .leave(id)
        .catch(() => undefined),
    );
  }

  #typed(socket: WebSocket, attachment: Attachment, now: number): void {
    if (now < attachment.typedAt + TYPING_INTERVAL_MS) return;
    setAttachment(socket, { ...attachment, typedAt: now });
    const { userId, username } = attachment;
    const frame = this.#frame({ type: "typing", data: { user: { id: userId, username } } });
    for (const member of openMembers(this.ctx)) {
      if (member.attachment.userId !== userId) send(member.socket, frame);
    }
  }

  #sendCounts(now: number): void {
    this.ctx.storage.transactionSync(() => this.#room.publish(this.#counts.takeDue(now)));
    const next = this.#counts.nextDue();
    if (next !== null) this.#room.schedule.atLatest(COUNTS_TASK, next);
    this.#counts.trim(now);
  }

  #clear(): void {
    this.#room.clear();
    this.#counts.clear();
  }

  /** A frame that has no place in the log. */
  #frame(frame: Unlogged): string {
    return JSON.stringify({ ...frame, room: this.#room.name, at: new Date().toISOString() });
  }
}

type Unlogged =
  Extract<ServerFrame, { type: "presence" | "typing" }> extends infer Frame
    ? Frame extends { type: infer Type; data: infer Data }
      ? { type: Type; data: Data }
      : never
    : never;
