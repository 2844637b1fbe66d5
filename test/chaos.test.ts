/**
 * Random writes while Redis, QStash, rooms and the database fail and Workers die, at any point: in the end everything that
 * was taken has been told exactly once, and nothing else. A run follows from its seed; `npm run chaos` makes more of them.
 */
import { describe, it } from "vitest";
import { runChaos } from "./support/chaos.ts";

const BATCHES = 3;
const RUNS = 100;

describe("a run of chaos", () => {
  const first = Math.floor(Math.random() * 2 ** 30);
  const batches = Array.from(
    { length: BATCHES },
    (_, batch) => (batch % 2 === 0 ? 0 : first) + batch * RUNS + 1,
  );
  it.for(batches)(
    `of the ${RUNS} seeds from %i on ends well`,
    { timeout: 900_000 },
    async (from, { expect }) => {
      const seeds = Array.from({ length: RUNS }, (_, run) => from + run);
      expect(Object.fromEntries(await runChaos(seeds))).toEqual({});
    },
  );
});
