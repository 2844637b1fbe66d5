/**
 * A room: everything that happens to a post or to a user, as it happens.
 * @module
 */
import { type ConnectionState, RoomConnection } from "./connection.ts";
import { createFeed, type Feed } from "./feed.ts";
import type { EventFrame, PassingFrame, ReadyFrame, Resync, RoomEvent } from "./frames.ts";
import { TypedEventTarget } from "./events.ts";
import type { Http } from "./http.ts";

/** `post:<id>`, or `user:<id>` for one's own notifications. */
export type RoomName = `post:${number}` | `user:${number}`;

export type RoomOptions = {
  /** Closes the room. */
  signal?: AbortSignal | undefined;
};

/** Events of a `Room`: one for each type of frame, `resync`, `state`, and `close` at last. */
export type RoomEventMap = {
  [Type in RoomEvent["type"]]: RoomFrameEvent<Extract<RoomEvent, { type: Type }>>;
} & {
  state: StateEvent;
  close: EndEvent;
};

/** A frame, or a `resync`. */
export class RoomFrameEvent<Frame extends RoomEvent = RoomEvent> extends Event {
  readonly frame: Frame;
  constructor(frame: Frame) {
    super(frame.type);
    this.frame = frame;
  }
}

/** The connection's state has changed. */
export class StateEvent extends Event {
  readonly state: ConnectionState;
  constructor(state: ConnectionState) {
    super("state");
    this.state = state;
  }
}

/** Why it is over: closed by the program, the post is gone, or there is no way in any more. */
export type EndReason = "closed" | "gone" | "error";

/** It is over. */
export class EndEvent extends Event {
  readonly reason: EndReason;
  readonly error: Error | undefined;
  constructor(reason: EndReason, error: Error | undefined) {
    super("close");
    this.reason = reason;
    this.error = error;
  }
}

/** So many events wait for a slow consumer; beyond that they give way to one `resync`. */
const EVENTS_MAX = 1_000;

/** What a room is made of. */
export type RoomSettings = { http: Http; WebSocket: typeof WebSocket; pingIntervalMs: number };

/**
 * Follows a room from its making until it is closed, the post is deleted, or there is no way in any more. An event
 * target, and an async iterator of what happens from the first `next()` on.
 */
export class Room
  extends TypedEventTarget<RoomEventMap>
  implements AsyncIterable<RoomEvent>, AsyncDisposable
{
  readonly name: RoomName;
  readonly #connection: RoomConnection;
  readonly #feeds = new Set<Feed<RoomEvent>>();
  /** Resolves when it is over, whatever the reason. */
  readonly closed: Promise<void>;
  #viewers = 0;
  #joined = false;
  /** Whether it is over, and the error that it ended with. */
  #end: { error: Error | undefined } | undefined;

  /** @internal */
  constructor(name: RoomName, settings: RoomSettings, { signal }: RoomOptions = {}) {
    super();
    this.name = name;
    this.#connection = new RoomConnection({
      ...settings,
      room: name,
      onFrame: (frame) => this.#tell(frame),
      onReady: (frame) => this.#greet(frame),
      onResync: (reason) => this.#tell({ type: "resync", reason }),
      onState: (state) => this.dispatchEvent(new StateEvent(state)),
      onEnd: (error, gone) => this.#finish(error, gone),
    });
    const close = (): void => this.close();
    signal?.addEventListener("abort", close, { once: true });
    // After the caller has added listeners.
    this.closed = Promise.resolve().then(async () => {
      if (signal?.aborted) this.close();
      await this.#connection.run();
      signal?.removeEventListener("abort", close);
    });
  }

  /** How the connection is. */
  get state(): ConnectionState {
    return this.#connection.state;
  }

  /** How it is connected: by long poll while WebSocket does not get through. */
  get transport(): "websocket" | "long-poll" {
    return this.#connection.transport;
  }

  /** People in the room. */
  get viewers(): number {
    return this.#viewers;
  }

  /** Shows the others that the user is typing, for 6 s. Nothing is sent while there is no socket. */
  typing(): void {
    this.#connection.send({ type: "typing" });
  }

  /** Ends it; iterators are done. */
  close(): void {
    this.#connection.close();
  }

  /** `await using room = …` closes it. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return this.closed;
  }

  /**
   * Events from now on. Begins with `resync`, so that whoever reads by REST at each `resync` misses nothing; a consumer
   * that is over 1,000 events late gets another one. When the last loop is left, the room is closed.
   * @throws {RoomClosedError | SessionEndedError} from `next()`, when it ends without having been closed
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<RoomEvent, undefined> {
    const feed: Feed<RoomEvent> = createFeed<RoomEvent>(
      EVENTS_MAX,
      () => ({ type: "resync", reason: "overflow" }),
      () => {
        this.#feeds.delete(feed);
        if (this.#feeds.size === 0) this.close();
      },
    );
    if (this.#end) feed.end(this.#end.error);
    else this.#feeds.add(feed);
    if (this.#joined) feed.push({ type: "resync", reason: "joined" });
    return feed;
  }

  #greet({ viewers }: ReadyFrame): void {
    this.#viewers = viewers;
  }

  #tell(frame: EventFrame | PassingFrame | Resync): void {
    if (frame.type === "presence") this.#viewers = frame.data.viewers;
    if (frame.type === "resync") this.#joined = true;
    for (const feed of this.#feeds) feed.push(frame);
    this.dispatchEvent(new RoomFrameEvent(frame));
  }

  #finish(error: Error | undefined, gone: boolean): void {
    this.#end = { error };
    for (const feed of this.#feeds) feed.end(error);
    this.#feeds.clear();
    this.dispatchEvent(new EndEvent(error ? "error" : gone ? "gone" : "closed", error));
  }
}
