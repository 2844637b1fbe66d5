/**
 * Work after the response.
 * @module
 */
import type { Logger } from "./logger.ts";

/** Puts `work` off until the response is made; a rejection is logged under `label` and never reaches the request. */
export type Background = (label: string, work: () => Promise<unknown>) => void;

export type BackgroundQueue = {
  background: Background;
  /** Starts what was put off, and from then on whatever comes at once. */
  start: () => void;
};

/** @param waitUntil keeps the Worker alive until the work is done */
export function createBackgroundQueue(
  waitUntil: (promise: Promise<unknown>) => void,
  log: Logger,
): BackgroundQueue {
  let waiting: (() => void)[] | undefined = [];
  return {
    background(label, work) {
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
    },
    start() {
      const works = waiting ?? [];
      waiting = undefined;
      for (const run of works) run();
    },
  };
}
