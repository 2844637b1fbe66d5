/**
 * Connections for statements outside and inside of transactions, each fresh when it is handed out.
 * @module
 */
import { MysqlConnection, type MysqlAddress } from "./connection.ts";
import { SqlFailure } from "./errors.ts";

type Waiter = { take: (connection: MysqlConnection) => void; fail: (failure: unknown) => void };

/** Connections are opened on demand and kept; those that the server closes leave by themselves. */
export class ConnectionPool {
  readonly #address: MysqlAddress;
  readonly #maxConnections: number;
  readonly #waitLimitMs: number;
  readonly #live = new Set<MysqlConnection>();
  #idle: MysqlConnection[] = [];
  #waiting: Waiter[] = [];
  #opening = 0;
  #closed = false;

  constructor(address: MysqlAddress, limits: { maxConnections: number; waitLimitMs: number }) {
    this.#address = address;
    this.#maxConnections = limits.maxConnections;
    this.#waitLimitMs = limits.waitLimitMs;
  }

  /** How many connections there are, and how many of them nobody uses. */
  get size(): { open: number; idle: number } {
    return { open: this.#live.size, idle: this.#idle.length };
  }

  /**
   * A fresh connection, to be given back with `release`.
   * @throws {SqlFailure} `UNAVAILABLE` when the server is gone, `RESOURCE_EXHAUSTED` when all connections stay in
   * use for `waitLimitMs`, `CANCELED` when `signal` aborts the wait.
   */
  async acquire(signal: AbortSignal): Promise<MysqlConnection> {
    if (this.#closed) throw closing();
    const idle = this.#idle.pop();
    if (idle) return idle;
    if (this.#live.size + this.#opening < this.#maxConnections) return this.#open();
    return this.#wait(signal);
  }

  /** Takes a connection back in whatever state it is. Its next user gets it reset. */
  release(connection: MysqlConnection): void {
    if (!connection.usable) return;
    connection.reset().then(
      () => this.#offer(connection),
      // It could not be reset, so nobody may use it again. Most often it has ended already.
      () => connection.kill(closing()),
    );
  }

  /** Ends all connections, also those in use. */
  close(): void {
    this.#closed = true;
    for (const waiter of this.#waiting.splice(0)) waiter.fail(closing());
    for (const connection of this.#live) connection.close(closing());
  }

  async #open(): Promise<MysqlConnection> {
    this.#opening += 1;
    try {
      const connection = await MysqlConnection.open(this.#address);
      this.#live.add(connection);
      connection.onGone = () => this.#forget(connection);
      if (this.#closed) connection.close(closing());
      return connection;
    } catch (failure) {
      // With no connection in use either, nothing is coming that they could wait for.
      if (this.#live.size === 0) for (const waiter of this.#waiting.splice(0)) waiter.fail(failure);
      throw failure;
    } finally {
      this.#opening -= 1;
    }
  }

  #offer(connection: MysqlConnection): void {
    const waiter = this.#waiting.shift();
    if (waiter) waiter.take(connection);
    else this.#idle.push(connection);
  }

  #forget(connection: MysqlConnection): void {
    this.#live.delete(connection);
    this.#idle = this.#idle.filter((other) => other !== connection);
    if (this.#closed || this.#waiting.length === 0) return;
    this.#open().then(
      (replacement) => this.#offer(replacement),
      // `#open` has told those who waited.
      () => {},
    );
  }

  #wait(signal: AbortSignal): Promise<MysqlConnection> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", cancel);
        this.#waiting = this.#waiting.filter((other) => other !== waiter);
      };
      const waiter: Waiter = {
        take: (connection) => {
          leave();
          resolve(connection);
        },
        fail: (failure) => {
          leave();
          reject(failure instanceof Error ? failure : closing());
        },
      };
      const cancel = (): void => waiter.fail(new SqlFailure("CANCELED", "context canceled"));
      const timer = setTimeout(
        () => waiter.fail(new SqlFailure("RESOURCE_EXHAUSTED", "transaction pool connection limit exceeded")),
        this.#waitLimitMs,
      );
      signal.addEventListener("abort", cancel);
      this.#waiting.push(waiter);
      if (signal.aborted) cancel();
    });
  }
}

function closing(): SqlFailure {
  return new SqlFailure("UNAVAILABLE", "the gateway is shutting down", 1053);
}
