/**
 * What both kinds of room do: keep the log, seat sockets without a gap, answer polls, read frames, end what has
 * expired. An object owns one of these and adds what is its own.
 * @module
 */
import { createAccessTokens } from "../src/auth/tokens.ts";
import { AppError } from "../src/common/errors.ts";
import { createLogger } from "../src/common/logger.ts";
import { readConfig } from "../src/env.ts";
import { CLOSE, PING, PONG, type Published, type ReadyFrame } from "../src/realtime/events.ts";
import type { PollAnswer, PollRequest } from "../src/realtime/poll.ts";
import type { Ticket } from "../src/realtime/ticket.ts";
import { Backlog, type LogEvent } from "./backlog.ts";
import { errorFrame, readFrame } from "./frames.ts";
import { Schedule } from "./schedule.ts";
import {
  admitFrame,
  type Attachment,
  attachmentOf,
  close,
  openMembers,
  openSockets,
  reciprocate,
  send,
  setAttachment,
  userTag,
} from "./sockets.ts";
import { Waiters } from "./waiters.ts";

/** A session that wants in, or wants to stay longer. */
export type Candidate = Omit<Ticket, "position"> & { id: string };

/** What the owner adds. */
export type RoomOwner = {
  /** Whether the session may be here; false when it has ended. Rejects when that cannot be told now. */
  vouch: (candidate: Candidate) => Promise<boolean>;
  /** A socket is gone, or is being closed by the room. */
  parted: (attachment: Attachment) => void;
  /** A member types; absent where that means nothing. */
  typed?: (socket: WebSocket, attachment: Attachment, now: number) => void;
  /** People in the room. */
  viewers: () => number;
};

export type Tasks = Record<string, (now: number) => void | Promise<void>>;

/** Tasks that every room has. */
const EXPIRE = "expire";
const TRIM = "trim";
/** Sockets whose tokens end within this time end together. */
const EXPIRE_STEP_MS = 1_000;
/** A task that failed is tried again after this time. */
const TASK_RETRY_MS = 5_000;
/** About how much one answer to a poll holds; the rest comes with the next. Characters of JSON. */
const POLL_MAX_CHARACTERS = 512 * 1024;

const GONE_KEY = "gone";

export class Room {
  readonly name: string;
  readonly schedule: Schedule;
  readonly waiters = new Waiters();
  readonly #ctx: DurableObjectState;
  readonly #env: object;
  readonly #owner: RoomOwner;
  readonly #backlog: Backlog;
  readonly #log: ReturnType<typeof createLogger>;

