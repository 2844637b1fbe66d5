/**
 * Figures out of samples.
 * @module
 */

/** The smallest sample that at least `share` (0 to 1) of all samples do not exceed; NaN without any. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? NaN;
}

/** The middle sample, of two middle ones their mean; NaN without any. */
export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  if (sorted.length === 0) return NaN;
  return sorted.length % 2 === 1
    ? (sorted[Math.floor(middle)] ?? NaN)
    : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

/** `read` of each round, and of them the median: one disturbed round does not move it. */
export function medianOf<Round>(rounds: readonly Round[], read: (round: Round) => number): number {
  return median(rounds.map(read));
}
