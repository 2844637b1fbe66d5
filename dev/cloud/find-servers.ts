/**
 * Finds database and Redis programs on this machine.
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Major, minor, patch. */
type Version = readonly [number, number, number];

export type MysqlProgram = { path: string; flavour: "mariadb" | "mysql"; version: Version };

/** `argv0` is the name it must be started under: Debian's `redis-check-rdb` is the server under another name. */
export type RedisProgram = { path: string; argv0: "redis-server" | "valkey-server" };

/** What was found, the first usable one of each; `tooOld` names what was found but cannot be used. */
export type FoundServers = { mysql?: MysqlProgram; redis?: RedisProgram; tooOld: string[] };

/** The oldest Redis that runs the scripts of @upstash/ratelimit: those begin with a shebang line. */
export const OLDEST_REDIS_MAJOR = 7;

const REDIS_NAMES = ["redis-server", "valkey-server", "redis-check-rdb", "valkey-check-rdb"];

/** Runs every candidate once to ask for its version, some 20 ms each. */
export function findServers(folders: readonly string[]): FoundServers {
  const found: FoundServers = { tooOld: [] };
  for (const path of candidates(folders, ["mariadbd", "mysqld"])) {
    const program = parseMysqlVersion(path, versionText(path, path));
    if (program && isRecent(program)) {
      found.mysql = program;
      break;
    }
    if (program) found.tooOld.push(`${path} (${program.version.join(".")})`);
  }
  for (const path of candidates(folders, REDIS_NAMES)) {
    const argv0 = path.includes("valkey") ? "valkey-server" : "redis-server";
    const version = parseRedisVersion(versionText(path, argv0));
    if (version && version[0] >= OLDEST_REDIS_MAJOR) {
      found.redis = { path, argv0 };
      break;
    }
    if (version) found.tooOld.push(`${path} (${version.join(".")})`);
  }
  return found;
}

/** Folders to search, in order: those of `PATH`, then where systems put servers that are not on a user's `PATH`. */
export function searchFolders(env: NodeJS.Dict<string>): string[] {
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

/** Reads what `mariadbd --version` or `mysqld --version` prints; undefined when it is none. */
export function parseMysqlVersion(path: string, text: string): MysqlProgram | undefined {
  const version = toVersion(/Ver (\d+)\.(\d+)\.(\d+)/.exec(text));
  return version && { path, flavour: /MariaDB/i.test(text) ? "mariadb" : "mysql", version };
}

/** Reads what `redis-server --version` or `valkey-server --version` prints; undefined when it is none. */
export function parseRedisVersion(text: string): Version | undefined {
  return toVersion(/^(?:Redis|Valkey) server v=(\d+)\.(\d+)\.(\d+)/.exec(text));
}

/** MariaDB from 10.5, MySQL from 8.0. */
function isRecent({ flavour, version: [major, minor] }: MysqlProgram): boolean {
  return flavour === "mysql" ? major >= 8 : major > 10 || (major === 10 && minor >= 5);
}

function toVersion(match: RegExpExecArray | null): Version | undefined {
  if (!match) return undefined;
  const [major = 0, minor = 0, patch = 0] = match.slice(1).map(Number);
  return [major, minor, patch];
}

function candidates(folders: readonly string[], names: readonly string[]): string[] {
  const suffix = process.platform === "win32" ? ".exe" : "";
  return names.flatMap((name) =>
    folders.map((folder) => join(folder, name + suffix)).filter((path) => existsSync(path)),
  );
}

/** What `<program> --version` prints; empty when it cannot be run. */
function versionText(path: string, argv0: string): string {
  const result = spawnSync(path, ["--version"], {
    argv0,
    encoding: "utf8",
    timeout: 10_000,
    windowsHide: true,
  });
  return result.error ? "" : result.stdout;
}
