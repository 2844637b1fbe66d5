/**
 * Columns of a result: from MySQL's column definitions to Vitess' field messages.
 * @module
 */
import type { FieldPacket } from "mysql2";

/** A `query.Field` in protobuf JSON: zero and empty values are left out, also `type` of a column that is only NULL. */
export type WireField = {
  name: string;
  type?: string;
  table?: string;
  orgTable?: string;
  database?: string;
  orgName?: string;
  columnLength?: number;
  charset?: number;
  decimals?: number;
  flags?: number;
};

const UNSIGNED = 32;
const BINARY = 128;
const ENUM = 256;
const SET = 2048;

const BINARY_CHARSET = 63;

const INTEGERS: Record<number, string> = { 1: "INT8", 2: "INT16", 9: "INT24", 3: "INT32", 8: "INT64" };

const PLAIN: Record<number, string> = {
  0: "DECIMAL",
  4: "FLOAT32",
  5: "FLOAT64",
  7: "TIMESTAMP",
  10: "DATE",
  11: "TIME",
  12: "DATETIME",
  13: "YEAR",
  16: "BIT",
  242: "VECTOR",
  245: "JSON",
  246: "DECIMAL",
  247: "ENUM",
  248: "SET",
  255: "GEOMETRY",
};

/** The field message of one column. MariaDB's own types are turned into MySQL's. */
export function toWireField(column: FieldPacket, isMariaDb: boolean): WireField {
  const type = typeName(column, isMariaDb);
  const charset = type === "JSON" ? BINARY_CHARSET : (column.characterSet ?? 0);
  const flags = Number(column.flags);
  return {
    name: column.name,
    ...(type !== null && { type }),
    ...(column.table !== "" && { table: column.table }),
    ...(column.orgTable !== "" && { orgTable: column.orgTable }),
    ...(column.schema && { database: column.schema }),
    ...(column.orgName !== "" && { orgName: column.orgName }),
    ...(column.columnLength && { columnLength: column.columnLength }),
    ...(charset !== 0 && { charset }),
    ...(column.decimals !== 0 && { decimals: column.decimals }),
    ...(flags !== 0 && { flags }),
  };
}

function typeName(column: FieldPacket, isMariaDb: boolean): string | null {
  // MariaDB sends JSON as LONGTEXT and says what it is in the extended metadata only.
  if (column.extendedFormat === "json") return "JSON";
  const type = column.columnType ?? 0;
  const flags = Number(column.flags);
  const integer = INTEGERS[type];
  if (integer !== undefined) {
    // MySQL 8 computes integer expressions as BIGINT where MariaDB takes INT, and the SDK gives a string for the one
    // and a number for the other. Code that compares with a number must fail here as it would in production. (The few
    // functions that keep INT in MySQL, as MAX, cannot be told apart: they give a string here.)
    const expression = isMariaDb && type === 3 && column.orgTable === "";
    return `${(flags & UNSIGNED) !== 0 ? "U" : ""}${expression ? "INT64" : integer}`;
  }
  const plain = PLAIN[type];
  if (plain !== undefined) return plain;
  const binary = (flags & BINARY) !== 0;
  if (type === 253 || type === 15) return binary ? "VARBINARY" : "VARCHAR";
  if (type === 254) {
    if ((flags & ENUM) !== 0) return "ENUM";
    if ((flags & SET) !== 0) return "SET";
    return binary ? "BINARY" : "CHAR";
  }
  if (type >= 249 && type <= 252) return binary ? "BLOB" : "TEXT";
  return null;
}
