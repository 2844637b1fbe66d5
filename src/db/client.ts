/**
 * The database: drizzle over PlanetScale's HTTP API. Each statement is one round trip; a transaction is four or more.
 * @module
 */
import { cast, Client } from "@planetscale/database";
import { drizzle } from "drizzle-orm/planetscale-serverless";
import type { Meter } from "../common/meter.ts";

/** Longest wait for one statement. PlanetScale itself ends a write after 30 s; a person has gone by then. */
const STATEMENT_TIMEOUT_MS = 10_000;

/** A database handle for one request: holds no connection, costs nothing to make. */
export type Db = ReturnType<typeof createDb>;

/** @param url `mysql://user:password@host/db` (always reached by https) or the local gateway's `http://…` */
export function createDb(url: string, meter: Meter) {
  const client = new Client({
    url,
    cast: castKeepingByteOrderMark,
    fetch: (input, init) =>
      meter.measure("db", () =>
        fetch(input, { ...(init as RequestInit), signal: AbortSignal.timeout(STATEMENT_TIMEOUT_MS) }),
      ),
  });
  return drizzle({ client });
}

/** A byte order mark in UTF-8, as the driver holds a value before it is decoded: one character per byte. */
const BYTE_ORDER_MARK = "\u00ef\u00bb\u00bf";

/** The driver's decoder drops a byte order mark in front of a text; what was stored is given back byte for byte. */
const castKeepingByteOrderMark: typeof cast = (field, value) => {
  const decoded: unknown = cast(field, value);
  return typeof decoded === "string" && value?.startsWith(BYTE_ORDER_MARK) ? `\ufeff${decoded}` : decoded;
};
