/**
 * Finds database and Redis programs on this machine.
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

export type MysqlProgram = {
  path: string;
  flavour: "mariadb" | "mysql";
  /** Major, minor, patch. */
  version: readonly [number, number, number];
};

/** `argv0` is the name it must be started under: Debian's `redis-check-rdb` is the server under another name. */
export type RedisProgram = { path: string; argv0: string };

/** Folders to search, in order: those of `PATH`, then where systems put servers that are not on a user's `PATH`. */
export function searchFolders(env: NodeJS.ProcessEnv): string[] {
  const fromPath = (env.PATH ?? env.Path ?? "").split(delimiter).filter((folder) => folder !== "");
  const usual =
    process.platform === "win32"
      ? []
      : [
          "/usr/local/sbin",
          "/usr/local/bin",
          "/usr/sbin",
          "/usr/bin",
          "/usr/libexec",
          ...["/opt/homebrew", "/usr/local", "/home/linuxbrew/.linuxbrew"].flatMap((brew) => [
            `${brew}/bin`,
            `${brew}/opt/mariadb/bin`,
            `${brew}/opt/mysql/bin`,
            `${brew}/opt/redis/bin`,
            `${brew}/opt/valkey/bin`,
          ]),
        ];
  return [...new Set([...fromPath, ...usual])];
}

/** The first usable MariaDB (10.5 or later) or MySQL (8.0 or later) in `folders`. */
export function findMysql(folders: readonly string[]): MysqlProgram | undefined {
  for (const path of candidates(folders, ["mariadbd", "mysqld"])) {
    const program = parseMysqlVersion(path, versionOf(path, path));
    if (program) return program;
  }
  return undefined;
}

/** The first usable Redis (6.2 or later) or Valkey in `folders`. */
export function findRedis(folders: readonly string[]): RedisProgram | undefined {
  const names = ["redis-server", "valkey-server", "redis-check-rdb", "valkey-check-rdb"];
  for (const path of candidates(folders, names)) {
    const argv0 = path.includes("valkey") ? "valkey-server" : "redis-server";
    const [, major = 0, minor = 0] = (
      /^(?:Redis|Valkey) server v=(\d+)\.(\d+)/.exec(versionOf(path, argv0)) ?? []
    ).map(Number);
    if (major > 6 || (major === 6 && minor >= 2)) return { path, argv0 };
  }
  return undefined;
}

/** Reads what `mariadbd --version` prints; undefined when it is none or too old. */
export function parseMysqlVersion(path: string, text: string): MysqlProgram | undefined {
  const numbers = /Ver (\d+)\.(\d+)\.(\d+)/.exec(text)?.slice(1).map(Number);
  if (!numbers) return undefined;
  const [major = 0, minor = 0, patch = 0] = numbers;
  const flavour = /MariaDB/i.test(text) ? "mariadb" : "mysql";
  const recent = flavour === "mysql" ? major >= 8 : major > 10 || (major === 10 && minor >= 5);
  return recent ? { path, flavour, version: [major, minor, patch] } : undefined;
}

function candidates(folders: readonly string[], names: readonly string[]): string[] {
  const suffix = process.platform === "win32" ? ".exe" : "";
  return names.flatMap((name) =>
    folders.map((folder) => join(folder, name + suffix)).filter((path) => existsSync(path)),
  );
}

/** What `<program> --version` prints; empty when it cannot be run. */
function versionOf(path: string, argv0: string): string {
  const result = spawnSync(path, ["--version"], {
    argv0,
    encoding: "utf8",
    timeout: 10_000,
    windowsHide: true,
  });
  return result.error ? "" : result.stdout;
}
