/**
 * The tabs of one site: what one of them learns of the session, all of them know, and one of them refreshes for all.
 * @module
 */
import { platform } from "./platform.ts";

/** How long the lock outlives the work: by then the other tabs have been told of its outcome. */
const HANDOVER_MS = 100;
/** How long a tab that waited for another's work waits for its outcome. */
const OUTCOME_WITHIN_MS = 500;

export type Tabs = {
  /** Tells the other tabs; nobody once it is closed. */
  publish: (message: unknown) => void;
  /** Runs `work` in one tab at a time. A tab that had to wait runs it only if `stillNeeded` says so then. */
  exclusively: (work: () => Promise<void>, stillNeeded: () => boolean) => Promise<void>;
  close: () => void;
};

/** A tab that knows of no others: other runtimes, and sessions that are not shared. */
export const NO_TABS: Tabs = {
  publish: () => undefined,
  exclusively: (work) => work(),
  close: () => undefined,
};

/** @param name the same in all tabs that share a session @param onMessage another tab's `publish` */
export function openTabs(name: string, onMessage: (message: unknown) => void): Tabs {
  const { BroadcastChannel, navigator } = platform;
  if (!BroadcastChannel) return NO_TABS;
  const channel = new BroadcastChannel(name);
  let closed = false;
  const heard = new EventTarget();
  channel.addEventListener("message", (event) => {
    onMessage((event as Event & { data: unknown }).data);
    heard.dispatchEvent(new Event("message"));
  });
  const outcome = (): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, OUTCOME_WITHIN_MS);
      heard.addEventListener(
        "message",
        () => {
          clearTimeout(timer);
          resolve();
        },
        { once: true },
      );
    });

  return {
    publish(message) {
      // A closed client may still sign out.
      if (closed) return;
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a channel has no target, only a name
      channel.postMessage(message);
    },
    close() {
      closed = true;
      channel.close();
    },
    async exclusively(work, stillNeeded) {
      const locks = navigator?.locks;
      if (!locks) {
        await work();
        return;
      }
      // Resolves with the work; the lock stays a moment longer.
      const under = (options: { ifAvailable?: boolean }, look: () => Promise<boolean>): Promise<boolean> =>
        new Promise((resolve, reject) => {
          locks
            .request(name, options, async (lock) => {
              if (lock === null) {
                resolve(false);
                return;
              }
              if (await look()) {
                await work();
                resolve(true);
                await new Promise((done) => setTimeout(done, HANDOVER_MS));
              } else resolve(true);
            })
            .catch(reject);
        });
      if (await under({ ifAvailable: true }, () => Promise.resolve(stillNeeded()))) return;
      const told = outcome();
      await under({}, async () => {
        if (stillNeeded()) await told;
        return stillNeeded();
      });
    },
  };
}
