/**
 * Interleavings.
 * @module
 */

/** Every order in which participants with so many steps can take their turns. */
export function* orders(left: readonly number[]): Generator<number[]> {
  if (left.every((count) => count === 0)) yield [];
  for (const [who, count] of left.entries()) {
    if (count === 0) continue;
    for (const rest of orders(left.map((each, index) => (index === who ? each - 1 : each)))) {
      yield [who, ...rest];
    }
  }
}
