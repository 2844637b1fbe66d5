/**
 * Results of statements in the shape of Vitess' `query.QueryResult` (protobuf JSON).
 * @module
 */
import type { FieldPacket, ResultSetHeader } from "mysql2";
import { SqlFailure } from "./errors.ts";
import { toWireField, type WireField } from "./fields.ts";

/** Byte counts as strings (`"-1"` is NULL), and all bytes of the row in base64; `values` is left out when empty. */
export type WireRow = { lengths: string[]; values?: string };

export type WireResult = {
  fields?: WireField[];
  rows?: WireRow[];
  /** Unsigned 64 bit in decimal; left out when 0. */
  rowsAffected?: string;
  insertId?: string;
};

/** How much a statement may return. */
export type ResultLimits = { maxRows: number; maxBytes: number };

/**
 * Gathers what one statement returns. Beyond a limit it keeps nothing and lets the server finish, so that the
 * connection stays in step; `finish` then throws.
 */
export class ResultCollector {
  readonly #limits: ResultLimits;
  readonly #isMariaDb: boolean;
  #result: WireResult = {};
  #rows: WireRow[] = [];
  #bytes = 0;
  #failure: SqlFailure | null = null;

  constructor(limits: ResultLimits, isMariaDb: boolean) {
    this.#limits = limits;
    this.#isMariaDb = isMariaDb;
  }

  /** Takes the column definitions, before the first row. */
  columns(columns: FieldPacket[]): void {
    this.#result.fields = columns.map((column) => toWireField(column, this.#isMariaDb));
  }

  /** Takes one row of raw text-protocol values. */
  row(values: (Buffer | null)[]): void {
    if (this.#failure) return;
    const lengths = values.map((value) => (value === null ? "-1" : String(value.length)));
    const bytes = Buffer.concat(values.filter((value) => value !== null));
    this.#bytes += bytes.length;
    if (this.#rows.length >= this.#limits.maxRows) {
      this.#fail(new SqlFailure("ABORTED", `Row count exceeded ${this.#limits.maxRows}`, 10001));
    } else if (this.#bytes > this.#limits.maxBytes) {
      const text = `grpc: received message larger than max (${this.#bytes} vs. ${this.#limits.maxBytes})`;
      this.#fail(new SqlFailure("RESOURCE_EXHAUSTED", text));
    } else {
      this.#rows.push(bytes.length > 0 ? { lengths, values: bytes.toString("base64") } : { lengths });
    }
  }

  /** Takes the OK packet of a statement without rows. */
  done(header: ResultSetHeader): void {
    if (header.affectedRows !== 0) this.#result.rowsAffected = String(header.affectedRows);
    // mysql2 reads the id as signed; an id beyond 2^63 would come out negative.
    const insertId = BigInt.asUintN(64, BigInt(header.insertId));
    if (insertId !== 0n) this.#result.insertId = String(insertId);
  }

  /** @throws {SqlFailure} when a limit was exceeded. */
  finish(): WireResult {
    if (this.#failure) throw this.#failure;
    return this.#rows.length > 0 ? { ...this.#result, rows: this.#rows } : this.#result;
  }

  #fail(failure: SqlFailure): void {
    this.#failure = failure;
    this.#rows = [];
  }
}
