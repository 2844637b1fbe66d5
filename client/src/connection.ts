/**
 * A room's connection: comes back when it breaks, goes on where it was, and tells every event once and in order.
 * @module
 */
import { ProblemError, RoomClosedError, SessionEndedError } from "./errors.ts";
import {
  CLOSE,
  type EventFrame,
  isEvent,
  type PassingFrame,
  type ReadyFrame,
  type Resync,
} from "./frames.ts";
import type { ClientFrame, ServerFrame } from "./generated/frames.ts";
import type { Http } from "./http.ts";
import type { SavedSession } from "./session.ts";
import { RoomSocket } from "./socket.ts";
import { abandonable, fullJitter } from "./waiting.ts";
import { onWake } from "./wake.ts";

/**
 * `offline`: not connected, coming back. `catching-up`: connected, and what was missed is on its way. `live`: everything
 * is here as it happens. `closed`: over for good.
 */
export type ConnectionState = "offline" | "catching-up" | "live" | "closed";

export type ConnectionOptions = {
  http: Http;
  room: string;
  WebSocket: typeof WebSocket;
  pingIntervalMs: number;
  onFrame: (frame: EventFrame | PassingFrame) => void;
  onReady: (frame: ReadyFrame) => void;
  onResync: (reason: Resync["reason"]) => void;
  onState: (state: ConnectionState) => void;
  /** Once, at last. Without an error when it was closed here, or the post was deleted (`gone`). */
  onEnd: (error: Error | undefined, gone: boolean) => void;
};

const RECONNECT_BASE_MS = 500;
const RECONNECT_MAX_MS = 10_000;
/** A room that is full or was flooded is left alone for longer: as after so many failures. */
const FAILURES_WHEN_SENT_AWAY = 4;
/** So many upgrades in a row must fail, while polling works, before it is polled. */
const UPGRADES_BEFORE_POLLING = 3;
const POLL_SECONDS = 25;
const POLL_SLACK_MS = 10_000;
/** While polling, an upgrade is tried again after this time; each time that it fails, after twice as long. */
const UPGRADE_AGAIN_MS = 10_000;
const UPGRADE_AGAIN_MAX_MS = 600_000;
/** A poll that is answered at once with nothing was not let wait: too many are. */
const POLL_AGAIN_MS = 2_000;
/** The room could not check a new token just now. */
const AUTH_AGAIN_MS = 5_000;

