/** The clock of tests, the Worker and its objects, which share an isolate. Alarms go by real time all the same. */
import { vi } from "vitest";

const realNow = Date.now.bind(Date);
let aheadMs = 0;
let stoppedAt: number | undefined;

function set(): void {
  if (stoppedAt === undefined) vi.spyOn(Date, "now").mockImplementation(() => realNow() + aheadMs);
  else vi.setSystemTime(stoppedAt + aheadMs);
}

/** Puts the clock forward; it goes on if it was not stopped. Undone by `returnToPresent`. */
export function travel(ms: number): void {
  aheadMs += ms;
  set();
}

/** Stops the clock: what happens next all happens at one time, however slow the machine is. Undone by `returnToPresent`. */
export function stopClock(): void {
  stoppedAt = realNow();
  set();
}

/**
 * Lets what is waited for with `setTimeout` and limited with `AbortSignal.timeout` take `factor` times as long, so that a
 * machine that stalls misses no limit. Undone by `returnToPresent`.
 */
export function stretchTimers(factor: number): void {
  const { setTimeout } = globalThis;
  const timeout = AbortSignal.timeout.bind(AbortSignal);
  const stretched = (work: () => void, ms = 0) => setTimeout(work, ms * factor);
  vi.spyOn(globalThis, "setTimeout").mockImplementation(stretched as typeof setTimeout);
  vi.spyOn(AbortSignal, "timeout").mockImplementation((ms) => timeout(ms * factor));
}

/** For `afterEach` of every file that does any of these. Restores all mocks, too. */
export function returnToPresent(): void {
  aheadMs = 0;
  stoppedAt = undefined;
  vi.useRealTimers();
  vi.restoreAllMocks();
}
