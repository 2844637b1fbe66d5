/**
 * What async iterators read from: a bounded queue, or the latest value alone.
 * @module
 */

/** An iterator, and the side that fills it. */
export type Feed<T> = AsyncIterableIterator<T, undefined> & {
  /** The consumer's next `next()` gets it, sooner or later. */
  push: (value: T) => void;
  /** Nothing comes any more: what is left is read, then it is over, or the error is thrown. */
  end: (error?: Error) => void;
};

/**
 * @param limit values that may wait
 * @param overflow what takes the place of all that wait when there are too many; called once for each time
 * @param onReturn the consumer has left
 */
export function createFeed<T>(limit: number, overflow: (latest: T) => T, onReturn: () => void): Feed<T> {
  let waiting: T[] = [];
  let ended = false;
  let error: Error | undefined;
  let sleepers: (() => void)[] = [];

  function wake(): void {
    const all = sleepers;
    sleepers = [];
    for (const sleeper of all) sleeper();
  }

  function stop(): void {
    ended = true;
    wake();
  }

  const feed: Feed<T> = {
    push(value) {
      if (ended) return;
      if (waiting.length >= limit) waiting = [overflow(value)];
      else waiting.push(value);
      wake();
    },
    end(reason) {
      if (ended) return;
      error = reason;
      stop();
    },
    async next() {
      for (;;) {
        if (waiting.length > 0) {
          const [value] = waiting.splice(0, 1) as [T];
          return { value, done: false };
        }
        if (ended) break;
        await new Promise<void>((resolve) => sleepers.push(resolve));
      }
      const reason = error;
      error = undefined;
      if (reason) throw reason;
      return { value: undefined, done: true };
    },
    return() {
      waiting = [];
      error = undefined;
      stop();
      onReturn();
      return Promise.resolve({ value: undefined, done: true });
    },
    [Symbol.asyncIterator]: () => feed,
  };
  return feed;
}
