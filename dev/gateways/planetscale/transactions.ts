/**
 * Open transactions: each holds one connection, runs one statement at a time, and ends when its time is up.
 * @module
 */
import { randomUUID } from "node:crypto";
import type { MysqlConnection } from "./connection.ts";
import { SqlFailure } from "./errors.ts";

type Transaction = {
  connection: MysqlConnection;
  /** Settles when the last statement that was queued has run; never rejects. */
  tail: Promise<unknown>;
  expiry: NodeJS.Timeout;
};

/** How many ended transactions are remembered for the sake of their error message. */
const ENDED_LIMIT = 1_000;

/** Transactions by id. An id is never used twice, so what refers to an ended one can only fail. */
export class Transactions {
  readonly #timeoutMs: number;
  readonly #open = new Map<string, Transaction>();
  readonly #ended = new Map<string, string>();

  /** `timeoutMs` is counted from the first statement, whatever runs then. */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  get size(): number {
    return this.#open.size;
  }

  has(id: string): boolean {
    return this.#open.has(id);
  }

  /** Takes over a connection on which a transaction has begun. */
  begin(connection: MysqlConnection): string {
    const id = randomUUID();
    const expiry = setTimeout(() => {
      this.end(id, `exceeded timeout: ${this.#timeoutMs / 1_000}s`);
      connection.kill(this.#gone(id));
    }, this.#timeoutMs);
    this.#open.set(id, { connection, tail: Promise.resolve(), expiry });
    return id;
  }

  /**
   * Runs `work` on the transaction's connection, after all that was asked before.
   * @throws {SqlFailure} `ABORTED` when the transaction has ended, also while `work` waited for its turn.
   */
  run<T>(id: string, work: (connection: MysqlConnection) => Promise<T>): Promise<T> {
    const transaction = this.#open.get(id);
    if (!transaction) return Promise.reject(this.#gone(id));
    const turn = transaction.tail.then(() => {
      if (!this.#open.has(id)) throw this.#gone(id);
      return work(transaction.connection);
    });
    transaction.tail = Promise.allSettled([turn]);
    return turn;
  }

  /** Forgets a transaction; its connection is the caller's again. */
  end(id: string, reason: string): void {
    const transaction = this.#open.get(id);
    if (!transaction) return;
    clearTimeout(transaction.expiry);
    this.#open.delete(id);
    const at = new Date().toISOString().replace("T", " ").replace("Z", " UTC");
    this.#ended.set(id, `ended at ${at} (${reason})`);
    const [oldest] = this.#ended.keys();
    if (oldest !== undefined && this.#ended.size > ENDED_LIMIT) this.#ended.delete(oldest);
  }

  /** Stops all timers. The connections are left to their pool. */
  close(): void {
    for (const id of this.#open.keys()) this.end(id, "the gateway is shutting down");
  }

  #gone(id: string): SqlFailure {
    const fate = this.#ended.get(id) ?? "not found (potential transaction timeout)";
    return new SqlFailure("ABORTED", `transaction ${id}: ${fate}`);
  }
}
