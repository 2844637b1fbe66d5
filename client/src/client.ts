/**
 * `@liveforum/client`: LiveForum for browsers, Node 22+ and Workers.
 * @module
 */
import { Auth, Users } from "./api/accounts.ts";
import { Boards, Comments, Posts } from "./api/content.ts";
import { Notifications } from "./api/notifications.ts";
import type { DailyStats, Health, Operations } from "./generated/rest.ts";
import { type CallOptions, type CallParameters, Http, type RequestOptions } from "./http.ts";
import { isBrowser, platform } from "./platform.ts";
import { Room, type RoomName, type RoomOptions, type RoomSettings } from "./room.ts";
import { type SavedSession, SessionKeeper } from "./session.ts";
import { Thread, type ThreadOptions } from "./thread.ts";
import type { OwnLike } from "./thread-store.ts";

export type { ChangeOptions, CreateOptions } from "./api/content.ts";
export type { Auth, Users } from "./api/accounts.ts";
export type { Boards, Comments, Posts } from "./api/content.ts";
export type { Notifications } from "./api/notifications.ts";
export {
  LiveForumError,
  ProblemError,
  type ProblemCode,
  RoomClosedError,
  SessionEndedError,
  UnreachableError,
} from "./errors.ts";
export type * from "./generated/frames.ts";
export type * from "./generated/rest.ts";
export type { CallOptions, CallParameters, RequestOptions } from "./http.ts";
export type { List, Page, PageQuery } from "./pages.ts";
export {
  EndEvent,
  type EndReason,
  Room,
  type RoomEventMap,
  RoomFrameEvent,
  type RoomName,
  type RoomOptions,
  StateEvent,
} from "./room.ts";
export type { ConnectionState } from "./connection.ts";
export type { EventFrame, PassingFrame, Resync, RoomEvent } from "./frames.ts";
export type { SavedSession } from "./session.ts";
export { Thread, type ThreadEventMap, type ThreadOptions, type ThreadView, ViewEvent } from "./thread.ts";

export type LiveForumOptions = {
  /** The server, such as `https://forum.example.org`. In a page of that server it may be left out. */
  url?: string;
  /**
   * Where the refresh token is kept. `cookie`: by the browser, out of reach of scripts, for all tabs of the site; needs a
   * page of the same site. `memory`: in this object. By default `cookie` in browsers and `memory` elsewhere.
   */
  refreshToken?: "cookie" | "memory";
  /** A session that an earlier client had, from `session`. */
  session?: SavedSession;
  /** Used instead of the global ones. */
  fetch?: typeof fetch;
  WebSocket?: typeof WebSocket;
  /** How often a room's connection is asked for a sign of life. A dead one is noticed a quarter of that later, at least 2 s. Default 20,000. */
  pingIntervalMs?: number;
};

const PING_INTERVAL_MS = 20_000;

/** A client of one server, for one user at a time. */
export class LiveForum {
  readonly auth: Auth;
  readonly users: Users;
  readonly boards: Boards;
  readonly posts: Posts;
  readonly comments: Comments;
  readonly notifications: Notifications;
  readonly #http: Http;
  readonly #rooms: RoomSettings;
  readonly #open = new Set<Room>();
  readonly #threads = new Set<Thread>();

  /** @throws {TypeError} without a usable `url` */
  constructor(options: LiveForumOptions = {}) {
    const given = options.url ?? platform.location?.origin;
    const parsed = URL.parse(given ?? "");
    if (!parsed || !/^https?:$/.test(parsed.protocol)) {
      throw new TypeError(`url must be an http or https address, not ${given ?? "missing"}`);
    }
    const cookie = (options.refreshToken ?? (isBrowser() ? "cookie" : "memory")) === "cookie";
    const call = options.fetch ?? fetch;
    // Called as a function: browsers refuse a `fetch` that is somebody's method.
    const target = {
      url: parsed.href.replace(/\/+$/, ""),
      fetch: (...request: Parameters<typeof fetch>) => call(...request),
    };
    const session = new SessionKeeper({ target, cookie, saved: options.session });
    this.#http = new Http(target, session);
    this.auth = new Auth(this.#http, cookie);
    this.users = new Users(this.#http);
    this.boards = new Boards(this.#http);
    this.posts = new Posts(this.#http, (target, like) => this.#showLike({ target, like }));
    this.comments = new Comments(this.#http, (target, like) => this.#showLike({ target, like }));
    this.notifications = new Notifications(this.#http);
    this.#rooms = {
      http: this.#http,
      WebSocket: options.WebSocket ?? WebSocket,
      pingIntervalMs: options.pingIntervalMs ?? PING_INTERVAL_MS,
    };
  }

  /** Enters a room, for somebody who is signed in. */
  room(name: RoomName, options?: RoomOptions): Room {
    const room = new Room(name, this.#rooms, options);
    this.#open.add(room);
    room.addEventListener("close", () => this.#open.delete(room));
    return room;
  }

  /** Follows a post and its comments, for somebody who is signed in. */
  thread(postId: number, options?: ThreadOptions): Thread {
    const thread = new Thread(postId, this.#rooms, this, options);
    this.#threads.add(thread);
    thread.addEventListener("close", () => this.#threads.delete(thread));
    return thread;
  }

  /** The session, to be kept and given to a later client; null: nobody is signed in. It holds secrets. */
  get session(): SavedSession | null {
    return this.#http.session.current;
  }

  /** Calls back whenever somebody signs in or out, here or in another tab, and whenever the tokens change. @returns how to stop that */
  onSession(listener: (session: SavedSession | null) => void): () => void {
    return this.#http.session.onChange(listener);
  }

  /** What was made on each day: 30 days up to today by default, 366 at most. */
  async dailyStats(
    query: Operations["GET /api/stats/daily"]["query"] = {},
    options?: CallOptions,
  ): Promise<DailyStats["items"]> {
    return (await this.#http.request("GET /api/stats/daily", { query }, options)).items;
  }

  /** How the server is. @throws {ProblemError} `unavailable` when its database is gone */
  health(options?: CallOptions): Promise<Health> {
    return this.#http.request("GET /api/health", {}, options);
  }

  /**
   * Any call of the API, by its method and path, with everything that the other methods do by themselves.
   * @throws {ProblemError | UnreachableError | SessionEndedError}
   */
  request<Name extends keyof Operations>(
    name: Name,
    parameters: CallParameters<Name>,
    options?: RequestOptions,
  ): Promise<Operations[Name]["answer"]> {
    return this.#http.request(name, parameters, options);
  }

  /** Closes all rooms and threads. The session stays what it is; `auth.logout()` ends it. */
  close(): void {
    for (const opened of [...this.#open, ...this.#threads]) opened.close();
    this.#http.session.close();
  }

  /** `await using forum = …` closes it. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  /** One's own likes are in no frame. */
  #showLike(like: OwnLike): void {
    for (const thread of this.#threads) thread.showLike(like);
  }
}
