/**
 * Work that depends on somebody else's server, done again until it succeeds.
 * @module
 */
import { delay } from "./delay.ts";

/** `unavailable`: somebody could not be reached; the same again later may succeed. */
export type Outcome = { status: "done" } | { status: "unavailable" };

export const DONE: Outcome = { status: "done" };
export const UNAVAILABLE: Outcome = { status: "unavailable" };

/** About 0.3, 0.6, 1.2, 2.4, 4.8 and 9.6 s lie between attempts: a blip costs a second, six attempts span 20 s. */
const FIRST_PAUSE_MS = 300;
/** A pause is between half and one and a half times its length: those that failed together do not come back together. */
const JITTER = 0.5;

/**
 * Does `work`, again after growing pauses while it rejects or is `unavailable`, until an attempt would begin later than
 * `giveUpAt` (milliseconds since the epoch). The first attempt is made in any case.
 * @returns the last outcome @throws what the last attempt rejected with
 */
export async function persist(work: () => Promise<Outcome>, giveUpAt: number): Promise<Outcome> {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs *= 2) {
    const attempt = await Promise.allSettled([work()]);
    const [outcome] = attempt;
    if (outcome.status === "fulfilled" && outcome.value.status === "done") return outcome.value;
    const pause = pauseMs * (1 - JITTER + 2 * JITTER * Math.random());
    if (Date.now() + pause > giveUpAt) {
      if (outcome.status === "rejected") throw outcome.reason;
      return outcome.value;
    }
    await delay(pause);
  }
}

/** Waits for `call`, but not longer than `timeoutMs`: then it rejects, and the call, which cannot be stopped, is left to itself. */
export function within<T>(timeoutMs: number, who: string, call: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`${who} did not answer within ${timeoutMs} ms`));
    }, timeoutMs);
    void call.finally(() => clearTimeout(timer)).then(resolve, reject);
  });
}
