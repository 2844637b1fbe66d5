/**
 * The data file: one SQLite database that holds everything the gateway knows, so that a crash loses nothing.
 * @module
 */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";

const SCHEMA_VERSION = 1;

/**
 * Life of a message (`state`): `due` (waits for `due_at`), `queued` (waits in its queue), `waiting` (waits for its
 * flow-control key), `active` (being delivered), `done` (see `outcome`). The partial indexes cover the unfinished
 * ones only, so that the past does not slow the present.
 */
const SCHEMA = `
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

CREATE TABLE messages (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  url TEXT NOT NULL,
  host TEXT NOT NULL,
  path TEXT NOT NULL,
  method TEXT NOT NULL,
  header TEXT NOT NULL,
  body BLOB NOT NULL,
  options TEXT NOT NULL,
  max_retries INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  not_before INTEGER NOT NULL,
  topic_name TEXT,
  endpoint_name TEXT,
  queue_name TEXT,
  schedule_id TEXT,
  caller_ip TEXT NOT NULL,
  flow_key TEXT,
  labels TEXT,
  state TEXT NOT NULL,
  retried INTEGER NOT NULL DEFAULT 0,
  due_at INTEGER,
  queue_order INTEGER,
  flow_order INTEGER,
  -- While set, this message (or this callback of it) keeps a place of the queue; slot is the id of the message it is kept for.
  held_queue TEXT,
  slot TEXT,
  cancel_requested INTEGER NOT NULL DEFAULT 0,
  outcome TEXT,
  finished_at INTEGER
) STRICT;
CREATE INDEX messages_due ON messages (due_at, seq) WHERE state = 'due';
CREATE INDEX messages_queued ON messages (queue_name, queue_order) WHERE state = 'queued';
CREATE INDEX messages_waiting ON messages (flow_key, flow_order) WHERE state = 'waiting';
CREATE INDEX messages_active ON messages (flow_key) WHERE state = 'active';
CREATE INDEX messages_held ON messages (held_queue, slot) WHERE held_queue IS NOT NULL AND finished_at IS NULL;
CREATE INDEX messages_unfinished_queue ON messages (queue_name) WHERE queue_name IS NOT NULL AND finished_at IS NULL;
CREATE INDEX messages_finished ON messages (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE deduplications (
  key TEXT PRIMARY KEY, message_id TEXT NOT NULL, expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX deduplications_expiry ON deduplications (expires_at);

CREATE TABLE queues (
  name TEXT PRIMARY KEY, parallelism INTEGER NOT NULL, paused INTEGER NOT NULL,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE url_groups (name TEXT PRIMARY KEY, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL) STRICT;
CREATE TABLE url_group_endpoints (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  group_name TEXT NOT NULL, name TEXT, url TEXT NOT NULL,
  UNIQUE (group_name, url)
) STRICT;

CREATE TABLE flow_control (
  key TEXT PRIMARY KEY,
  parallelism INTEGER NOT NULL DEFAULT 0,
  rate INTEGER NOT NULL DEFAULT 0,
  period_seconds REAL NOT NULL DEFAULT 1,
  pinned_parallelism INTEGER NOT NULL DEFAULT 0,
  pinned_rate INTEGER NOT NULL DEFAULT 0,
  paused INTEGER NOT NULL DEFAULT 0,
  rate_count INTEGER NOT NULL DEFAULT 0,
  period_start INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE schedules (
  id TEXT PRIMARY KEY,
  destination TEXT NOT NULL,
  cron TEXT NOT NULL,
  header TEXT NOT NULL,
  body BLOB NOT NULL,
  options TEXT NOT NULL,
  queue_name TEXT,
  caller_ip TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  paused INTEGER NOT NULL DEFAULT 0,
  last_time INTEGER,
  last_message_ids TEXT NOT NULL DEFAULT '[]',
  -- The moment the cron expression names, and when that comes at the gateway's speed.
  cron_time INTEGER NOT NULL,
  due_at INTEGER NOT NULL
) STRICT;
CREATE INDEX schedules_due ON schedules (due_at) WHERE paused = 0;

CREATE TABLE dead_letters (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  message INTEGER NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  response_status INTEGER,
  response_header TEXT NOT NULL,
  response_body BLOB NOT NULL
) STRICT;

CREATE TABLE logs (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  time INTEGER NOT NULL,
  message INTEGER NOT NULL,
  state TEXT NOT NULL,
  error TEXT,
  next_delivery_time INTEGER,
  response_status INTEGER,
  response_header TEXT,
  response_body BLOB
) STRICT;
CREATE INDEX logs_message ON logs (message);
CREATE INDEX logs_time ON logs (time);
`;

