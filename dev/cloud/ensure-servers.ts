/**
 * Makes sure that there is a database server and a Redis server to run: those of this machine, else installed where
 * that needs no question, else in Docker.
 * @module
 */
import { APT_TIMEOUT_MS, type AptPackage, aptInstall } from "./apt.ts";
import {
  type FoundServers,
  type MysqlProgram,
  OLDEST_REDIS_MAJOR,
  type RedisProgram,
} from "./find-servers.ts";
import type { Machine } from "./machine.ts";
import { CloudProblem } from "./problem.ts";

type Wanted = { mysql: boolean; redis: boolean };

/** What is to be started; undefined what was not wanted. */
export type Servers = {
  mysql: MysqlProgram | "docker" | undefined;
  redis: RedisProgram | "docker" | undefined;
};

const REMEDY =
  "Install MariaDB (or MySQL 8) and Redis 7 (or Valkey), or start Docker, or use your own servers with LIVEFORUM_MYSQL_URL=mysql://user:password@host:port/database and LIVEFORUM_REDIS_URL=redis://:password@host:port";

/**
 * Finds or installs the servers; installing takes from ten seconds to a few minutes.
 * @param wanted what is not served by one's own servers
 * @throws {CloudProblem} naming the ways to provide them
 */
export async function ensureServers(machine: Machine, wanted: Wanted): Promise<Servers> {
  if (!wanted.mysql && !wanted.redis) return { mysql: undefined, redis: undefined };
  let found = machine.findServers();
  const lacks = lackOf(wanted, found);
  if ((lacks.mysql || lacks.redis) && (await install(machine, lacks))) found = machine.findServers();

  const still = lackOf(wanted, found);
  if ((still.mysql || still.redis) && !(await hasDocker(machine))) throw missing(still, found.tooOld);
  return {
    mysql: still.mysql ? "docker" : wanted.mysql ? found.mysql : undefined,
    redis: still.redis ? "docker" : wanted.redis ? found.redis : undefined,
  };
}

function lackOf(wanted: Wanted, found: FoundServers): Wanted {
  return { mysql: wanted.mysql && !found.mysql, redis: wanted.redis && !found.redis };
}

async function hasDocker(machine: Machine): Promise<boolean> {
  return (await machine.run("docker", ["info", "--format", "{{.ServerVersion}}"])).ok;
}

function missing(lacks: Wanted, tooOld: readonly string[]): CloudProblem {
  const names = [
    ...(lacks.mysql ? ["MariaDB or MySQL"] : []),
    ...(lacks.redis ? [`Redis ${OLDEST_REDIS_MAJOR} or Valkey`] : []),
  ].join(", no ");
  const old = tooOld.length > 0 ? ` (too old: ${tooOld.join(", ")})` : "";
  return new CloudProblem(`There is no ${names} on this machine${old}, and none could be installed`, REMEDY);
}

/** Installs with the system's package manager where that asks nothing. @returns whether something may have been installed */
async function install(machine: Machine, lacks: Wanted): Promise<boolean> {
  if (machine.platform === "linux" && (await machine.run("apt-get", ["--version"])).ok) {
    return installWithApt(machine, lacks);
  }
  if (machine.platform !== "win32" && (await machine.run("brew", ["--version"])).ok) {
    const formulae = [...(lacks.mysql ? ["mariadb"] : []), ...(lacks.redis ? ["redis"] : [])];
    machine.log(`installing ${formulae.join(" and ")} with Homebrew (no service is started)`);
    await machine.run("brew", ["install", "--quiet", ...formulae], {
      show: true,
      timeoutMs: APT_TIMEOUT_MS,
    });
    return true;
  }
  return false;
}

/** Server-only packages: they hold the program without a system service, and touch none that runs. */
const MYSQL_PACKAGES: readonly AptPackage[] = [
  { name: "mariadb-server-core", oldest: [10, 5] },
  { name: "mariadb-server-core-10.6", oldest: [10, 5] },
  { name: "mariadb-server-core-10.5", oldest: [10, 5] },
  { name: "mysql-server-core-8.0", oldest: [8, 0] },
];
/** They hold redis-check-rdb, the server under another name; the package redis-server would start a service. */
const REDIS_PACKAGES: readonly AptPackage[] = [
  { name: "redis-tools", oldest: [OLDEST_REDIS_MAJOR, 0] },
  { name: "valkey-tools", oldest: [OLDEST_REDIS_MAJOR, 0] },
];

async function installWithApt(machine: Machine, lacks: Wanted): Promise<boolean> {
  const wanted = [...(lacks.mysql ? [MYSQL_PACKAGES] : []), ...(lacks.redis ? [REDIS_PACKAGES] : [])];
  return (await aptInstall(machine, wanted, "server programs only, no service is started")) === "installed";
}
