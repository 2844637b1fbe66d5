/**
 * One WebSocket, from the upgrade to its end.
 * @module
 */
import { BEARER_PREFIX, CLOSE, PING, readFrame, SUBPROTOCOL } from "./frames.ts";
import type { ClientFrame, ServerFrame } from "./generated/frames.ts";
import { stopTimer, type Timer } from "./waiting.ts";

/** How a socket ended. 1006: it broke, or never opened. */
export type Ending = { code: number };

export type SocketOptions = {
  WebSocket: typeof WebSocket;
  /** `ws:` or `wss:` */
  url: string;
  token: string;
  pingIntervalMs: number;
  onFrame: (frame: ServerFrame) => void;
};

const OPEN_WITHIN_MS = 10_000;
/** A socket on which nothing is heard for this part of the interval after a ping is dead. */
const PONG_WITHIN = 1 / 4;
/** The same where there is reason to doubt it, and at least. */
const PROBE_WITHIN_MS = 2_000;
const BROKEN = 1006;

export class RoomSocket {
  /** Never rejects. */
  readonly ended: Promise<Ending>;
  readonly #socket: WebSocket;
  readonly #onFrame: SocketOptions["onFrame"];
  readonly #pinging: Timer;
  #deadline: Timer;
  #end: (ending: Ending) => void = () => undefined;
  #over = false;

  constructor({ WebSocket, url, token, pingIntervalMs, onFrame }: SocketOptions) {
    this.#onFrame = onFrame;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#socket = new WebSocket(url, [SUBPROTOCOL, `${BEARER_PREFIX}${token}`]);
    this.#expectWithin(OPEN_WITHIN_MS);
    const pongWithinMs = Math.max(PROBE_WITHIN_MS, pingIntervalMs * PONG_WITHIN);
    this.#pinging = setInterval(() => this.#ping(pongWithinMs), pingIntervalMs);
    this.#socket.addEventListener("open", () => {
      // workerd (seen at 1.20261023.1) leaves the connection of a client that never sent anything open after the closing
      // handshake, until the object sleeps.
      this.#ping(pongWithinMs);
    });
    this.#socket.addEventListener("message", ({ data }) => this.#hear(String(data)));
    this.#socket.addEventListener("close", ({ code }) => this.#finish(code));
    // A refused upgrade is an error, then a close.
    this.#socket.addEventListener("error", () => undefined);
  }

  /** Sends, unless it is not open. */
  send(frame: ClientFrame): void {
    if (this.#isOpen()) this.#socket.send(JSON.stringify(frame));
  }

  /** Asks for a sign of life, soon: the machine may have slept, or the network changed. */
  probe(): void {
    this.#ping(PROBE_WITHIN_MS);
  }

  /** Ends it now, whatever the other side does. @param code what it is taken to have ended with */
  drop(code: number = BROKEN): void {
    if (this.#over) return;
    try {
      this.#socket.close(1000);
    } catch {
      // It never opened.
    }
    this.#finish(code);
  }

  #hear(text: string): void {
    if (this.#over) return;
    stopTimer(this.#deadline);
    this.#deadline = undefined;
    const frame = readFrame(text);
    if (!frame) return;
    if (frame.type === "error" && (frame.code === "unauthenticated" || frame.code === "token_expired")) {
      this.drop(CLOSE.unauthenticated);
    } else this.#onFrame(frame);
  }

  #isOpen(): boolean {
    return !this.#over && this.#socket.readyState === 1;
  }

  #ping(withinMs: number): void {
    if (!this.#isOpen()) return;
    this.#socket.send(PING);
    this.#expectWithin(withinMs);
  }

  /** A deadline that stands already is not put off. */
  #expectWithin(ms: number): void {
    if (this.#deadline !== undefined) return;
    this.#deadline = setTimeout(() => this.drop(), ms);
  }

  #finish(code: number): void {
    if (this.#over) return;
    this.#over = true;
    stopTimer(this.#deadline);
    if (this.#pinging !== undefined) clearInterval(this.#pinging);
    this.#end({ code });
  }
}
