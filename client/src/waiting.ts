/**
 * Waiting that can be given up, and how long to wait before trying again.
 * @module
 */

export type Timer = ReturnType<typeof setTimeout> | undefined;

/** Stops a timer; none is fine. */
export function stopTimer(timer: Timer): void {
  if (timer !== undefined) clearTimeout(timer);
}

/** Resolves after `ms`. @throws the signal's reason when it is aborted */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return abandonable((settle) => {
    const timer = setTimeout(settle, ms);
    return () => clearTimeout(timer);
  }, signal);
}

/** Resolves when `start` calls back; an aborted signal gives it up. `start` returns what cleans up after it. */
export function abandonable(start: (settle: () => void) => () => void, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(reasonOf(signal));
      return;
    }
    const abandon = (): void => {
      stop();
      if (signal) reject(reasonOf(signal));
    };
    const stop = start(() => {
      signal?.removeEventListener("abort", abandon);
      stop();
      resolve();
    });
    signal?.addEventListener("abort", abandon, { once: true });
  });
}

/** The outcome of `promise`, unless the signal is aborted first. What goes on behind the promise is not stopped. */
export async function unlessAborted<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (!signal) return promise;
  // Given up, it may fail all the same.
  promise.catch(() => undefined);
  await abandonable((settle) => {
    promise.then(settle, settle);
    return () => undefined;
  }, signal);
  return promise;
}

/** Why a signal was aborted, as an error. */
export function reasonOf(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  return reason instanceof Error ? reason : new DOMException("This was aborted", "AbortError");
}

/** A random time up to a bound that doubles with each attempt ("full jitter"): clients that failed together do not come back together. */
export function fullJitter(attempt: number, baseMs: number, maxMs: number): number {
  return Math.random() * Math.min(maxMs, baseMs * 2 ** attempt);
}
