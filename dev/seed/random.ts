/**
 * A small, fast generator of reproducible random numbers (sfc32). Not for secrets.
 * @module
 */

export type Random = {
  /** At least 0, less than 1. */
  next: () => number;
  /** An integer from 0 to `bound - 1`. */
  below: (bound: number) => number;
  /** One of `items`, which must not be empty. */
  pick: <T>(items: readonly T[]) => T;
};

/** The same seed gives the same numbers. @param seed an integer of 32 bits */
export function createRandom(seed: number): Random {
  let a = seed | 0;
  let b = 0x9e3779b9 | 0;
  let c = 0x243f6a88 | 0;
  let counter = 1;
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 4_294_967_296;
  };
  // The first numbers of neighbouring seeds resemble each other.
  for (let warmUp = 0; warmUp < 16; warmUp += 1) next();
  const below = (bound: number): number => Math.floor(next() * bound);
  return {
    next,
    below,
    pick: <T>(items: readonly T[]): T => items[below(items.length)] as T,
  };
}
