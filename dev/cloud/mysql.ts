/**
 * A private MariaDB or MySQL in the data folder: it listens on loopback only and reads no configuration of the
 * system.
 * @module
 */
import { writeFileSync } from "node:fs";
import { createConnection } from "mysql2/promise";
import { type Child, startChild, waitUntilReady } from "./child.ts";
import type { DataFolder } from "./data-folder.ts";
import type { MysqlProgram } from "./find-servers.ts";
import { FLAVOUR_TITLES, mysqlArguments, prepareMysqlFiles } from "./mysql-files.ts";

export type MysqlAddress = { host: string; port: number; user: string; password: string; database: string };

/** What the local database is called and who may use it. */
export const LOCAL_DATABASE = { user: "liveforum", password: "liveforum", database: "liveforum" };

/**
 * Starts the server on the folder's data, making that first if need be (about a second), and waits until the
 * local user can log in.
 * @throws {CloudProblem}
 */
export async function startMysql(
  folder: DataFolder,
  program: MysqlProgram,
  port: number,
  signal: AbortSignal,
): Promise<{ child: Child; address: MysqlAddress }> {
  const { data, temporary } = await prepareMysqlFiles(folder, program, signal);
  const init = folder.file("mysql", "init.sql");
  writeFileSync(init, initSql(program), { mode: 0o600 });
  const child = startChild({
    name: FLAVOUR_TITLES[program.flavour],
    command: program.path,
    args: [
      ...mysqlArguments(program, data, temporary),
      `--port=${port}`,
      "--bind-address=127.0.0.1",
      // Relative to the data folder, where the server changes to: a path of any depth fits the system's 107 bytes.
      ...(process.platform === "win32" ? [] : ["--socket=mysql.sock"]),
      "--pid-file=mysql.pid",
      "--skip-name-resolve",
      `--init-file=${init}`,
      "--character-set-server=utf8mb4",
      `--collation-server=${collation(program)}`,
      "--default-time-zone=+00:00",
      "--max-connections=300",
      "--max-allowed-packet=64M",
      "--innodb-buffer-pool-size=256M",
      // A crash of the server loses nothing; only a power cut may cost the last second.
      "--innodb-flush-log-at-trx-commit=2",
      "--performance-schema=OFF",
      ...(program.flavour === "mysql" ? ["--mysqlx=OFF", "--skip-log-bin"] : []),
    ],
    cwd: data,
    logFile: folder.logFile("mysql"),
    ledger: folder.ledger,
  });
  const address: MysqlAddress = { host: "127.0.0.1", port, ...LOCAL_DATABASE };
  try {
    await waitUntilReady(child, () => canConnect(address), { timeoutMs: 60_000, signal });
  } catch (error) {
    await child.stop();
    throw error;
  }
  return { child, address };
}

/** Whether the database answers a query at `address`. */
export async function canConnect(address: MysqlAddress): Promise<boolean> {
  try {
    await queryMysql(address, "SELECT 1");
    return true;
  } catch {
    return false;
  }
}

/** Runs one statement on a connection of its own. @throws what the server or the network says */
export async function queryMysql(
  address: Omit<MysqlAddress, "database"> & { database?: string },
  sql: string,
): Promise<unknown> {
  const connection = await createConnection({ ...address, connectTimeout: 2_000 });
  try {
    const [rows] = await connection.query(sql);
    return rows;
  } finally {
    connection.destroy();
  }
}

/** The collation that behaves most like MySQL's default `utf8mb4_0900_ai_ci` among those the server knows. */
export function collation({ flavour, version: [major, minor] }: Omit<MysqlProgram, "path">): string {
  if (flavour === "mysql") return "utf8mb4_0900_ai_ci";
  return major > 10 || minor >= 10 ? "utf8mb4_uca1400_nopad_ai_ci" : "utf8mb4_unicode_520_nopad_ci";
}

/** Runs at each start. The user may also make scratch databases whose names begin with the database's. */
function initSql(program: MysqlProgram): string {
  const { user, password, database } = LOCAL_DATABASE;
  const account = `'${user}'@'127.0.0.1'`;
  return [
    `CREATE DATABASE IF NOT EXISTS \`${database}\` CHARACTER SET utf8mb4 COLLATE ${collation(program)};`,
    `CREATE USER IF NOT EXISTS ${account} IDENTIFIED BY '${password}';`,
    `GRANT ALL PRIVILEGES ON \`${database}%\`.* TO ${account};`,
    ...(program.flavour === "mysql" ? ["DROP USER IF EXISTS 'root'@'localhost';"] : []),
    "",
  ].join("\n");
}
