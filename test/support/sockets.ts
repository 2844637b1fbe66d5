/**
 * Sockets into rooms, for tests inside workerd.
 * @module
 */
import { env, exports } from "cloudflare:workers";
import { createAccessTokens } from "../../src/auth/tokens.ts";
import { readConfig } from "../../src/env.ts";
import {
  type ClientFrame,
  type EventFrame,
  eventFrameSchema,
  type PostEvent,
  type Position,
  type ReadyFrame,
  type RoomComment,
  type ServerFrame,
  type UserEvent,
} from "../../src/realtime/events.ts";
import { createRooms } from "../../src/realtime/rooms.ts";
import { type Ticket, ticketRequest } from "../../src/realtime/ticket.ts";
import { readServerFrame } from "./frame-check.ts";
import { waitUntil } from "./patience.ts";

export const rooms = createRooms(env);

let lastId = 0;

/** An id that no other test uses. */
export function freshId(): number {
  lastId += 1;
  return Math.floor(Math.random() * 2 ** 40) * 1_000 + (lastId % 1_000) + 1;
}

/** Waits until `look` finds something, looking every 2 ms. @throws after 20 s, naming what was waited for. */
export function until<T>(what: string, look: () => T | undefined | false) {
  return waitUntil(look, { interval: 2, message: `waited in vain for ${what}` });
}

/** Frames that were not as documented. Kept, because an error in a listener of the runtime's reaches no test. */
const broken: unknown[] = [];

/** Throws the first of them, for `afterEach` (before-each-file.ts: this module is loaded once for many files). */
export function throwBrokenFrame(): void {
  const [first] = broken.splice(0);
  if (first !== undefined) throw first;
}

/** A client's end that keeps what it gets. */
export class TestSocket {
  /** Every frame so far. One that is not as the AsyncAPI document says fails the test. */
  readonly frames: ServerFrame[] = [];
  /** The code and reason of the close, once it has come. */
  closed: { code: number; reason: string } | undefined;
  readonly raw: WebSocket;
  #read = 0;

  constructor(raw: WebSocket) {
    this.raw = raw;
    raw.addEventListener("message", ({ data }) => {
      const frame = checkedFrame(data);
      if (frame) this.frames.push(frame);
    });
    raw.addEventListener("close", ({ code, reason }) => {
      this.closed = { code, reason };
    });
    raw.accept();
  }