/** One value bound to a statement. */
export type Bindable = SQLInputValue;

/**
 * Opens (and creates) the data file for this process alone: a second gateway on the same file is refused.
 * A commit survives the death of the process; a power cut may take the last few.
 * @throws when the file is in use, or was written by another version of the gateway.
 */
export function openDatabase(file: string) {
  if (file !== ":memory:") mkdirSync(dirname(file), { recursive: true });
  const sqlite = new DatabaseSync(file);
  const statements = new Map<string, StatementSync>();
  let inTransaction = false;

  function statement(sql: string): StatementSync {
    let prepared = statements.get(sql);
    if (!prepared) {
      prepared = sqlite.prepare(sql);
      statements.set(sql, prepared);
    }
    return prepared;
  }

  /** Runs `work` in one transaction, or in the one under way. Synchronous: nothing else runs in between. */
  function transaction<Result>(work: () => Result): Result {
    if (inTransaction) return work();
    sqlite.exec("BEGIN IMMEDIATE");
    inTransaction = true;
    try {
      const result = work();
      sqlite.exec("COMMIT");
      return result;
    } catch (error) {
      // SQLite has rolled back by itself after some errors (a full disk); the first error is the one to tell.
      if (sqlite.isTransaction) sqlite.exec("ROLLBACK");
      throw error;
    } finally {
      inTransaction = false;
    }
  }

  try {
    sqlite.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;");
    const version = Number(sqlite.prepare("PRAGMA user_version").get()?.["user_version"]);
    if (version === 0) {
      transaction(() => sqlite.exec(`${SCHEMA} PRAGMA user_version = ${SCHEMA_VERSION};`));
    } else if (version !== SCHEMA_VERSION) {
      throw new Error(
        `it was written by another version of the gateway (${version}); delete it to start afresh`,
      );
    }
  } catch (error) {
    sqlite.close();
    const cause = error instanceof Error ? error.message : String(error);
    const reason = cause.includes("locked") ? "another gateway is using it" : cause;
    throw new Error(`cannot use the data file ${file}: ${reason}`, { cause: error });
  }

  const api = {
    transaction,
    /** All rows. The caller names the row type: it must list the columns of the statement. */
    all: <Row>(sql: string, ...values: Bindable[]): Row[] => statement(sql).all(...values) as Row[],
    /** The first row. The caller names the row type: it must list the columns of the statement. */
    // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- as for `all`: the caller knows the columns
    get: <Row>(sql: string, ...values: Bindable[]): Row | undefined =>
      statement(sql).get(...values) as Row | undefined,
    /** @returns how many rows were changed. */
    run: (sql: string, ...values: Bindable[]): number => Number(statement(sql).run(...values).changes),
    setting: (name: string): string | undefined =>
      api.get<{ value: string }>("SELECT value FROM settings WHERE name = ?", name)?.value,
    saveSetting: (name: string, value: string): void => {
      api.run(
        "INSERT INTO settings VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        name,
        value,
      );
    },
    close: (): void => sqlite.close(),
  };
  return api;
}

export type Database = ReturnType<typeof openDatabase>;
