/**
 * What `Execute` does with a statement and the session it came with.
 * @module
 */
import { randomUUID } from "node:crypto";
import type { MysqlAddress, MysqlConnection, StatementLimits } from "./connection.ts";
import { SqlFailure, toWireError, type WireError } from "./errors.ts";
import { ConnectionPool } from "./pool.ts";
import type { WireResult } from "./result.ts";
import { treatmentOf } from "./sql.ts";
import { Transactions } from "./transactions.ts";

/**
 * The session a client holds and sends back as it got it. It says no more than which transaction is open: that is
 * the only thing kept between two requests, so variables and settings last as long as a transaction, or one statement.
 */
export type WireSession = {
  vitessSession: {
    autocommit: true;
    inTransaction?: true;
    targetString: string;
    options: { includedFields: "ALL"; clientFoundRows: true };
    DDLStrategy: "direct";
    /** While `inTransaction` the id of the transaction: every transaction has a new one. */
    SessionUUID: string;
    enableSystemSettings: true;
  };
};

/** An Execute answer; `timing` is in seconds. */
export type ExecuteReply = { session: WireSession; result?: WireResult; error?: WireError; timing: number };

export type ExecutorOptions = {
  mysql: MysqlAddress;
  /** Named in error messages as the caller. */
  username: string;
  transactionTimeoutMs: number;
  maxConnections: number;
  waitLimitMs: number;
  limits: StatementLimits;
};

/** Runs statements, and keeps the connections and the open transactions. */
export class Executor {
  readonly #options: ExecutorOptions;
  readonly #pool: ConnectionPool;
  readonly #transactions: Transactions;

  constructor(options: ExecutorOptions) {
    this.#options = options;
    this.#pool = new ConnectionPool(options.mysql, options);
    this.#transactions = new Transactions(options.transactionTimeoutMs);
  }

  /** For the control surface: connections and open transactions. */
  get state(): { open: number; idle: number; transactions: number } {
    return { ...this.#pool.size, transactions: this.#transactions.size };
  }

  /** A session without a transaction. */
  newSession(): WireSession {
    return this.#session(randomUUID(), false);
  }

  /**
   * Runs one statement in the session that came with it. Failures are part of the answer; a statement that `signal`
   * finds still waiting does not run.
   */
  async execute(sql: string, session: unknown, signal: AbortSignal): Promise<ExecuteReply> {
    const began = performance.now();
    const turn = readSession(session);
    let outcome: { result: WireResult } | { error: WireError };
    try {
      outcome = { result: await this.#dispatch(sql, turn, signal) };
    } catch (error) {
      if (!(error instanceof SqlFailure)) throw error;
      const context = { database: this.#options.mysql.database, user: this.#options.username, sql };
      outcome = { error: toWireError(error, context) };
    }
    return {
      session: this.#session(turn.sessionId, turn.inTransaction),
      ...outcome,
      timing: (performance.now() - began) / 1_000,
    };
  }

  /** Ends all connections; open transactions are rolled back. */
  close(): void {
    this.#transactions.close();
    this.#pool.close();
  }

  async #dispatch(sql: string, turn: Turn, signal: AbortSignal): Promise<WireResult> {
    const treatment = treatmentOf(sql, this.#options.mysql.database);
    if (treatment.kind === "ignore") return {};
    if (treatment.kind === "refuse") {
      const code = treatment.errno === 1049 ? "INVALID_ARGUMENT" : "UNIMPLEMENTED";
      throw new SqlFailure(code, treatment.text, treatment.errno, treatment.sqlState);
    }
    const rollback = treatment.kind === "rollback";
    if (rollback && !(turn.inTransaction && this.#transactions.has(turn.sessionId))) {
      // The client rolls back whatever went wrong, and an error here would hide the one that did.
      turn.inTransaction = false;
      return {};
    }
    if (!turn.inTransaction) return this.#runFresh(sql, turn, signal);
    // A session that claims a transaction which is over is refused here, until it rolls back: run in autocommit,
    // its statements would take effect one by one.
    return this.#transactions.run(turn.sessionId, (connection) =>
      this.#runInTransaction(sql, turn, connection, rollback, signal),
    );
  }

  async #runFresh(sql: string, turn: Turn, signal: AbortSignal): Promise<WireResult> {
    const connection = await this.#pool.acquire(signal);
    try {
      throwIfGone(signal);
      const result = await connection.run(sql, this.#options.limits);
      if (connection.inTransaction) {
        turn.sessionId = this.#transactions.begin(connection);
        turn.inTransaction = true;
      }
      return result;
    } finally {
      if (!turn.inTransaction) this.#pool.release(connection);
    }
  }

  async #runInTransaction(
    sql: string,
    turn: Turn,
    connection: MysqlConnection,
    rollback: boolean,
    signal: AbortSignal,
  ): Promise<WireResult> {
    throwIfGone(signal);
    try {
      const result = await connection.run(sql, this.#options.limits);
      // ANALYZE TABLE and its like commit, and answer with rows.
      if (result.fields && !/^\W*(?:select|with)\b/i.test(sql)) await connection.refreshStatus();
      return result;
    } catch (error) {
      // A lost connection has rolled back.
      if (rollback && !connection.usable) return {};
      if (error instanceof SqlFailure) await connection.settleAfter(error).catch(() => {});
      throw error;
    } finally {
      if (!connection.usable) {
        this.#transactions.end(turn.sessionId, "connection lost");
        // The claim stays until the client rolls back.
        turn.inTransaction = !rollback;
      } else if (!connection.inTransaction) {
        this.#transactions.end(turn.sessionId, rollback ? "transaction rolled back" : "transaction ended");
        turn.inTransaction = false;
        this.#pool.release(connection);
      }
    }
  }

  #session(id: string, inTransaction: boolean): WireSession {
    return {
      vitessSession: {
        autocommit: true,
        ...(inTransaction && { inTransaction }),
        targetString: this.#options.mysql.database,
        options: { includedFields: "ALL", clientFoundRows: true },
        DDLStrategy: "direct",
        SessionUUID: id,
        enableSystemSettings: true,
      },
    };
  }
}

/** What the answer's session will say. */
type Turn = { sessionId: string; inTransaction: boolean };

/** Any other value than a session of ours counts as none. */
function readSession(session: unknown): Turn {
  const inner = (session as { vitessSession?: { SessionUUID?: unknown; inTransaction?: unknown } } | null)
    ?.vitessSession;
  const sessionId = typeof inner?.SessionUUID === "string" ? inner.SessionUUID : randomUUID();
  return { sessionId, inTransaction: inner?.inTransaction === true };
}

function throwIfGone(signal: AbortSignal): void {
  if (signal.aborted) throw new SqlFailure("CANCELED", "context canceled");
}
