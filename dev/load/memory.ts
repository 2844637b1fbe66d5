/**
 * Resident memory of the Worker's runtime over a run, and whether it grows; how busy runtime and machine are.
 * @module
 */
import { cpus } from "node:os";
import type { Runtime } from "../bench/runtime.ts";

/** Resident memory at a moment: seconds since the start, and MB. */
export type MemorySample = { seconds: number; megabytes: number };

const SAMPLE_MS = 2_000;
/** Caches, compiled code and the heap reach their size in the first of these; the second is what the last is held against. */
const MINUTE_SECONDS = 60;
/** What the allocator makes of the same load from minute to minute. */
const NOISE_SHARE = 0.1;
const NOISE_MEGABYTES = 24;

export type Watch = {
  start: () => void;
  stop: () => void;
  samples: () => MemorySample[];
  /** Share of all cores that was busy, of 1. */
  busy: () => number;
  /** CPU time that the runtime took, in seconds. */
  cpuSeconds: () => number;
};

/** Nothing is watched before `start`. */
export function watchRuntime({ residentMb, cpuMs }: Pick<Runtime, "residentMb" | "cpuMs">): Watch {
  const samples: MemorySample[] = [];
  let timer: ReturnType<typeof setInterval> | undefined;
  let before = reading();
  let after = before;

  function reading() {
    return { at: performance.now(), cores: coreTimes(), cpuMs: cpuMs() };
  }
  return {
    start() {
      before = reading();
      timer = setInterval(() => {
        const megabytes = residentMb();
        if (megabytes > 0) samples.push({ seconds: (performance.now() - before.at) / 1_000, megabytes });
      }, SAMPLE_MS);
    },
    stop() {
      clearInterval(timer);
      after = reading();
    },
    samples: () => samples,
    busy: () => 1 - (after.cores.idle - before.cores.idle) / (after.cores.all - before.cores.all),
    cpuSeconds: () => (after.cpuMs - before.cpuMs) / 1_000,
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
