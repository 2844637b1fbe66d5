/**
 * One connection to MariaDB or MySQL, set up the way PlanetScale's servers are.
 * @module
 */
import type { Socket } from "node:net";
import mysql, { type Connection, type FieldPacket, type ResultSetHeader } from "mysql2";
import { connectionLost, failureOfConnecting, failureOfStatement, SqlFailure } from "./errors.ts";
import { ResultCollector, type ResultLimits, type WireResult } from "./result.ts";

export type MysqlAddress = { host: string; port: number; user: string; password: string; database: string };

/** What one statement may take: milliseconds, rows, bytes. */
export type StatementLimits = ResultLimits & { timeoutMs: number };

const CONNECT_TIMEOUT_MS = 5_000;
/** For the gateway's own statements: they touch no table. */
const HOUSEKEEPING: StatementLimits = { timeoutMs: 10_000, maxRows: 1, maxBytes: 1_024 };

const IN_TRANSACTION = 1;

/**
 * What each connection starts with. COM_RESET_CONNECTION falls back to the server's global settings, and on MariaDB
 * forgets the database's collation, so this runs again after it. Texts in statements compare by `collation`. The
 * comments are executed by MariaDB alone, from the version on that knows the setting: MySQL rounds fractional seconds
 * by itself, and has nothing like snapshot isolation, which is on by default in MariaDB from 11.6.2.
 */
function sessionSql(collation: string): string {
  return `SET NAMES utf8mb4 COLLATE ${collation}, time_zone = '+00:00',
    sql_mode = CONCAT('ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,',
      'ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION' /*M!100401 , ',TIME_ROUND_FRACTIONAL' */)
    /*M!110602 , innodb_snapshot_isolation = OFF */`;
}

/** A connection that runs one thing at a time. It is used up once `usable` is false. */
export class MysqlConnection {
  /** As the server said with the last statement that succeeded and returned no rows. */
  inTransaction = false;
  /** Called once, when the connection is lost, killed or closed. */
  onGone: () => void = () => {};

  readonly #connection: Connection;
  readonly #address: MysqlAddress;
  #failure: SqlFailure | null = null;
  #abandon: ((failure: SqlFailure) => void) | null = null;
  #movedToOtherDatabase = false;
  #collation = "utf8mb4_unicode_ci";
  #isMariaDb = false;