export class RoomConnection {
  readonly #options: ConnectionOptions;
  readonly #stop = new AbortController();
  #state: ConnectionState = "offline";
  #position: { epoch: string; after: number } | undefined;
  /** Whether it was ever inside. */
  #entered = false;
  /** The last event of the room when it was entered: from there on it is live. */
  #target = 0;
  #ready = false;
  #deleted = false;
  #socket: RoomSocket | undefined;
  #userId: number | undefined;
  #failures = 0;
  #upgradesFailed = 0;
  /** When to try an upgrade again, while polling. */
  #upgradeAt: number | undefined;
  /** Gives up a poll as somebody who is not signed in any more. */
  #outdate: AbortController | undefined;
  /** Cuts the wait before the next attempt. */
  #hurry: () => void = () => undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  get transport(): "websocket" | "long-poll" {
    return this.#upgradeAt === undefined ? "websocket" : "long-poll";
  }

  /** Connects, and stays connected until it is closed or there is no way in. */
  async run(): Promise<void> {
    const { session } = this.#options.http;
    const release = session.retain();
    const stopSession = session.onChange((current) => this.#sessionChanged(current));
    const stopWake = onWake(() => {
      this.#hurry();
      this.#socket?.probe();
    });
    let error: Error | undefined;
    try {
      while (!this.#stop.signal.aborted && !this.#deleted) await this.#attempt();
    } catch (reason) {
      if (!this.#stop.signal.aborted) error = reason instanceof Error ? reason : new Error(String(reason));
      else if (this.#stop.signal.reason instanceof SessionEndedError) error = this.#stop.signal.reason;
    } finally {
      release();
      stopSession();
      stopWake();
      this.#socket?.drop();
      this.#become("closed");
      this.#options.onEnd(error, this.#deleted);
    }
  }

  /** Sends, if there is a socket. */
  send(frame: ClientFrame): void {
    this.#socket?.send(frame);
  }

  /** Ends it. @param reason an error for those who listen; none: it was meant */
  close(reason?: Error): void {
    this.#stop.abort(reason ?? new Error("closed"));
    this.#socket?.drop();
  }

  /** One way in, as long as it lasts, and the wait before the next. @throws what is final */
  async #attempt(): Promise<void> {
    const { signal } = this.#stop;
    let waitMs = 0;
    try {
      const pollSeconds = Math.ceil(((this.#upgradeAt ?? 0) - Date.now()) / 1000);
      if (pollSeconds > 0) waitMs = await this.#longPoll(Math.min(pollSeconds, POLL_SECONDS));
      else waitMs = await this.#connect();
    } catch (error) {
      signal.throwIfAborted();
      waitMs = this.#setBack(error);
    }
    if (waitMs > 0 && !this.#deleted) {
      await abandonable((settle) => {
        const timer = setTimeout(settle, waitMs);
        this.#hurry = settle;
        return () => clearTimeout(timer);
      }, signal);
    }
  }

  /** What a failure comes to. @returns how long to wait @throws what is final */
  #setBack(error: unknown): number {
    const { room } = this.#options;
    this.#become("offline");
    if (error instanceof ProblemError) {
      if (error.status === 403) throw new RoomClosedError(room, "forbidden", error.message, { cause: error });
      if (error.status === 404) return this.#gone(error);
      if (error.status < 500 && error.status !== 429) throw error;
    } else if (error instanceof SessionEndedError) throw error;
    const asked = error instanceof ProblemError ? (error.retryAfterMs ?? 0) : 0;
    this.#failures += 1;
    return asked + this.#backOff();
  }

  /** The post is gone: the end of a room that was entered, an error for one that was not. */
  #gone(cause?: Error): number {
    if (!this.#entered) {
      const { room } = this.#options;
      throw new RoomClosedError(room, "gone", cause?.message ?? `There is no ${room}`, { cause });
    }
    this.#deleted = true;
    return 0;
  }

  #backOff(): number {
    return 1 + fullJitter(this.#failures, RECONNECT_BASE_MS, RECONNECT_MAX_MS);
  }

  /** A socket, until it ends. @returns how long to wait then */
  async #connect(): Promise<number> {
    const { http, room, WebSocket, pingIntervalMs } = this.#options;
    const { signal } = this.#stop;
    const token = await this.#token();
    this.#ready = false;
    const url = `${http.target.url.replace(/^http/, "ws")}/api/rooms/${room}${this.#query()}`;
    const socket = new RoomSocket({
      WebSocket,
      url,
      token,
      pingIntervalMs,
      onFrame: (frame) => this.#receive(frame),
    });
    this.#socket = socket;
    const { code } = await socket.ended;
    this.#socket = undefined;
    // Where polling works, an upgrade that fails again changes nothing.
    if (this.#upgradeAt === undefined) this.#become("offline");
    signal.throwIfAborted();
    switch (code) {
      case CLOSE.gone:
        return this.#gone();
      case CLOSE.forbidden:
        // Somebody else has signed in meanwhile; the room tells by REST whether that one may enter.
        await this.#poll(0);
        this.#failures += 1;
        return this.#backOff();
      case CLOSE.unauthenticated:
        await http.session.renew(token, signal);
        return this.#backOff();
      case CLOSE.flooding:
      case CLOSE.full:
        if (this.#upgradeAt !== undefined) return this.#upgradeFailed();
        this.#failures = Math.max(this.#failures + 1, FAILURES_WHEN_SENT_AWAY);
        return this.#backOff();
      default:
        return this.#ready ? this.#backOff() : this.#upgradeFailed();
    }
  }

  /** A failed upgrade says nothing; the same question by REST says why, and catches up. @returns how long to wait */
  async #upgradeFailed(): Promise<number> {
    await this.#poll(0);
    this.#upgradesFailed += 1;
    if (this.#upgradesFailed < UPGRADES_BEFORE_POLLING) return this.#backOff();
    const doublings = this.#upgradesFailed - UPGRADES_BEFORE_POLLING;
    this.#upgradeAt = Date.now() + Math.min(UPGRADE_AGAIN_MAX_MS, UPGRADE_AGAIN_MS * 2 ** doublings);
    this.#settle();
    return 0;
  }

  /** Waits for events by long poll. @returns how long to wait before the next */
  async #longPoll(wait: number): Promise<number> {
    const askedAt = Date.now();
    let news: boolean;
    const outdated = new AbortController();
    this.#outdate = outdated;
    try {
      news = await this.#poll(wait, AbortSignal.any([this.#stop.signal, outdated.signal]));
    } catch (error) {
      if (outdated.signal.aborted && !this.#stop.signal.aborted) return 0;
      throw error;
    }
    const waited = Date.now() - askedAt > (wait * 1000) / 2;
    return news || waited ? 0 : POLL_AGAIN_MS * (0.5 + Math.random() / 2);
  }

  /** One answer by poll. @returns whether it told something */
  async #poll(wait: number, signal = this.#stop.signal): Promise<boolean> {
    const { http, room } = this.#options;
    await this.#token();
    const { epoch, after } = this.#position ?? {};
    const { frames } = await http.request(
      "GET /api/rooms/{room}/events",
      { path: { room }, query: { epoch, after, wait } },
      { signal, retries: 0, timeoutMs: wait * 1000 + POLL_SLACK_MS },
    );
    for (const frame of frames) this.#receive(frame);
    return frames.some((frame) => (frame.type === "ready" ? frame.resume !== "replayed" : true));
  }

  /** @throws {SessionEndedError} when nobody is signed in */
  async #token(): Promise<string> {
    const { session } = this.#options.http;
    const token = await session.token(this.#stop.signal);
    const userId = session.current?.user.id;
    // Somebody else has signed in: what was read as another user is not what this one sees.
    if (userId !== this.#userId) this.#position = undefined;
    this.#userId = userId;
    if (token === undefined) throw new SessionEndedError("Rooms need somebody who is signed in");
    return token;
  }

  #receive(frame: ServerFrame): void {
    if (this.#stop.signal.aborted) return;
    if (frame.type === "ready") this.#enter(frame);
    else if (isEvent(frame)) this.#take(frame);
    else if (frame.type === "presence" || frame.type === "typing") this.#options.onFrame(frame);
    else if (frame.type === "error" && frame.code === "unavailable") {
      setTimeout(() => this.#sendToken(), AUTH_AGAIN_MS * (0.5 + Math.random()));
    }
  }

  #enter(frame: ReadyFrame): void {
    const first = !this.#entered;
    this.#entered = true;
    this.#failures = 0;
    if (this.#socket) {
      this.#ready = true;
      this.#upgradesFailed = 0;
      this.#upgradeAt = undefined;
    }
    this.#target = frame.seq;
    this.#options.onReady(frame);
    if (this.#connected()) this.#become("catching-up");
    if (frame.resume !== "replayed") {
      this.#position = { epoch: frame.epoch, after: frame.seq };
      this.#options.onResync(first ? "joined" : "missed");
    }
    this.#settle();
  }

  /** The next event; one that was told before is left out. */
  #take(frame: EventFrame): void {
    const position = this.#position;
    if (!position || frame.seq <= position.after) return;
    if (frame.seq > position.after + 1) {
      // Something between is missing: the room tells it again to whoever comes back.
      this.#socket?.drop();
      return;
    }
    position.after = frame.seq;
    if (frame.type === "post_deleted") this.#deleted = true;
    this.#options.onFrame(frame);
    this.#settle();
  }

  /** Live, once all is here that had happened before the room was entered. */
  #settle(): void {
    const behind = (this.#position?.after ?? 0) < this.#target;
    if (!behind && this.#connected()) this.#become("live");
  }

  /** A single poll that looks for the reason of a failed upgrade is no connection. */
  #connected(): boolean {
    return this.#socket !== undefined || this.#upgradeAt !== undefined;
  }

  #become(state: ConnectionState): void {
    if (state === this.#state || this.#state === "closed") return;
    if (this.#stop.signal.aborted && state !== "closed") return;
    // What is missing while it was live comes event by event.
    if (state === "catching-up" && this.#state === "live") return;
    this.#state = state;
    this.#options.onState(state);
  }

  #sessionChanged(session: SavedSession | null): void {
    if (!session) this.close(new SessionEndedError("The session has ended"));
    else if (session.user.id === this.#userId) this.#sendToken();
    else {
      this.#socket?.drop();
      this.#outdate?.abort();
    }
  }

  /** Lets the socket live as long as the new token. */
  #sendToken(): void {
    const token = this.#options.http.session.current?.accessToken;
    if (token !== undefined) this.#socket?.send({ type: "auth", token });
  }

  #query(): string {
    const position = this.#position;
    if (!position) return "";
    return `?${new URLSearchParams({ epoch: position.epoch, after: String(position.after) }).toString()}`;
  }
}
