/**
 * A client of a room that comes and goes, and holds every event against its number.
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import { CLOSE, type Position, type ReadyFrame, SUBPROTOCOL } from "../../src/realtime/events.ts";
import type { Random } from "../seed/random.ts";
import type { RoomRecord } from "./room-record.ts";
import type { Person } from "./world.ts";

/** How long it stays, and how long it is away. */
const STAYS_MS = { least: 3_000, most: 25_000 };
const AWAY_MS = { least: 0, most: 3_000 };
const READY_WITHIN_MS = 60_000;

export type Follower = {
  /** The last event that it had. */
  seq: () => number;
  /** Times that it came. */
  visits: () => number;
  /** Events that it had. */
  events: () => number;
  /** Resolves when it has come for the first time. */
  arrived: Promise<void>;
  /** Stays from now on; the connection is open when this resolves. */
  settle: () => Promise<void>;
  close: () => void;
};

type Options = {
  url: string;
  record: RoomRecord;
  person: Person;
  random: Random;
  fault: (what: string) => void;
};

/** Starts to follow at once. */
export function startFollower({ url, record, person, random, fault }: Options): Follower {
  const settling = new AbortController();
  const arrived = Promise.withResolvers<void>();
  const settled = Promise.withResolvers<void>();
  let socket: WebSocket | undefined;
  let position: Position | null = null;
  let visits = 0;
  let events = 0;
  let closed = false;

  /** One connection, from `ready` to its close. */
  function visit(): Promise<void> {
    visits += 1;
    const query: string = position ? `?epoch=${position.epoch}&after=${position.after}` : "";
    const opened = new WebSocket(`${url.replace("http", "ws")}/api/rooms/${record.name}${query}`, [
      SUBPROTOCOL,
      `bearer.${person.accessToken}`,
    ]);
    socket = opened;
    let leaving = false;
    const leave = (): void => {
      leaving = true;
      opened.close(1000, "done");
    };
    let timer = setTimeout(() => {
      fault(`${record.name}: no \`ready\` within ${READY_WITHIN_MS} ms`);
      leave();
    }, READY_WITHIN_MS);

    function begin(ready: ReadyFrame): void {
      clearTimeout(timer);
      const wanted = position ? "replayed" : "fresh";
      if (ready.resume !== wanted) fault(`${record.name}: ${ready.resume} where ${wanted} was due`);
      if (ready.resume !== "replayed") position = { epoch: ready.epoch, after: ready.seq };
      arrived.resolve();
      if (settling.signal.aborted) {
        settled.resolve();
        return;
      }
      const stay = (): void => {
        clearTimeout(timer);
        settled.resolve();
      };
      settling.signal.addEventListener("abort", stay, { once: true });
      timer = setTimeout(
        () => {
          settling.signal.removeEventListener("abort", stay);
          leave();
        },
        between(random, STAYS_MS),
      );
    }

    opened.addEventListener("message", ({ data }) => {
      const text = String(data);
      const seq = Number(/"seq":(\d+)/.exec(text.slice(0, 200))?.[1]);
      if (text.startsWith('{"type":"ready"')) begin(JSON.parse(text) as ReadyFrame);
      else if (!Number.isNaN(seq)) take(seq, text);
    });
    return new Promise((resolve) => {
      opened.addEventListener("close", ({ code }) => {
        clearTimeout(timer);
        // A token that ran out is fetched anew by whoever signs in next.
        if (!leaving && !closed && code !== CLOSE.unauthenticated)
          fault(`${record.name}: closed with ${code}`);
        resolve();
      });
    });
  }

  function take(seq: number, text: string): void {
    if (!position || seq !== position.after + 1) {
      fault(`${record.name}: event ${seq} came after ${position?.after}`);
    }
    if (position) position = { ...position, after: seq };
    events += 1;
    const wrong = record.take(seq, text);
    if (wrong !== undefined) fault(wrong);
  }

  void (async () => {
    while (!closed) {
      await visit();
      if (!closed && !settling.signal.aborted) {
        await sleep(between(random, AWAY_MS), undefined, { signal: settling.signal }).catch(() => undefined);
      }
    }
  })();

  return {
    seq: () => position?.after ?? 0,
    visits: () => visits,
    events: () => events,
    arrived: arrived.promise,
    settle() {
      settling.abort();
      return settled.promise;
    },
    close() {
      closed = true;
      socket?.close(1000, "done");
    },
  };
}

function between(random: Random, { least, most }: { least: number; most: number }): number {
  return least + random.next() * (most - least);
}
