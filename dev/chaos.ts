/**
 * `npm run chaos -- [--runs N] [--seed N]`: random writes under random faults, on a local cloud of its own.
 * @module
 */
import { parseArgs } from "node:util";
import { runCommand } from "./cloud/command.ts";
import { CloudProblem } from "./cloud/problem.ts";
import { stopSignal } from "./cloud/stop-signal.ts";
import { startLocalChaos } from "./chaos/local.ts";

const USAGE = `npm run chaos -- [flags]

People write at random while Redis, QStash, rooms and the database fail, Workers die half-way and, now and then, the
runtime is killed. In the end everything that was taken must have been told exactly once, and nothing else. A run follows
from its seed; one that ends badly is named with what is wrong.

  --runs N      How many; 300 by default.
  --seed N      That of the first run; the others follow. A random one by default.
  --at-once N   Runs at the same time; 20 by default.
  --kill-every N  Kills the runtime once in so many batches; 10 by default, 0: never.
`;

const SEED_MAX = 2 ** 31;
/** The runtime is killed within this time from the start of a batch. */
const KILL_WITHIN_MS = 1_500;

function flags() {
  const { values } = parseArgs({
    options: {
      runs: { type: "string", default: "300" },
      seed: { type: "string", default: String(Math.floor(Math.random() * (SEED_MAX - 1_000_000))) },
      "at-once": { type: "string", default: "20" },
      "kill-every": { type: "string", default: "10" },
      help: { type: "boolean", default: false },
    },
  });
  const number = (name: "runs" | "seed" | "at-once" | "kill-every", least: number): number => {
    const value = Number(values[name]);
    if (!Number.isSafeInteger(value) || value < least || value >= SEED_MAX) {
      throw new CloudProblem(
        `--${name} must be a whole number from ${least} up`,
        "`npm run chaos -- --help`",
      );
    }
    return value;
  };
  return {
    help: values.help,
    runs: number("runs", 1),
    seed: number("seed", 0),
    atOnce: number("at-once", 1),
    killEvery: number("kill-every", 0),
  };
}

/** @returns whether all runs ended well */
async function main(): Promise<boolean> {
  const { help, runs, seed, atOnce, killEvery } = flags();
  if (help) {
    console.log(USAGE);
    return true;
  }
  const signal = stopSignal((line) => console.log(`[chaos] ${line}`));
  console.log(`[chaos] ${runs} runs from seed ${seed} on: npm run chaos -- --runs ${runs} --seed ${seed}`);
  const chaos = await startLocalChaos(signal);
  const startedAt = performance.now();
  let failed = 0;
  try {
    for (let done = 0, batch = 1; done < runs; batch += 1) {
      signal.throwIfAborted();
      const seeds = Array.from({ length: Math.min(atOnce, runs - done) }, (_, index) => seed + done + index);
      const kills = killEvery > 0 && batch % killEvery === 0;
      const wrong = await chaos.run(seeds, kills ? Math.random() * KILL_WITHIN_MS : undefined);
      done += seeds.length;
      failed += wrong.size;
      for (const [bad, lines] of wrong) {
        console.log(`[chaos] seed ${bad}${kills ? " (and the runtime was killed)" : ""} ends badly:`);
        for (const line of lines) console.log(`  ${line}`);
      }
      const seconds = (performance.now() - startedAt) / 1_000;
      if (batch % 10 === 0 || done === runs) {
        console.log(`[chaos] ${done} runs, ${failed} ended badly, ${(done / seconds).toFixed(1)} runs/s`);
      }
    }
  } finally {
    await chaos.close();
  }
  return failed === 0;
}

await runCommand({ name: "chaos", main });