  /** The next frame that was not taken yet, of one type if given (others are passed over). */
  async next<Type extends ServerFrame["type"]>(type?: Type): Promise<Extract<ServerFrame, { type: Type }>> {
    return until(`a frame ${type ?? ""}`, () => {
      while (this.#read < this.frames.length) {
        const frame = this.frames[this.#read];
        this.#read += 1;
        if (frame && (type === undefined || frame.type === type)) {
          return frame as Extract<ServerFrame, { type: Type }>;
        }
      }
      if (this.closed) throw new Error(`closed with ${this.closed.code} before a frame ${type ?? ""}`);
      return undefined;
    });
  }

  /** The events so far, without what is not logged. */
  events(): EventFrame[] {
    return this.frames.flatMap((frame) => eventFrameSchema.safeParse(frame).data ?? []);
  }

  send(frame: ClientFrame): void {
    this.raw.send(JSON.stringify(frame));
  }

  /** Sends a ping that the room itself must answer, and waits for the answer: everything before has been handled. */
  async settle(): Promise<void> {
    this.raw.send('{ "type": "ping" }');
    await this.next("pong");
  }

  async untilClosed(): Promise<{ code: number; reason: string }> {
    return until("a close", () => this.closed);
  }

  close(code = 1000): void {
    this.raw.close(code, "done");
  }
}

/** A frame as documented; what is not is left out and fails the test. */
export function checkedFrame(data: unknown): ServerFrame | undefined {
  try {
    return readServerFrame(String(data));
  } catch (error) {
    broken.push(error);
    return undefined;
  }
}

/** Who knocks: a user of a session with a token that lives for a quarter of an hour, unless said otherwise. */
export function ticket(changes: Partial<Ticket> & { userId?: number; username?: string } = {}): Ticket {
  const { userId = freshId(), username = `user-${userId}`, ...rest } = changes;
  return {
    user: { id: userId, username },
    sessionId: freshId(),
    epoch: 1,
    expiresAt: Date.now() + 900_000,
    position: null,
    ...rest,
  };
}

type Knock = Parameters<typeof ticket>[0];

/** Asks the room's object for a socket, past the Worker. */
export async function knockAtPost(postId: number, knock: Knock = {}): Promise<Response> {
  return rooms.post(postId).fetch(ticketRequest(ticket(knock)));
}

/** Enters a post's room past the Worker, and takes `ready`. */
export async function enterPost(
  postId: number,
  knock: Knock = {},
): Promise<{ socket: TestSocket; ready: ReadyFrame }> {
  return seat(await knockAtPost(postId, knock));
}

/** Enters a user's room past the Worker, and takes `ready`. */
export async function enterUser(
  userId: number,
  knock: Knock = {},
): Promise<{ socket: TestSocket; ready: ReadyFrame }> {
  return seat(await rooms.user(userId).fetch(ticketRequest(ticket({ userId, ...knock }))));
}

async function seat(response: Response): Promise<{ socket: TestSocket; ready: ReadyFrame }> {
  const socket = socketOf(response);
  return { socket, ready: await socket.next("ready") };
}

/** The client's end of an accepted upgrade. */
export function socketOf(response: Response): TestSocket {
  if (!response.webSocket) throw new Error(`no socket but ${response.status}`);
  return new TestSocket(response.webSocket);
}

/** How a request for a room is made. */
export type Upgrade = {
  /** Sent as the subprotocol pair, as a browser does. */
  token?: string;
  headers?: Record<string, string>;
};

/** Asks the Worker for a room. @param path behind `/api/rooms/`, with its query */
export async function upgrade(path: string, { token, headers = {} }: Upgrade = {}): Promise<Response> {
  return exports.default.fetch(
    new Request(`${env.PUBLIC_URL}/api/rooms/${path}`, {
      headers: {
        upgrade: "websocket",
        ...(token === undefined ? {} : { "sec-websocket-protocol": `liveforum.v1, bearer.${token}` }),
        ...headers,
      },
    }),
  );
}

/** Enters a room through the Worker, and takes `ready`. */
export async function enter(path: string, token: string): Promise<{ socket: TestSocket; ready: ReadyFrame }> {
  return seat(await upgrade(path, { token }));
}

/** An access token as the Worker issues them. @param issuedAt when; it lives for 15 minutes */
export async function accessToken(
  claims: { userId: number; sessionId?: number; epoch?: number; username?: string },
  issuedAt: Date = new Date(),
): Promise<string> {
  const settings = readConfig(env);
  if (!settings.ok) throw new Error("bad settings");
  const { userId, sessionId = freshId(), epoch = 1, username = `user-${userId}` } = claims;
  return createAccessTokens(settings.config.JWT_KEYS, settings.config.PUBLIC_URL).issue(
    { id: userId, username, role: "user", sessionId, nonce: "0".repeat(32), epoch },
    issuedAt,
  );
}

const AT = "2026-11-22T06:00:00.000Z";

/** A comment as rooms are told of it. */
export function comment(postId: number, id: number, content = `comment ${id} 안녕 🎉`): RoomComment {
  return {
    id,
    postId,
    author: { id: 1, username: "미나" },
    content,
    likeCount: 0,
    version: 1,
    createdAt: AT,
    updatedAt: AT,
    deletedAt: null,
  };
}

/** That comment `id` was written. */
export function commentAdded(postId: number, id: number): PostEvent {
  return { key: `comment_added:${id}`, type: "comment_added", data: comment(postId, id) };
}

/** That notification `id` arrived. */
export function notified(id: number, unreadCount = 1): UserEvent {
  return {
    key: `notify:${id}`,
    type: "notify_user",
    data: {
      notification: {
        id,
        type: "comment",
        targetType: "post",
        targetId: 1,
        postId: 1,
        actor: { id: 2, username: "jun" },
        actorCount: 1,
        message: "jun commented on your post",
        isRead: false,
        createdAt: AT,
      },
      unreadCount,
    },
  };
}

/** The position behind the last frame of a socket. */
export function positionOf(ready: ReadyFrame, events: readonly EventFrame[]): Position {
  return { epoch: ready.epoch, after: events.at(-1)?.seq ?? ready.seq };
}
