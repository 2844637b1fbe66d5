/**
 * Statistics of what `npm run seed` made: the Worker counts only what is recent.
 * @module
 */
import { drizzle } from "drizzle-orm/mysql2";
import { type Connection, createConnection } from "mysql2/promise";
import { QUARTER_MS } from "../../src/common/time-zone.ts";
import type { Db } from "../../src/db/client.ts";
import { createStatsRepository } from "../../src/stats/repository.ts";
import type { Run } from "./run.ts";
import { startOfQuarter } from "./timeline.ts";

/** Bounds what one statement counts. */
const SPAN_MS = 2_880 * QUARTER_MS;

/** Counts every quarter of an hour anew, from the first account or the first seeded row on, as the Worker would. */
export async function fillStats({ writer, options, fromMs, toMs }: Run): Promise<void> {
  const [first] = await writer.query<{ at: Date | null }>("select min(created_at) as at from users");
  const startMs = Math.min(fromMs, first?.at?.getTime() ?? fromMs);
  const connection = await createConnection({ uri: options.mysqlUrl, charset: "utf8mb4", timezone: "Z" });
  try {
    await connection.query("set time_zone = '+00:00'");
    // Counting must not lock what it counts.
    await connection.query("set session transaction isolation level read committed");
    const stats = createStatsRepository(overMysql(connection));
    for (let at = startOfQuarter(startMs); at < toMs; at += SPAN_MS) {
      const end = Math.min(at + SPAN_MS, startOfQuarter(toMs) + QUARTER_MS);
      await stats.rollUp(new Date(at), new Date(end), new Date(toMs));
    }
  } finally {
    await connection.end();
  }
}

/** The Worker's handle over a direct connection. `rollUp` only executes statements, which both drivers do alike. */
function overMysql(connection: Connection): Db {
  return drizzle(connection) as unknown as Db;
}
