/**
 * Housekeeping in bounded steps.
 * @module
 */

/** Bounds of one run, well within PlanetScale's limits of rows and time. */
const CHUNK_ROWS = 1_000;
const CHUNKS_MAX = 20;

/** Repeats `step`, which handles up to `limit` rows and tells how many, until none are left or the run is long enough. */
export async function inChunks(step: (limit: number) => Promise<number>): Promise<number> {
  let total = 0;
  for (let chunk = 0; chunk < CHUNKS_MAX; chunk += 1) {
    const count = await step(CHUNK_ROWS);
    total += count;
    if (count < CHUNK_ROWS) break;
  }
  return total;
}
