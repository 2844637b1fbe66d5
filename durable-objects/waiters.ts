/**
 * Long polls that wait for the next event. They live in memory, as the requests do that they belong to.
 * @module
 */

const WAITERS_MAX = 1_000;
const WAITERS_PER_USER_MAX = 20;
/** How much later than its time a waiter is taken for abandoned. */
const ABANDONED_AFTER_MS = 2_000;

type Waiter = { userId: number; deadline: number; release: () => void };

export class Waiters {
  readonly #waiting = new Map<string, Waiter>();

  /**
   * Resolves at the next event or when it is stopped; at once when too many wait. There is no timer here: whoever asks
   * stops its waiter in time.
   * @param deadline by when the asker will have stopped it, milliseconds since the epoch
   */
  wait(id: string, userId: number, deadline: number, now: number): Promise<void> {
    this.#dropAbandoned(now);
    const own = [...this.#waiting.values()].filter((waiter) => waiter.userId === userId);
    if (this.#waiting.size >= WAITERS_MAX || own.length >= WAITERS_PER_USER_MAX) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.set(id, { userId, deadline, release: resolve });
    });
  }

  /** Releases everybody. */
  wake(): void {
    for (const waiter of this.#waiting.values()) waiter.release();
    this.#waiting.clear();
  }

  /** Releases one; an unknown one is fine. */
  stop(id: string): void {
    this.#waiting.get(id)?.release();
    this.#waiting.delete(id);
  }

  /** Requests that broke off never stop their waiter. */
  #dropAbandoned(now: number): void {
    for (const [id, waiter] of this.#waiting) {
      if (waiter.deadline + ABANDONED_AFTER_MS < now) this.stop(id);
    }
  }
}
