/**
 * Migrations over PlanetScale's HTTP API: the same way locally, in tests and in production.
 * @module
 */
import { fileURLToPath } from "node:url";
import { Client } from "@planetscale/database";
import { drizzle } from "drizzle-orm/planetscale-serverless";
import { migrate as applyMigrations } from "drizzle-orm/planetscale-serverless/migrator";

const MIGRATIONS_FOLDER = fileURLToPath(new URL("../../migrations", import.meta.url));

/** Applies what is new in `migrations/`, in order. Repeating it changes nothing. @throws what the database says */
export async function migrate(databaseUrl: string): Promise<void> {
  await applyMigrations(drizzle({ client: new Client({ url: databaseUrl }) }), {
    migrationsFolder: MIGRATIONS_FOLDER,
  });
}
