/**
 * A private MariaDB or MySQL in the data folder: its files are made without the vendors' client tools, it
 * listens on loopback only and reads no configuration of the system.
 * @module
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createConnection } from "mysql2/promise";
import { type Child, startChild, waitUntilReady } from "./child.ts";
import { type DataFolder, readJson, writeJson } from "./data-folder.ts";
import type { MysqlProgram } from "./find-servers.ts";
import { CloudProblem } from "./problem.ts";

export type MysqlAddress = { host: string; port: number; user: string; password: string; database: string };

/** What the local database is called and who may use it. */
export const LOCAL_DATABASE = { user: "liveforum", password: "liveforum", database: "liveforum" };

type Marker = { flavour: MysqlProgram["flavour"]; version: string };

const RESET = "Start clean with `npm run dev -- --reset`";

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
  const data = folder.file("mysql", "data");
  const markerFile = folder.file("mysql", "initialised.json");
  const marker = readJson<Marker>(markerFile);
  if (marker && marker.flavour !== program.flavour) {
    throw new CloudProblem(
      `The database files were made by ${marker.flavour} ${marker.version}, but the server found is ${program.path}`,
      `Put ${marker.flavour} back on the PATH, or start clean with \`npm run dev -- --reset\``,
    );
  }
  if (!marker && existsSync(data)) {
    throw new CloudProblem(
      `The database folder ${data} is half initialised: its first start was interrupted`,
      RESET,
    );
  }
  if (!marker) {
    mkdirSync(data, { recursive: true, mode: 0o700 });
    await initialise(folder, program, data, signal);
    writeJson(markerFile, { flavour: program.flavour, version: program.version.join(".") } satisfies Marker);
  }

  const temporary = folder.file("mysql", "tmp");
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary, { recursive: true, mode: 0o700 });
  const init = folder.file("mysql", "init.sql");
  writeFileSync(init, initSql(program), { mode: 0o600 });
  const child = startChild({
    name: program.flavour === "mariadb" ? "MariaDB" : "MySQL",
    command: program.path,
    args: [
      ...commonArguments(program, data, temporary),
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
    const connection = await createConnection({ ...address, connectTimeout: 2_000 });
    try {
      await connection.query("SELECT 1");
      return true;
    } finally {
      connection.destroy();
    }
  } catch {
    return false;
  }
}

/** Creates the files of an empty server. Neither flavour leaves an anonymous or a password-less account behind. */
async function initialise(
  folder: DataFolder,
  program: MysqlProgram,
  data: string,
  signal: AbortSignal,
): Promise<void> {
  const temporary = folder.file("mysql", "tmp");
  mkdirSync(temporary, { recursive: true, mode: 0o700 });
  const common = commonArguments(program, data, temporary);
  const script = folder.file("mysql", "bootstrap.sql");
  if (program.flavour === "mariadb") writeFileSync(script, bootstrapSql(program), { mode: 0o600 });
  const child = startChild({
    name: `${program.flavour === "mariadb" ? "MariaDB" : "MySQL"} (initialisation)`,
    command: program.path,
    args: [
      ...common,
      ...(program.flavour === "mariadb" ? ["--bootstrap", "--log-warnings=0"] : ["--initialize-insecure"]),
    ],
    ...(program.flavour === "mariadb" ? { stdinFile: script } : {}),
    cwd: data,
    logFile: folder.logFile("mysql-initialisation"),
    ledger: folder.ledger,
  });
  const stop = (): void => void child.stop();
  signal.addEventListener("abort", stop, { once: true });
  const exit = await child.exited;
  signal.removeEventListener("abort", stop);
  await child.stop();
  signal.throwIfAborted();
  if (exit.code !== 0) {
    throw new CloudProblem(`${program.path} could not initialise ${data}`, RESET, child.lastLines());
  }
  rmSync(script, { force: true });
}

function commonArguments(program: MysqlProgram, data: string, temporary: string): string[] {
  const isRoot = process.getuid?.() === 0;
  return [
    "--no-defaults",
    `--datadir=${data}`,
    `--tmpdir=${temporary}`,
    // Both servers refuse to run as root unless told by name.
    ...(isRoot ? ["--user=root"] : []),
    ...(program.flavour === "mariadb" ? [`--lc-messages-dir=${shareFolder(program)}`] : []),
  ];
}

/** The collation that behaves most like MySQL's default `utf8mb4_0900_ai_ci` among those the server knows. */
export function collation({ flavour, version: [major, minor] }: MysqlProgram): string {
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

/** What `mariadb-install-db` feeds the server, without the help texts; that script needs a tool of the client package. */
function bootstrapSql(program: MysqlProgram): string {
  const share = shareFolder(program);
  const parts = ["system_tables", "performance_tables", "system_tables_data"].map((part) => {
    const file = ["mariadb", "mysql"]
      .map((prefix) => join(share, `${prefix}_${part}.sql`))
      .find((f) => existsSync(f));
    if (file === undefined) {
      throw new CloudProblem(
        `${program.path} comes without ${part}.sql in ${share}`,
        "Reinstall MariaDB's server package",
      );
    }
    return readFileSync(file, "utf8");
  });
  return [
    "CREATE DATABASE IF NOT EXISTS mysql;",
    "USE mysql;",
    "SET @auth_root_socket=NULL;",
    ...parts,
    "DELETE FROM mysql.global_priv WHERE User IN ('', 'root');",
    "DELETE FROM mysql.proxies_priv;",
    "",
  ].join("\n");
}

/** Where the server keeps its messages and system SQL, as it tells itself. */
function shareFolder(program: MysqlProgram): string {
  const help = execFileSync(program.path, ["--no-defaults", "--verbose", "--help"], {
    encoding: "utf8",
    maxBuffer: 16 * 1024 * 1024,
    stdio: ["ignore", "pipe", "ignore"],
    windowsHide: true,
  });
  const value = (name: string): string => new RegExp(`^${name}\\s+(.+?)\\s*$`, "m").exec(help)?.[1] ?? "";
  const base = value("basedir");
  const folders = [
    dirname(value("character-sets-dir").replace(/[\\/]$/, "")),
    ...["share/mysql", "share/mariadb", "share"].map((folder) => join(base, folder)),
    join(dirname(dirname(program.path)), "share", "mysql"),
    join(dirname(dirname(program.path)), "share"),
  ];
  const found = folders.find((folder) =>
    ["mysql", "mariadb"].some((prefix) => existsSync(join(folder, `${prefix}_system_tables.sql`))),
  );
  if (found === undefined) {
    throw new CloudProblem(
      `${program.path} comes without its system tables`,
      "Reinstall MariaDB's server package",
    );
  }
  return found;
}
