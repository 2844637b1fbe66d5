/**
 * The files of a private MariaDB or MySQL, made without the vendors' client tools.
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { startChild } from "./child.ts";
import { type DataFolder, readJson, writeJson } from "./data-folder.ts";
import { asProcessEnv, systemEnvironment } from "./environment.ts";
import type { MysqlProgram } from "./find-servers.ts";
import { CloudProblem } from "./problem.ts";

/** Who made the files. */
type Marker = { flavour: MysqlProgram["flavour"]; version: string };

const RESET = "Start clean with `npm run dev -- --reset`";

/** What a server is called in messages. */
export const FLAVOUR_TITLES = { mariadb: "MariaDB", mysql: "MySQL" } as const;

/**
 * Makes sure that the folder holds the files of a server of this flavour; making them takes about a second. They
 * are made beside their place and moved there when whole: a start that is interrupted leaves none.
 * @returns the paths of the files and of an empty folder for temporary ones
 * @throws {CloudProblem} when there are files of another flavour or of unknown origin, or none can be made
 */
export async function prepareMysqlFiles(
  folder: DataFolder,
  program: MysqlProgram,
  signal: AbortSignal,
): Promise<{ data: string; temporary: string }> {
  const data = folder.file("mysql", "data");
  const temporary = folder.file("mysql", "tmp");
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary, { recursive: true, mode: 0o700 });
  const markerFile = folder.file("mysql", "initialised.json");
  const marker = readJson<Marker>(markerFile);
  if (marker && marker.flavour !== program.flavour) {
    throw new CloudProblem(
      `The database files were made by ${FLAVOUR_TITLES[marker.flavour]} ${marker.version}, but the server found is ${program.path}`,
      `Put ${FLAVOUR_TITLES[marker.flavour]} back on the PATH, or start clean with \`npm run dev -- --reset\``,
    );
  }
  if (marker && !existsSync(data)) {
    throw new CloudProblem(`The database files in ${data} are gone`, RESET);
  }
  if (!marker && existsSync(data)) {
    throw new CloudProblem(
      `The database folder ${data} is half initialised: its first start was interrupted`,
      RESET,
    );
  }
  if (!marker) {
    const fresh = folder.file("mysql", "data.new");
    rmSync(fresh, { recursive: true, force: true });
    mkdirSync(fresh, { mode: 0o700 });
    await initialise(folder, program, fresh, temporary, signal);
    renameSync(fresh, data);
    writeJson(markerFile, { flavour: program.flavour, version: program.version.join(".") } satisfies Marker);
  }
  return { data, temporary };
}

/** Creates the files of an empty server. Neither flavour leaves an anonymous or a password-less account behind. */
async function initialise(
  folder: DataFolder,
  program: MysqlProgram,
  data: string,
  temporary: string,
  signal: AbortSignal,
): Promise<void> {
  const common = mysqlArguments(program, data, temporary);
  const script = folder.file("mysql", "bootstrap.sql");
  if (program.flavour === "mariadb") writeFileSync(script, bootstrapSql(program), { mode: 0o600 });
  const child = startChild({
    name: `${FLAVOUR_TITLES[program.flavour]} (initialisation)`,
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
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop, { once: true });
  const exit = await child.exited;
  signal.removeEventListener("abort", stop);
  await child.stop();
  signal.throwIfAborted();
  if (exit.code !== 0) {
    throw new CloudProblem(
      `${program.path} could not make the files of an empty database in ${data}`,
      "Its last log lines are above; mend what they name and start again",
      child.lastLines(),
    );
  }
  rmSync(script, { force: true });
}

/** Arguments that every run of the server needs. */
export function mysqlArguments(program: MysqlProgram, data: string, temporary: string): string[] {
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
  const { stdout: help } = spawnSync(program.path, ["--no-defaults", "--verbose", "--help"], {
    encoding: "utf8",
    maxBuffer: 16 * 1024 * 1024,
    env: asProcessEnv(systemEnvironment()),
    stdio: ["ignore", "pipe", "ignore"],
    windowsHide: true,
  });
  const value = (name: string): string =>
    new RegExp(`^${name}\\s+(.+?)\\s*$`, "m").exec(help ?? "")?.[1] ?? "";
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
