/**
 * A writer that must answer before it can tell the cache what it wrote keeps the thing out of the cache from before its
 * statement until after its answer.
 * @module
 */
import { ignoreOutage } from "./client.ts";

/** Longer than a statement and a read begun before it may take together: see db/client.ts. */
export const HOLD_MS = 25_000;
/** Longer than anything that was cached before the hold may live. */
export const HOLDS_TTL_SECONDS = 3_600;
/** Longer than any read that may still be under way when a write is announced. */
export const FENCE_TTL_SECONDS = 900;

/** What a writer may tell of the new state, so that it need not be read again. */
export type NewCounts = { likeCount?: number; commentCount?: number };

export type Hold = {
  /** Settles when it is held; never rejects, because without Redis there is nothing to hold. */
  held: Promise<void>;
  /** @param revision of the row after the write; 0 when nothing was written */
  release: (revision: number, counts?: NewCounts) => Promise<void>;
};

/** @param hold one Redis command; @param release likewise, called once */
export function createHold(hold: Promise<unknown>, release: Hold["release"]): Hold {
  return { held: hold.then(() => undefined, ignoreOutage), release };
}
