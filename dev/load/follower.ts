/**
 * A client of a room that comes and goes, and holds every event against its number.
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import { CLOSE, type Position, type ReadyFrame } from "../../src/realtime/events.ts";
import { type Listener, listen } from "../bench/load/socket.ts";
import type { Random } from "../seed/random.ts";
import type { RoomRecord } from "./room-record.ts";
import type { Person } from "./world.ts";

/** How long it stays, and how long it is away. */
const STAYS_MS = { least: 3_000, most: 25_000 };
const AWAY_MS = { least: 0, most: 3_000 };
/**
 * It stays so many times as long as the way in took: where the machine is slow, followers come less often, instead of
 * queueing until every upgrade fails of its age.
 */
const STAYS_TIMES = 20;
/** Away after a refusal, and after each further one twice as long; no shorter than the wait for it asks for. */
const REFUSED_MS = 1_000;
const REFUSED_MOST_MS = 60_000;
const READY_WITHIN_MS = 60_000;
/** One of so many visits ends without a goodbye. */
const VANISHES = 4;

export type Follower = {
  /** The last event that it had. */
  seq: () => number;
  /** Times that it came. */
  visits: () => number;
  /** Events that it had. */
  events: () => number;
  /** Resolves when it has come for the first time. */
  arrived: Promise<void>;
  /** Goes and comes back to stay; the connection is open when this resolves. */
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
  const rooms = `${url}/api/rooms/${record.name}`;
  let listener: Listener | undefined;
  let position: Position | null = null;
  let visits = 0;
  let events = 0;
  let closed = false;

  /** One connection, from the upgrade to its close. @throws when it is refused */
  async function visit(): Promise<void> {
    visits += 1;
    const cameAt = performance.now();
    const toStay = settling.signal.aborted;
    const query: string = position ? `?epoch=${position.epoch}&after=${position.after}` : "";
    const ended = Promise.withResolvers<number>();
    const ready = Promise.withResolvers<void>();
    let leaving = false;
    const opened = await listen(
      `${rooms}${query}`,
      { authorization: `Bearer ${person.accessToken}` },
      (frame, code) => {
        if (!frame) ended.resolve(code ?? 0);
        // What comes after a goodbye is nobody's any more, and comes again with the next visit.
        else if (!leaving && read(frame.toString())) ready.resolve();
      },
    );
    listener = opened;
    const stay = new AbortController();
    const end = ended.promise.then((code) => {
      stay.abort();
      // A token that ran out is fetched anew by whoever signs in next.
      if (!leaving && !closed && code !== CLOSE.unauthenticated) fault(`${record.name}: closed with ${code}`);
    });
    const late = sleep(READY_WITHIN_MS, "late" as const, { signal: stay.signal }).catch(() => undefined);
    if ((await Promise.race([ready.promise, end, late])) === "late") {
      fault(`${record.name}: no \`ready\` within ${READY_WITHIN_MS} ms`);
    } else if (!stay.signal.aborted) {
      arrived.resolve();
      if (toStay) {
        settled.resolve();
        await end;
        return;
      }
      const staysMs = Math.max(between(random, STAYS_MS), STAYS_TIMES * (performance.now() - cameAt));
      const signal = AbortSignal.any([stay.signal, settling.signal]);
      await sleep(staysMs, undefined, { signal }).catch(() => undefined);
    }
    stay.abort();
    leaving = true;
    if (random.below(VANISHES) === 0) opened.close();
    else opened.leave();
    await end;
  }

  /** @returns whether it was `ready` */
  function read(text: string): boolean {
    if (text.startsWith('{"type":"ready"')) {
      const ready = JSON.parse(text) as ReadyFrame;
      const wanted = position ? "replayed" : "fresh";
      if (ready.resume !== wanted) fault(`${record.name}: ${ready.resume} where ${wanted} was due`);
      if (ready.resume !== "replayed") position = { epoch: ready.epoch, after: ready.seq };
      return true;
    }
    const seq = Number(/"seq":(\d+)/.exec(text.slice(0, 200))?.[1]);
    if (!Number.isNaN(seq)) take(seq, text);
    return false;
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
    let refusals = 0;
    for (;;) {
      let awayMs = between(random, AWAY_MS);
      const cameAt = performance.now();
      try {
        await visit();
        refusals = 0;
      } catch (error) {
        if (!closed) fault(`${record.name}: ${String(error)}`);
        const waitedMs = performance.now() - cameAt;
        awayMs += Math.min(Math.max(REFUSED_MS * 2 ** refusals, STAYS_TIMES * waitedMs), REFUSED_MOST_MS);
        refusals += 1;
      }
      if (closed) return;
      // Whoever is to settle comes at once, but does not hammer on a door that is shut.
      const options = refusals > 0 ? {} : { signal: settling.signal };
      await sleep(awayMs, undefined, options).catch(() => undefined);
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
      listener?.close();
    },
  };
}

function between(random: Random, { least, most }: { least: number; most: number }): number {
  return least + random.next() * (most - least);
}
