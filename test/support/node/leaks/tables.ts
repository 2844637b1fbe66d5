/**
 * The product's tables, value by value.
 * @module
 */
import { getTableColumns, getTableName, isTable } from "drizzle-orm";
import mysql from "mysql2";
import type { MysqlAddress } from "../../../../dev/cloud/mysql.ts";
import * as schema from "../../../../src/db/schema/index.ts";
import { ACCOUNT_EMAIL, ADDRESS, EMAIL, PASSWORD_HASH, type Search, TEXT } from "./search.ts";

/** What people write may name addresses. */
export const WRITTEN = [TEXT, ADDRESS, EMAIL];

/** The columns where something belongs that belongs nowhere else. */
const BELONGS: Record<string, readonly string[]> = {
  "users.email": [EMAIL, ACCOUNT_EMAIL],
  "users.username": [TEXT],
  "users.password_hash": [PASSWORD_HASH],
  "boards.name": WRITTEN,
  "boards.description": WRITTEN,
  "posts.title": WRITTEN,
  "posts.content": WRITTEN,
  "posts.excerpt": WRITTEN,
  "comments.content": WRITTEN,
};

/** Looks at every row of every table of the schema. */
export async function lookAtTables(search: Search, address: MysqlAddress): Promise<void> {
  const connection = mysql.createConnection({ ...address, dateStrings: true, supportBigNumbers: true });
  // Lost between two statements, it fails the next one; without a listener, the process.
  connection.on("error", () => {});
  try {
    for (const table of Object.values(schema)) {
      if (!isTable(table)) continue;
      const name = getTableName(table);
      const columns = Object.values(getTableColumns(table)).map((column) => column.name);
      search.look(`tables ${name}`, "");
      const rows = connection.query(`SELECT * FROM \`${name}\``).stream();
      for await (const row of rows as AsyncIterable<Record<string, unknown>>) {
        for (const column of columns) {
          const value = row[column];
          if (typeof value !== "string") continue;
          search.look(`tables ${name}.${column}`, value, BELONGS[`${name}.${column}`]);
        }
      }
    }
  } finally {
    connection.destroy();
  }
}
