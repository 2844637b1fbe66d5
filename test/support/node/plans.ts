/**
 * A database of a test's own with the migrations applied, and how it carries out the statements that repositories send.
 * @module
 */
import { readdir, readFile } from "node:fs/promises";
import mysql, { type RowDataPacket } from "mysql2/promise";
import { afterAll, inject, vi } from "vitest";
import { createMeter } from "../../../src/common/meter.ts";
import { createDb, type Db } from "../../../src/db/client.ts";

/** `key` is null where no index is used, `extra` is empty where nothing is said. */
export type PlanRow = { table: string | null; type: string; key: string | null; extra: string };

export type Cost = {
  sql: string;
  plan: PlanRow[];
  /** Rows that the server read from tables and indexes, temporary ones included. */
  rowsRead: number;
};

const MIGRATIONS = new URL("../../../migrations/", import.meta.url);
const ROWS_PER_INSERT = 2_000;

const address = new URL(inject("cloud").mysql);
const name = `${address.pathname.slice(1)}_plans_${crypto.randomUUID().slice(0, 8)}`;

/** A connection to a database that lives as long as the test file. */
async function ownDatabase(): Promise<mysql.Connection> {
  const suite = await mysql.createConnection({ uri: address.href });
  const [[settings]] = await suite.query<RowDataPacket[]>(
    "SELECT @@character_set_database AS charset, @@collation_database AS collation",
  );
  await suite.query(
    `CREATE DATABASE ${name} CHARACTER SET ${settings?.["charset"]} COLLATE ${settings?.["collation"]}`,
  );
  afterAll(async () => {
    await suite.query(`DROP DATABASE ${name}`);
    await suite.end();
  });
  const connection = await mysql.createConnection({
    uri: new URL(`/${name}`, address).href,
    timezone: "Z",
  });
  afterAll(() => connection.end());
  const files = (await readdir(MIGRATIONS)).filter((file) => file.endsWith(".sql"));
  for (const file of files.sort()) {
    const sql = await readFile(new URL(file, MIGRATIONS), "utf8");
    for (const statement of sql.split("--> statement-breakpoint")) await connection.query(statement);
  }
  return connection;
}

export const database = await ownDatabase();

/** Inserts rows of any number: `row` gives the values of the one at `index`, from 0. */
export async function fill(
  table: string,
  columns: string[],
  count: number,
  row: (index: number) => unknown[],
): Promise<void> {
  for (let from = 0; from < count; from += ROWS_PER_INSERT) {
    const rows = Array.from({ length: Math.min(ROWS_PER_INSERT, count - from) }, (_, at) => row(from + at));
    await database.query(`INSERT INTO ${table} (${columns.join(", ")}) VALUES ?`, [rows]);
  }
}

/** Refreshes what the optimizer knows of the tables. */
export async function analyse(...tables: string[]): Promise<void> {
  await database.query(`ANALYZE TABLE ${tables.join(", ")}`);
}

/** The statement that a repository's method sends, exactly as it goes to PlanetScale. */
async function statementOf(send: (db: Db) => Promise<unknown>): Promise<string> {
  const sent: string[] = [];
  vi.stubGlobal("fetch", async (_: unknown, init: { body: string }) => {
    sent.push((JSON.parse(init.body) as { query: string }).query);
    return Response.json({ session: null, result: { fields: [], rows: [] }, timing: 0 });
  });
  try {
    await send(createDb("http://nobody:nothing@127.0.0.1", createMeter()));
  } finally {
    vi.unstubAllGlobals();
  }
  const [statement] = sent;
  if (statement === undefined || sent.length > 1) throw new Error(`${sent.length} statements were sent`);
  return statement;
}

async function rowsReadSoFar(): Promise<number> {
  const [rows] = await database.query<RowDataPacket[]>("SHOW SESSION STATUS LIKE 'Handler_read%'");
  return rows.reduce((sum, row) => sum + Number(row["Value"]), 0);
}

/** Explains the one statement that `send` sends, and carries it out. What it writes is undone. */
export async function costOf(send: (db: Db) => Promise<unknown>): Promise<Cost> {
  const sql = await statementOf(send);
  const [explained] = await database.query<RowDataPacket[]>(`EXPLAIN ${sql}`);
  await database.query("BEGIN");
  // Asking for the count counts as well.
  const first = await rowsReadSoFar();
  const asking = (await rowsReadSoFar()) - first;
  const before = await rowsReadSoFar();
  await database.query(sql);
  const rowsRead = (await rowsReadSoFar()) - before - asking;
  await database.query("ROLLBACK");
  const text = (value: unknown) => (typeof value === "string" ? value : null);
  const plan = explained.map((row) => ({
    table: text(row["table"]),
    type: text(row["type"]) ?? "",
    key: text(row["key"]),
    extra: text(row["Extra"]) ?? "",
  }));
  return { sql, plan, rowsRead };
}
