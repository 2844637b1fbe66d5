/** Waiting for conditions: with the patience that a busy machine needs, which vitest's own second is not. */
import { vi } from "vitest";

/** Bounds what never comes, not what is slow. */
const PATIENCE = { timeout: 20_000, interval: 20 };

type Patience = { timeout?: number; interval?: number; message?: string };

/** Waits until `condition` gives something truthy, and gives that. @throws when it throws, or after 20 s (`timeout`, ms). */
export function waitUntil<T>(condition: () => T | Promise<T>, patience: Patience = {}) {
  return vi.waitUntil(condition, { ...PATIENCE, ...patience });
}

/** Waits until `check` no longer throws, and gives what it gives. @throws its last error after 20 s (`timeout`, ms). */
export function waitFor<T>(check: () => T | Promise<T>, patience: Omit<Patience, "message"> = {}) {
  return vi.waitFor(check, { ...PATIENCE, ...patience });
}
