/**
 * Follows a room without losing anything: reconnects with full jitter, resumes where it was, keeps the token fresh,
 * and polls where WebSocket does not get through.
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import {
  BEARER_PROTOCOL_PREFIX,
  CLOSE,
  PING,
  type Position,
  type ServerFrame,
  serverFrameSchema,
  SUBPROTOCOL,
} from "../../src/realtime/events.ts";
import { CloudProblem } from "../cloud/problem.ts";
import { callApi, Refusal, type Session, Unreachable } from "./session.ts";

export type FollowOptions = {
  /** The server, without a trailing slash. */
  url: string;
  /** `post:7`, `user:3` */
  room: string;
  session: Session;
  onFrame: (frame: ServerFrame) => void;
  /** One line about the connection. */
  onStatus: (line: string) => void;
  /** Ends it. */
  signal: AbortSignal;
};

const RECONNECT_BASE_MS = 500;
const RECONNECT_MAX_MS = 20_000;
const PING_EVERY_MS = 20_000;
const PONG_WITHIN_MS = 10_000;
const OPEN_WITHIN_MS = 10_000;
/** So many upgrades in a row must fail, while polling works, before it is polled. */
const UPGRADES_BEFORE_POLLING = 3;
const POLL_SECONDS = 25;

const polledSchema = z.object({ frames: z.array(z.unknown()) });

/** How a connection ended. `opened` tells whether there was one. */
type Ending = { code: number; opened: boolean };

/**
 * Runs until the post is deleted or `signal` aborts.
 * @throws {CloudProblem} when there is no way in
 */
export async function follow(options: FollowOptions): Promise<void> {
  const { session, onFrame, onStatus, signal } = options;
  let position: Position | undefined;
  let failures = 0;
  let upgradesFailed = 0;
  let polling = false;

  function receive(frame: ServerFrame): void {
    if (frame.type === "ready") {
      failures = 0;
      upgradesFailed = polling ? upgradesFailed : 0;
      if (frame.resume !== "replayed") position = { epoch: frame.epoch, after: frame.seq };
    } else if ("seq" in frame && position) position = { ...position, after: frame.seq };
    onFrame(frame);
  }

  while (!signal.aborted) {
    try {
      if (session.renewInMs === 0) await session.renew();
      if (polling) {
        await poll(options, position, POLL_SECONDS, receive);
        continue;
      }
      const { code, opened } = await connect(options, position, receive);
      if (signal.aborted || code === CLOSE.gone) return;
      if (code === CLOSE.forbidden) throw new CloudProblem("The room closed: forbidden", "Start again");
      if (opened) {
        onStatus(`connection lost (${code}), coming back`);
        if (code === CLOSE.unauthenticated) await session.renew();
        if (code === CLOSE.full || code === CLOSE.flooding) failures = Math.max(failures, 4);
      } else {
        upgradesFailed += 1;
        // A failed upgrade says nothing; the same question by REST says why.
        await poll(options, position, 0, receive);
        if (upgradesFailed >= UPGRADES_BEFORE_POLLING) {
          polling = true;
          onStatus("WebSocket does not get through; polling instead");
          continue;
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Unreachable) {
        if (failures === 0) onStatus(`${error.message}, trying again`);
      } else if (error instanceof Refusal && (error.status === 429 || error.status >= 500)) {
        onStatus(`${error.message}, trying again`);
        await pause(error.retryAfterMs, signal);
      } else if (error instanceof Refusal && error.status === 401 && session.renewInMs > 0) {
        await renewOrGiveUp(session);
      } else if (error instanceof Refusal) {
        throw error.status === 401
          ? new CloudProblem("The session has ended", "Start again")
          : new CloudProblem(`${options.room} cannot be followed: ${error.message}`, "Name another room");
      } else throw error;
    }
    // Full jitter: clients that lost the same server do not come back together.
    await pause(Math.random() * Math.min(RECONNECT_MAX_MS, RECONNECT_BASE_MS * 2 ** failures), signal);
    failures += 1;
  }
}

async function renewOrGiveUp(session: Session): Promise<void> {
  try {
    await session.renew();
  } catch (error) {
    if (error instanceof Unreachable) return;
    throw new CloudProblem("The session has ended", "Start again");
  }
}

/** One connection, from the upgrade to the close. */
function connect(
  { url, room, session, onStatus, signal }: FollowOptions,
  position: Position | undefined,
  receive: (frame: ServerFrame) => void,
): Promise<Ending> {
  const address = new URL(`${url}/api/rooms/${room}`);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  if (position) address.search = queryOf(position);
  const socket = new WebSocket(address, [SUBPROTOCOL, `${BEARER_PROTOCOL_PREFIX}${session.accessToken}`]);
  return new Promise((resolve) => {
    let opened = false;
    let heardAt = Date.now();
    const end = (code: number): void => {
      clearTimeout(opening);
      clearTimeout(renewing);
      clearInterval(pinging);
      signal.removeEventListener("abort", leave);
      resolve({ code, opened });
    };
    const leave = (): void => {
      socket.close(1000);
      end(1000);
    };
    const drop = (): void => {
      socket.close();
      end(1006);
    };
    const opening = setTimeout(() => {
      if (!opened) drop();
    }, OPEN_WITHIN_MS);
    const pinging = setInterval(() => {
      if (Date.now() - heardAt > PING_EVERY_MS + PONG_WITHIN_MS) drop();
      else if (opened) socket.send(PING);
    }, PING_EVERY_MS);
    const renew = async (): Promise<void> => {
      try {
        await session.renew();
        if (socket.readyState === WebSocket.OPEN) {
          socket.send(JSON.stringify({ type: "auth", token: session.accessToken }));
        }
        renewing = setTimeout(() => void renew(), session.renewInMs);
      } catch {
        onStatus("the access token could not be renewed; trying again");
        renewing = setTimeout(() => void renew(), PING_EVERY_MS);
      }
    };
    let renewing = setTimeout(() => void renew(), session.renewInMs);
    signal.addEventListener("abort", leave, { once: true });
    socket.addEventListener("open", () => {
      opened = true;
      // workerd (seen at 1.20261023.1) leaves the connection of a client that never sent anything open after the
      // closing handshake, until the object sleeps.
      socket.send(PING);
    });
    socket.addEventListener("message", ({ data }) => {
      heardAt = Date.now();
      const frame = readFrame(String(data));
      if (frame?.type === "error" && (frame.code === "unauthenticated" || frame.code === "token_expired"))
        drop();
      else if (frame) receive(frame);
    });
    socket.addEventListener("close", ({ code }) => end(code));
  });
}

/** One answer by long poll. */
async function poll(
  { url, room, session, signal }: FollowOptions,
  position: Position | undefined,
  waitSeconds: number,
  receive: (frame: ServerFrame) => void,
): Promise<void> {
  const query = `${position ? `${queryOf(position)}&` : ""}wait=${waitSeconds}`;
  const body = await callApi(`${url}/api/rooms/${room}/events?${query}`, {
    headers: { authorization: `Bearer ${session.accessToken}` },
    signal: AbortSignal.any([signal, AbortSignal.timeout((waitSeconds + 10) * 1000)]),
  });
  for (const item of polledSchema.parse(body).frames) {
    const frame = serverFrameSchema.safeParse(item).data;
    if (frame) receive(frame);
  }
}

function queryOf({ epoch, after }: Position): string {
  return new URLSearchParams({ epoch, after: String(after) }).toString();
}

/** A frame; undefined for one that this version does not know. */
function readFrame(text: string): ServerFrame | undefined {
  try {
    return serverFrameSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
