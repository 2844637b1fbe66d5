/**
 * The database: drizzle over PlanetScale's HTTP API. Each statement is one round trip; a transaction is four or more.
 * @module
 */
import { Client } from "@planetscale/database";
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
    fetch: (input, init) =>
      meter.measure("db", () =>
        fetch(input, { ...(init as RequestInit), signal: AbortSignal.timeout(STATEMENT_TIMEOUT_MS) }),
      ),
  });
  return drizzle({ client });
}