  private constructor(connection: Connection, address: MysqlAddress) {
    this.#connection = connection;
    this.#address = address;
    connection.on("error", (error) => this.#end(failureOfStatement(error)));
    connection.on("end", () => this.#end(connectionLost()));
  }

  /** @throws {SqlFailure} `UNAVAILABLE` when nobody answers within 5 s, or what the server refuses with. */
  static async open(address: MysqlAddress): Promise<MysqlConnection> {
    const connection = connect(address);
    try {
      await new Promise<void>((resolve, reject) => {
        connection.once("error", reject);
        connection.once("connect", () => resolve());
      });
    } catch (error) {
      // A failed handshake may report more than once.
      connection.on("error", () => {});
      hangUp(connection);
      throw failureOfConnecting(error, address.host, address.port);
    }
    const opened = new MysqlConnection(connection, address);
    try {
      const { rows } = await opened.run("SELECT CONCAT(@@collation_database, ' ', VERSION())", HOUSEKEEPING);
      const [collation = "", version = ""] = Buffer.from(rows?.[0]?.values ?? "", "base64")
        .toString()
        .split(" ");
      // A database in another character set still gets its statements, and gives its results, in utf8mb4.
      if (/^utf8mb4_\w+$/.test(collation)) opened.#collation = collation;
      opened.#isMariaDb = version.includes("MariaDB");
      await opened.run(sessionSql(opened.#collation), HOUSEKEEPING);
      return opened;
    } catch (error) {
      opened.close(connectionLost());
      throw error;
    }
  }

  get usable(): boolean {
    return this.#failure === null;
  }

  /**
   * Runs one statement over the text protocol.
   * @throws {SqlFailure} when the server refuses it, a limit is exceeded or the connection is lost. Beyond
   * `limits.timeoutMs` the statement is killed together with the connection.
   */
  run(sql: string, limits: StatementLimits): Promise<WireResult> {
    return this.#exchange(limits.timeoutMs, (resolve, reject) => {
      const collector = new ResultCollector(limits, this.#isMariaDb);
      // `values: null` keeps mysql2 from looking for placeholders: the client has filled them in.
      const query = this.#connection.query({ sql, values: null });
      query.on("fields", (columns: FieldPacket[] | undefined) => {
        if (columns) collector.columns(columns);
      });
      query.on("result", (row: (Buffer | null)[] | ResultSetHeader) => {
        if (Array.isArray(row)) {
          collector.row(row);
          return;
        }
        collector.done(row);
        this.#readStatus(row);
      });
      query.on("error", (error: unknown) => reject(failureOfStatement(error)));
      query.on("end", () => {
        try {
          resolve(collector.finish());
        } catch (error) {
          reject(failureOfStatement(error));
        }
      });
    });
  }

  /** Asks the server for `inTransaction`: rows and errors do not carry it. */
  async refreshStatus(): Promise<void> {
    await this.run("DO 0", HOUSEKEEPING);
  }

  /**
   * Brings `inTransaction` up to date after a failed statement: a deadlock undoes the whole transaction, a failed DDL
   * statement may have committed it. Where Vitess rolls back on its own, this does too.
   */
  async settleAfter(failure: SqlFailure): Promise<void> {
    if (!this.usable || !this.inTransaction) return;
    await this.refreshStatus();
    if (this.inTransaction && (failure.code === "ABORTED" || failure.code === "RESOURCE_EXHAUSTED")) {
      await this.run("ROLLBACK", HOUSEKEEPING);
    }
  }

  /**
   * Makes it fresh: open transaction, variables, locks, temporary tables and settings are gone.
   * @throws {SqlFailure} when it cannot be used again.
   */
  async reset(): Promise<void> {
    if (this.#movedToOtherDatabase) {
      // A reset keeps the current database.
      this.#end(connectionLost());
    }
    await this.#exchange<void>(HOUSEKEEPING.timeoutMs, (resolve, reject) => {
      this.#connection.reset((error) => (error ? reject(failureOfStatement(error)) : resolve()));
    });
    this.inTransaction = false;
    await this.run(sessionSql(this.#collation), HOUSEKEEPING);
  }

  /**
   * Ends the connection and whatever runs on it; the server rolls back. A statement that runs fails with `reason`.
   */
  kill(reason: SqlFailure): void {
    const running = this.#abandon !== null;
    this.#end(reason);
    // A server at work does not notice that its client is gone.
    if (running) void killThread(this.#address, this.#connection.threadId);
  }

  /** Takes leave of the server. A statement that runs is killed and fails with `reason`. */
  close(reason: SqlFailure): void {
    if (this.#failure) return;
    if (this.#abandon) {
      this.kill(reason);
      return;
    }
    this.#failure = reason;
    this.#connection.end();
    socketOf(this.#connection)?.destroySoon();
    this.onGone();
  }

  #exchange<T>(
    timeoutMs: number,
    start: (resolve: (value: T) => void, reject: (failure: SqlFailure) => void) => void,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#failure) {
        reject(this.#failure);
        return;
      }
      const began = performance.now();
      const settle = (): void => {
        clearTimeout(timer);
        if (this.#abandon === abandon) this.#abandon = null;
      };
      const abandon = (failure: SqlFailure): void => {
        settle();
        reject(failure);
      };
      const timer = setTimeout(() => {
        const elapsed = ((performance.now() - began) / 1_000).toFixed(3);
        const text = `due to context deadline exceeded, elapsed time: ${elapsed}s, killing query ID ${this.#connection.threadId}`;
        this.kill(new SqlFailure("DEADLINE_EXCEEDED", text, 2013));
      }, timeoutMs);
      this.#abandon = abandon;
      start((value) => {
        settle();
        resolve(value);
      }, abandon);
    });
  }

  #readStatus(header: ResultSetHeader): void {
    this.inTransaction = (header.serverStatus & IN_TRANSACTION) !== 0;
    // Not in mysql2's types: what the server tracks of the session.
    const { stateChanges } = header as { stateChanges?: { schema?: string | null } };
    if (typeof stateChanges?.schema === "string") this.#movedToOtherDatabase = true;
  }

  #end(failure: SqlFailure): void {
    if (this.#failure) return;
    this.#failure = failure;
    hangUp(this.#connection);
    this.#abandon?.(failure);
    this.onGone();
  }
}

function connect(address: MysqlAddress): Connection {
  return mysql.createConnection({
    ...address,
    connectTimeout: CONNECT_TIMEOUT_MS,
    charset: "UTF8MB4_UNICODE_CI",
    rowsAsArray: true,
    // The raw bytes of the text protocol, which is what Vitess passes on.
    typeCast: false,
    supportBigNumbers: true,
    bigNumberStrings: true,
    multipleStatements: false,
    // With IGNORE_SPACE function names are reserved words; no file of this machine is for loading. FOUND_ROWS, which
    // makes an UPDATE count the rows it matched, is on by default.
    flags: ["-IGNORE_SPACE", "-LOCAL_FILES"],
  });
}

/** Best effort: when no second connection can be had, the statement runs to its end and is then rolled back. */
async function killThread(address: MysqlAddress, threadId: number): Promise<void> {
  const connection = connect(address);
  await new Promise<void>((resolve) => {
    connection.on("error", () => resolve());
    connection.query(`KILL ${threadId}`, () => resolve());
  });
  hangUp(connection);
}

/** Closes the socket at once: mysql2's own `destroy` waits for the server's side, which may be hung. */
function hangUp(connection: Connection): void {
  connection.destroy();
  socketOf(connection)?.destroy();
}

/** mysql2 has it on every connection, but not in its types. */
function socketOf(connection: Connection): Socket | undefined {
  return (connection as Connection & { stream?: Socket }).stream;
}
