/**
 * What a run came to, as a table.
 * @module
 */
import { floorsOf, growthOf, type Watch } from "./memory.ts";
import type { LoadReport } from "./run.ts";

const KINDS_SHOWN = 20;

/** @param complaints of the Worker's log */
export function describeReport(report: LoadReport, watch: Watch, complaints: string[]): string {
  const { seconds, quietSeconds, heldBack, tally, visits, events, agree, faults } = report;
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
    `cores busy: ${(watch.busy() * 100).toFixed(0)} % with all that the machine does; the runtime took ${watch.cpuSeconds().toFixed(0)} s of CPU`,
    `rooms, REST and tables ${agree ? "agree" : "DIFFER"}, ${quietSeconds.toFixed(0)} s after the last answer; ${heldBack} frames were held back until then`,
    `memory of the runtime, the least in each minute, MB: ${floorsOf(watch.samples())
      .map((floor) => floor.toFixed(0))
      .join(" ")}`,
    growth
      ? `memory from the second minute to the last: ${growth.from.toFixed(0)} to ${growth.to.toFixed(0)} MB: ${growth.grows ? "GROWS" : "does not grow"}`
      : "too short to tell whether memory grows",
    complaints.length === 0 ? "no warnings or errors in the Worker's log" : "in the Worker's log:",
    ...complaints.map((complaint) => `  ${complaint}`),
    faults.length === 0 ? "no faults" : `${faults.length} FAULTS; of each kind the first:`,
    ...byKind(faults),
  ].join("\n");
}

/** Faults that differ in numbers and ids alone are of a kind. */
function byKind(faults: readonly string[]): string[] {
  const kinds = new Map<string, string[]>();
  for (const fault of faults) {
    const kind = fault.replace(/"(requestId|content)":"[^"]*"/g, "").replace(/\d+/g, "N");
    kinds.set(kind, [...(kinds.get(kind) ?? []), fault]);
  }
  return [...kinds.values()]
    .sort((a, b) => b.length - a.length)
    .slice(0, KINDS_SHOWN)
    .map((same) => `  ${same.length} × ${same[0]?.slice(0, 500)}`);
}

function line(name: string, ...columns: string[]): string {
  return name.padEnd(26) + columns.map((column) => column.padStart(10)).join("");
}
