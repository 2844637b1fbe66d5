/**
 * Resident memory of the Worker's runtime over a run, and whether it grows.
 * @module
 */
import { cpus } from "node:os";

/** Resident memory at a moment: seconds since the start, and MB. */
export type MemorySample = { seconds: number; megabytes: number };

const SAMPLE_MS = 2_000;
/** Caches, compiled code and the heap reach their size in the first of these; the second is what the last is held against. */
const MINUTE_SECONDS = 60;
/** What the allocator makes of the same load from minute to minute. */
const NOISE_SHARE = 0.1;
const NOISE_MEGABYTES = 24;

export type Watch = {
  samples: () => MemorySample[];
  /** Share of all cores that was busy, of 1. */
  busy: () => number;
  stop: () => void;
};

/** @param residentMb of the Worker's runtime; NaN where it cannot be told */
export function watchMemory(residentMb: () => number): Watch {
  const startedAt = performance.now();
  const samples: MemorySample[] = [];
  const before = coreTimes();
  const timer = setInterval(() => {
    const megabytes = residentMb();
    if (megabytes > 0) samples.push({ seconds: (performance.now() - startedAt) / 1_000, megabytes });
  }, SAMPLE_MS);
  return {
    samples: () => samples,
    busy() {
      const after = coreTimes();
      return 1 - (after.idle - before.idle) / (after.all - before.all);
    },
    stop: () => clearInterval(timer),
  };
}

/** The least that was in use in each full minute: what garbage leaves when it has been collected. */
export function floorsOf(samples: readonly MemorySample[]): number[] {
  const floors: number[] = [];
  const full = Math.floor(((samples.at(-1)?.seconds ?? 0) + SAMPLE_MS / 1_000) / MINUTE_SECONDS);
  for (const { seconds, megabytes } of samples) {
    const minute = Math.floor(seconds / MINUTE_SECONDS);
    if (minute < full) floors[minute] = Math.min(floors[minute] ?? Infinity, megabytes);
  }
  return floors;
}

export type Growth = { from: number; to: number; grows: boolean };

/** The floor of the last full minute against that of the second. Undefined when there are less than four. */
export function growthOf(samples: readonly MemorySample[]): Growth | undefined {
  const floors = floorsOf(samples);
  const [from, to] = [floors[1], floors.at(-1)];
  if (floors.length < 4 || from === undefined || to === undefined) return undefined;
  return { from, to, grows: to - from > Math.max(NOISE_MEGABYTES, from * NOISE_SHARE) };
}

function coreTimes(): { idle: number; all: number } {
  const times = cpus().map((core) => core.times);
  const sum = (pick: (time: (typeof times)[number]) => number) =>
    times.reduce((total, time) => total + pick(time), 0);
  return {
    idle: sum(({ idle }) => idle),
    all: sum(({ user, nice, sys, idle, irq }) => user + nice + sys + idle + irq),
  };
}
