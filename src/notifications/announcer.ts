/**
 * Tells a reader's room what is due. Whoever made something due asks for the reader's lease; who gets it tells
 * everything, again and again until nobody has asked since. So frames keep their order, the last one has the reader's
 * unread count, and a storm is one Worker's work. What is left by a Worker that died, or while the room cannot be
 * reached, stays due for a sweep.
 * @module
 */
import { DONE, type Outcome, UNAVAILABLE } from "../common/retry.ts";
import { workOff } from "../common/sweep.ts";
import type { RoomPublisher } from "../realtime/publisher.ts";
import type { InboxRepository } from "./inbox.ts";
import { planRound } from "./round.ts";

type Deps = {
  inbox: InboxRepository;
  rooms: Pick<RoomPublisher, "publishToUser">;
  now: () => Date;
};

/** Long enough for the rounds of a storm, short enough to be waited for after a Worker died. */
const LEASE_MS = 10_000;
/** Nothing is begun this long before the lease ends. */
const LEASE_MARGIN_MS = 3_000;
/** A sweep leaves alone what came due within this time: somebody is just telling it. */
const SWEEP_GRACE_MS = 2_000;
/** Rows of one round. */
const ROUND_LIMIT = 100;
const SWEEP_LIMIT = 500;

export type Announcer = ReturnType<typeof createAnnouncer>;

export function createAnnouncer({ inbox, rooms, now }: Deps) {
  const time = () => now().getTime();

  /** @param until the lease, which must be held. Rejects when the database fails; what is due stays so. */
  async function announceUnder(readerId: number, until: number): Promise<Outcome> {
    try {
      return await rounds(readerId, until);
    } catch (error) {
      await inbox.release(readerId, until).catch(() => undefined);
      throw error;
    }
  }

  async function rounds(readerId: number, until: number): Promise<Outcome> {
    let outcome = DONE;
    const inTime = () => time() < until - LEASE_MARGIN_MS;
    while (inTime()) {
      const found = await inbox.read(readerId, now(), ROUND_LIMIT);
      if (found?.leasedUntil !== until) return DONE;
      const round = planRound(found, time());
      if (round.changes.length > 0 && (await inbox.apply(round.changes, now())) < round.changes.length) {
        // The reader read one of them meanwhile.
        continue;
      }
      if (!inTime()) break;
      if (round.events.length > 0) {
        const delivery = await rooms.publishToUser(readerId, round.events);
        if (delivery.status !== "done") {
          outcome = UNAVAILABLE;
          break;
        }
      }
      const last = found.rows.length < ROUND_LIMIT;
      const [released] = await Promise.all([
        last ? inbox.release(readerId, until, found.wishes) : false,
        found.rows.length > 0 ? inbox.settle(readerId, round) : undefined,
      ]);
      if (released) return DONE;
    }
    await inbox.release(readerId, until);
    return outcome;
  }

  /** Tells a reader's room what is due, or leaves that to whoever is doing it. Rejects when the database fails. */
  async function announce(readerId: number): Promise<Outcome> {
    const until = time() + LEASE_MS;
    return (await inbox.lease(readerId, now(), until)) ? announceUnder(readerId, until) : DONE;
  }

  return {
    announce,
    announceUnder,

    /** When a lease that is taken now ends, milliseconds since the epoch. */
    leaseEnd: () => time() + LEASE_MS,

    /** Tells what stayed due, and frames that were held back. @returns how many readers were told */
    async sweep(): Promise<number> {
      const readers = await inbox.listReaders(new Date(time() - SWEEP_GRACE_MS), SWEEP_LIMIT);
      return workOff(readers, announce);
    },
  };
}
