/**
 * What a local cloud and Workers leave in their data folders, once they have stopped: logs, the journal of Redis, QStash's
 * data, the storage of rooms.
 * @module
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { lookAtJournal } from "./redis.ts";
import type { Search } from "./search.ts";
import { WRITTEN } from "./tables.ts";

/** Wrangler tells of each request with its path, locally. */
const WRANGLERS_LINE = /^\[wrangler:info\] [A-Z]+ \S+ \d{3} /;

/** Looks at a data folder (`dev/cloud/data-folder.ts`). Credentials lie in `secrets.json` and `worker.env`, and nowhere else. */
export function lookAtFolder(search: Search, folder: string): void {
  for (const file of filesBelow(join(folder, "logs"))) {
    search.look(`logs ${basename(file)}`, "");
    for (const line of readFileSync(file, "utf8").split("\n")) {
      if (!WRANGLERS_LINE.test(line)) search.look(`logs ${basename(file)}`, line);
    }
  }
  for (const file of filesBelow(join(folder, "redis"))) {
    if (file.endsWith(".aof")) lookAtJournal(search, readFileSync(file));
  }
  const qstash = join(folder, "qstash", "qstash.sqlite");
  if (existsSync(qstash)) lookAtQstash(search, qstash);
  for (const file of filesBelow(join(folder, "worker"))) {
    if (/[/\\]do[/\\].*\.sqlite$/.test(file)) lookAtRoom(search, file);
  }
}

/** The Worker's jobs: messages, dead letters, and the log of their deliveries. */
function lookAtQstash(search: Search, file: string): void {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    search.look("qstash", "");
    const jobs = "SELECT seq FROM messages WHERE path LIKE '%/api/jobs'";
    for (const [table, column] of [
      ["messages", "seq"],
      ["dead_letters", "message"],
      ["logs", "message"],
    ] as const) {
      const rows = database.prepare(`SELECT * FROM ${table} WHERE ${column} IN (${jobs})`).iterate();
      for (const row of rows) lookAtRow(search, `qstash ${table}`, row);
    }
  } finally {
    database.close();
  }
}

/** All tables of a room, the platform's own included. */
function lookAtRoom(search: Search, file: string): void {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
    for (const { name } of tables) {
      const rows = database.prepare(`SELECT * FROM "${String(name)}"`);
      // The platform keeps nanoseconds.
      rows.setReadBigInts(true);
      for (const row of rows.iterate()) {
        lookAtRow(search, `rooms ${String(name)}`, row, WRITTEN);
      }
    }
  } finally {
    database.close();
  }
}

function lookAtRow(
  search: Search,
  place: string,
  row: Record<string, unknown>,
  may: readonly string[] = [],
): void {
  for (const [column, value] of Object.entries(row)) {
    const text = value instanceof Uint8Array ? Buffer.from(value).toString("latin1") : value;
    if (typeof text === "string") search.look(`${place}.${column}`, text, may);
  }
}

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
