/**
 * What a run came to, as a table.
 * @module
 */
import { floorsOf, growthOf, type Watch } from "./memory.ts";
import type { LoadReport } from "./run.ts";

const FAULTS_SHOWN = 20;

export function describeReport(report: LoadReport, watch: Watch): string {
  const { seconds, quietSeconds, tally, visits, events, faults } = report;
  const growth = growthOf(watch.samples());
  const all = Object.values(tally);
  const requests = all.reduce((sum, { latencies }) => sum + latencies.length, 0);
  const limited = all.reduce((sum, entry) => sum + entry.limited, 0);
  const rows = Object.entries(tally)
    .sort(([, a], [, b]) => b.latencies.length - a.latencies.length)
    .map(([name, { latencies }]) => {
      const sorted = latencies.toSorted((a, b) => a - b);
      const at = (share: number) => (sorted[Math.floor((sorted.length - 1) * share)] ?? NaN).toFixed(1);
      return line(name, String(latencies.length), at(0.5), at(0.95), at(0.99), at(1));
    });
  return [
    "",
    line("Request", "count", "p50 ms", "p95 ms", "p99 ms", "most ms"),
    ...rows,
    "",
    `${requests} requests in ${seconds.toFixed(0)} s: ${(requests / seconds).toFixed(1)} a second; ${limited} limited (429)`,
    `${visits} connections, ${events} events, ${(events / seconds).toFixed(0)} a second`,
    `cores busy: ${(watch.busy() * 100).toFixed(0)} %`,
    `all effects were seen ${quietSeconds.toFixed(0)} s after the last answer`,
    `memory of the runtime, the least in each minute, MB: ${floorsOf(watch.samples())
      .map((floor) => floor.toFixed(0))
      .join(" ")}`,
    growth
      ? `memory from the second minute to the last: ${growth.from.toFixed(0)} to ${growth.to.toFixed(0)} MB: ${growth.grows ? "GROWS" : "does not grow"}`
      : "too short to tell whether memory grows",
    faults.length === 0 ? "no faults" : `${faults.length} FAULTS, the first of them:`,
    ...faults.slice(0, FAULTS_SHOWN).map((fault) => `  ${fault.slice(0, 500)}`),
  ].join("\n");
}

function line(name: string, ...columns: string[]): string {
  return name.padEnd(26) + columns.map((column) => column.padStart(10)).join("");
}
