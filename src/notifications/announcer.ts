/**
 * Tells a reader's room what is due. Whoever made something due asks for the reader's lease; who gets it tells
 * everything, again and again until nobody has asked since. So frames keep their order, the last one has the reader's
 * unread count, and a storm is one Worker's work. What is left by a Worker that died, or while the room cannot be
 * reached, stays due for a sweep.
 * @module
 */
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
const SWEEP_LIMIT = 200;
/** Readers that a sweep tells side by side. */
const SWEEP_AT_ONCE = 10;

export type Announcer = ReturnType<typeof createAnnouncer>;

export function createAnnouncer({ inbox, rooms, now }: Deps) {
  const time = () => now().getTime();

  /** @param until the lease, which must be held. Rejects when the database fails; what is due stays so. */
  async function announceUnder(readerId: number, until: number): Promise<void> {
    try {
      await rounds(readerId, until);
    } catch (error) {
      await inbox.release(readerId, until).catch(() => undefined);
      throw error;
    }
  }

  async function rounds(readerId: number, until: number): Promise<void> {
    const inTime = () => time() < until - LEASE_MARGIN_MS;
    while (inTime()) {
      const found = await inbox.read(readerId, now(), ROUND_LIMIT);
      if (found?.leasedUntil !== until) return;
      const round = planRound(found, time());
      if (round.changes.length > 0 && (await inbox.apply(round.changes, now())) < round.changes.length) {
        // The reader read one of them meanwhile.
        continue;
      }
      if (!inTime()) break;
      if (round.events.length > 0) {
        const delivery = await rooms.publishToUser(readerId, round.events);
        if (delivery.status !== "done") break;
      }
      const last = found.rows.length < ROUND_LIMIT;
      const [released] = await Promise.all([
        last ? inbox.release(readerId, until, found.wishes) : false,
        found.rows.length > 0 ? inbox.settle(readerId, round) : undefined,
      ]);
      if (released) return;
    }
    await inbox.release(readerId, until);
  }

  /** Tells a reader's room what is due, or leaves that to whoever is doing it. Rejects when the database fails. */
  async function announce(readerId: number): Promise<void> {
    const until = time() + LEASE_MS;
    if (await inbox.lease(readerId, now(), until)) await announceUnder(readerId, until);
  }

  return {
    announce,
    announceUnder,

    /** When a lease that is taken now ends, milliseconds since the epoch. */
    leaseEnd: () => time() + LEASE_MS,

    /** Tells what stayed due, and frames that were held back. @returns how many readers there were */
    async sweep(): Promise<number> {
      const readers = await inbox.listReaders(new Date(time() - SWEEP_GRACE_MS), SWEEP_LIMIT);
      for (let at = 0; at < readers.length; at += SWEEP_AT_ONCE) {
        await Promise.all(readers.slice(at, at + SWEEP_AT_ONCE).map(announce));
      }
      return readers.length;
    },
  };
}
