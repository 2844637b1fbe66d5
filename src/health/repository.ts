/**
 * SQL of the health check.
 * @module
 */
import { sql } from "drizzle-orm";
import type { Db } from "../db/client.ts";

export type HealthRepository = ReturnType<typeof createHealthRepository>;

export function createHealthRepository(db: Db) {
  return {
    /** One statement that reads no table. */
    async ping(): Promise<void> {
      await db.execute(sql`select 1`);
    },
  };
}
