/**
 * Work after the response.
 * @module
 */
import type { Logger } from "./logger.ts";
import { type Outcome, persist } from "./retry.ts";

/** Puts `work` off until the response is made; a rejection is logged under `label` and never reaches the request. */
export type Background = (label: string, work: () => Promise<unknown>) => void;

/**
 * Puts off work that has to be done and may be repeated: done again, after growing pauses, while it rejects or is
 * `unavailable`. What is not done in the end was left due in a row by the statement that made it so, for a sweep.
 */
export type Effects = (label: string, work: () => Promise<Outcome>) => void;

export type BackgroundQueue = {
  background: Background;
  effects: Effects;
  /** Starts what was put off, and from then on whatever comes at once. */
  start: () => void;
};

/**
 * @param waitUntil keeps the Worker alive until the work is done
 * @param patienceMs how long after the start effects are begun anew; the platform ends a Worker 30 s after its response
 */
export function createBackgroundQueue(
  waitUntil: (promise: Promise<unknown>) => void,
  log: Logger,
  patienceMs = 0,
): BackgroundQueue {
  let waiting: (() => void)[] | undefined = [];
  let giveUpAt = 0;

  const background: Background = (label, work) => {
    const run = () =>
      waitUntil(
        Promise.resolve()
          .then(work)
          .catch((error: unknown) => {
            log.error("background work failed", error, { label });
          }),
      );
    if (waiting) waiting.push(run);
    else run();
  };

  return {
    background,
    effects(label, work) {
      background(label, async () => {
        const { status } = await persist(work, giveUpAt);
        if (status !== "done") log.warn("effects are left to a sweep", { label });
      });
    },
    start() {
      giveUpAt = Date.now() + patienceMs;
      const works = waiting ?? [];
      waiting = undefined;
      for (const run of works) run();
    },
  };
}
