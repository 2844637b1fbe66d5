/**
 * What a password costs inside workerd.
 * @module
 */
import type { Forum } from "../forum.ts";
import type { Table } from "../report.ts";
import { medianOf } from "../statistics.ts";

const HASHES_PER_ROUND = 8;
const COSTS = [4, 8, 10, 12];

/** @returns CPU per bcrypt hash by cost */
export async function measurePasswords({ bare, signal }: Forum, rounds: number): Promise<Table> {
  const hash = async (cost: number) => {
    signal.throwIfAborted();
    await (await fetch(`${bare.url}/hash?cost=${cost}&size=2`)).text();
  };
  const rows = [];
  for (const cost of COSTS) {
    await hash(cost);
    const times: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const before = bare.cpuMs();
      for (let count = 0; count < HASHES_PER_ROUND; count += 1) await hash(cost);
      times.push((bare.cpuMs() - before) / HASHES_PER_ROUND);
    }
    rows.push([cost, medianOf(times, (time) => time)]);
  }
  return {
    title: "Passwords",
    columns: ["BCRYPT_COST", "CPU ms per hash"],
    rows,
    note: "bcryptjs inside workerd, as LiveForum calls it; to 1 ms. Twice as much for each step of the cost.",
  };
}
