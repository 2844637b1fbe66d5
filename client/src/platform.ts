/**
 * What only some runtimes have, looked up when it is used.
 * @module
 */

type Lock = object | null;

type Platform = {
  location?: { origin: string };
  document?: EventTarget & { visibilityState: string };
  navigator?: {
    locks?: {
      request: <T>(
        name: string,
        options: { ifAvailable?: boolean },
        work: (lock: Lock) => Promise<T>,
      ) => Promise<T>;
    };
  };
  /** A page or a worker of a browser; other runtimes have no such events. */
  addEventListener?: EventTarget["addEventListener"];
  removeEventListener?: EventTarget["removeEventListener"];
  BroadcastChannel?: new (name: string) => EventTarget & {
    postMessage: (message: unknown) => void;
    close: () => void;
  };
};

/** The globals of this runtime. A cast: each one may be missing, as the type says. */
export const platform = globalThis as unknown as Platform;

/** Whether this is a browser, where the refresh token is best left to a cookie. */
export function isBrowser(): boolean {
  return platform.location?.origin !== undefined && platform.BroadcastChannel !== undefined;
}