  constructor(ctx: DurableObjectState, env: object, owner: RoomOwner) {
    const { name } = ctx.id;
    if (name === undefined) throw new Error("a room is found by its name only");
    this.name = name;
    this.#ctx = ctx;
    this.#env = env;
    this.#owner = owner;
    this.schedule = new Schedule(ctx);
    this.#backlog = new Backlog(ctx.storage, name);
    this.#log = createLogger({ room: name });
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG));
  }

  /** Whether what the room belongs to is gone for good. */
  get gone(): boolean {
    return this.#ctx.storage.kv.get<boolean>(GONE_KEY) === true;
  }

  /** Stores events, then sends those that are new. */
  publish(events: readonly LogEvent[]): Published {
    if (this.gone) return { status: "gone" };
    const now = Date.now();
    const { seqs, frames } = this.#backlog.append(events, now);
    if (frames.length > 0) {
      for (const frame of frames) this.broadcast(frame);
      this.waiters.wake();
      if (!this.schedule.has(TRIM)) this.#trim(now);
      this.schedule.revive();
    }
    return { status: "stored", seqs };
  }

  /** Sends to all but one. */
  broadcast(frame: string, except?: WebSocket): void {
    for (const socket of openSockets(this.#ctx)) {
      if (socket !== except) send(socket, frame);
    }
  }

  /**
   * Seats a socket: `ready`, then what the client missed, then what comes. All in one turn, so that no event can fall
   * between the replay and the live ones.
   */
  join(ticket: Ticket, id: string): { response: Response; socket: WebSocket } {
    const { 0: client, 1: socket } = new WebSocketPair();
    const { user, sessionId, epoch, expiresAt, position } = ticket;
    this.#ctx.acceptWebSocket(socket, [userTag(user.id)]);
    setAttachment(socket, {
      id,
      userId: user.id,
      username: user.username,
      sessionId,
      epoch,
      expiresAt,
      frames: [],
      typedAt: 0,
      parted: false,
    });
    this.schedule.atLatest(EXPIRE, expiresAt);
    const missed = position ? this.#backlog.replay(position) : [];
    send(socket, this.#ready(position === null ? "fresh" : missed ? "replayed" : "resync"));
    for (const frame of missed ?? []) send(socket, frame);
    return { response: new Response(null, { status: 101, webSocket: client }), socket };
  }

  /** Answers a long poll: at once when there is something to tell, else at the next event or when it is stopped. */
  async poll(request: PollRequest): Promise<PollAnswer> {
    const { position, waiter, waitMs, userId } = request;
    const first = this.#page(request);
    if (first.settled || !position || waitMs <= 0) return first.answer;
    const now = Date.now();
    await this.waiters.wait(waiter, userId, now + waitMs, now);
    return this.#page(request).answer;
  }

  /** Reads a frame of a client. Never throws. */
  async receive(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    try {
      await this.#receive(socket, message);
    } catch (error) {
      this.#log.error("a frame could not be handled", error);
      send(socket, errorFrame("internal"));
    }
  }

  /** The other side closed. */
  closed(socket: WebSocket, code: number, reason: string): void {
    reciprocate(socket, code, reason);
    const attachment = attachmentOf(socket);
    if (!attachment.parted) this.#owner.parted(attachment);
  }

  /** The transport broke. */
  failed(socket: WebSocket): void {
    close(socket, 1011, "transport error");
    const attachment = attachmentOf(socket);
    if (!attachment.parted) this.#owner.parted(attachment);
  }

  /** Closes one socket. */
  dismiss(socket: WebSocket, code: number, reason: string): void {
    const attachment = attachmentOf(socket);
    if (attachment.parted) return;
    setAttachment(socket, { ...attachment, parted: true });
    close(socket, code, reason);
    this.#owner.parted(attachment);
  }

  /** Ends the room for good: everybody leaves, nothing is stored any more. */
  end(code: number, reason: string): void {
    this.#ctx.storage.kv.put(GONE_KEY, true);
    for (const socket of openSockets(this.#ctx)) this.dismiss(socket, code, reason);
    this.waiters.wake();
  }

  /** Drops the log of a room that has ended. */
  clear(): void {
    this.#backlog.clear();
  }

  /** Runs what is due; what fails is tried again. */
  async alarm(tasks: Tasks): Promise<void> {
    const now = Date.now();
    const all: Tasks = { [EXPIRE]: (at) => this.#expire(at), [TRIM]: (at) => this.#trim(at), ...tasks };
    try {
      for (const name of this.schedule.take(now)) {
        try {
          await all[name]?.(now);
        } catch (error) {
          this.#log.error("a task failed", error, { task: name });
          this.schedule.atLatest(name, now + TASK_RETRY_MS);
        }
      }
    } finally {
      this.schedule.rearm();
    }
  }

  #ready(resume: ReadyFrame["resume"]): string {
    const frame: ReadyFrame = {
      type: "ready",
      room: this.name,
      epoch: this.#backlog.epoch,
      seq: this.#backlog.bounds().last,
      resume,
      viewers: this.#owner.viewers(),
    };
    return JSON.stringify(frame);
  }

  #page({ position }: PollRequest): { answer: PollAnswer; settled: boolean } {
    const page = position ? this.#backlog.page(position, POLL_MAX_CHARACTERS) : [];
    if (this.gone && !page?.length) return { answer: { status: "gone" }, settled: true };
    const resume = position === null ? "fresh" : page ? "replayed" : "resync";
    const frames = [this.#ready(resume), ...(page ?? [])];
    return { answer: { status: "ok", frames }, settled: resume !== "replayed" || frames.length > 1 };
  }

  async #receive(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    if (socket.readyState !== WebSocket.OPEN) return;
    const now = Date.now();
    const attachment = attachmentOf(socket);
    const frame = readFrame(message);
    if (frame.type === "too_large") {
      this.dismiss(socket, CLOSE.tooLarge, "the frame is too large");
      return;
    }
    if (!admitFrame(attachment, now)) {
      this.dismiss(socket, CLOSE.flooding, "too many frames");
      return;
    }
    setAttachment(socket, attachment);
    switch (frame.type) {
      case "ping":
        send(socket, PONG);
        break;
      case "auth":
        await this.#renew(socket, attachment, frame.token);
        break;
      case "typing":
        if (this.#owner.typed) this.#owner.typed(socket, attachment, now);
        else send(socket, errorFrame("unknown_type"));
        break;
      case "refused":
        send(socket, errorFrame(frame.code));
        break;
    }
  }

  /** A fresh token of the same user lets the socket live as long as the token. */
  async #renew(socket: WebSocket, { id, userId }: Attachment, token: string): Promise<void> {
    const settings = readConfig(this.#env);
    if (!settings.ok) {
      send(socket, errorFrame("unavailable"));
      return;
    }
    const { JWT_KEYS, PUBLIC_URL } = settings.config;
    let verified: Awaited<ReturnType<ReturnType<typeof createAccessTokens>["verify"]>>;
    try {
      verified = await createAccessTokens(JWT_KEYS, PUBLIC_URL).verify(token, new Date());
    } catch (error) {
      const expired = error instanceof AppError && error.kind === "token_expired";
      send(socket, errorFrame(expired ? "token_expired" : "unauthenticated"));
      return;
    }
    const { actor } = verified;
    const expiresAt = verified.expiresAt * 1000;
    if (actor.id !== userId) {
      this.dismiss(socket, CLOSE.forbidden, "the token is somebody else's");
      return;
    }
    const { sessionId, epoch } = actor;
    const user = { id: userId, username: actor.username };
    let welcome: boolean;
    try {
      welcome = await this.#owner.vouch({ id, user, sessionId, epoch, expiresAt });
    } catch (error) {
      this.#log.error("the user's object could not be asked", error);
      send(socket, errorFrame("unavailable"));
      return;
    }
    if (!welcome) {
      send(socket, errorFrame("unauthenticated"));
      return;
    }
    // Read again: other frames of the socket may have been handled meanwhile.
    const current = attachmentOf(socket);
    if (current.parted || socket.readyState !== WebSocket.OPEN || current.expiresAt >= expiresAt) return;
    setAttachment(socket, { ...current, username: user.username, sessionId, epoch, expiresAt });
  }

  #expire(now: number): void {
    let next = Infinity;
    for (const { socket, attachment } of openMembers(this.#ctx)) {
      if (attachment.expiresAt <= now) this.dismiss(socket, CLOSE.unauthenticated, "the token has expired");
      else next = Math.min(next, attachment.expiresAt);
    }
    if (next < Infinity) this.schedule.atLatest(EXPIRE, Math.max(next, now + EXPIRE_STEP_MS));
  }

  #trim(now: number): void {
    const due = this.#backlog.trim(now);
    if (due !== undefined) this.schedule.atLatest(TRIM, due);
  }
}
