/**
 * Makes sure that there is a database server and a Redis server to run: those of this machine, else installed where
 * that needs no question, else in Docker.
 * @module
 */
import { spawnSync } from "node:child_process";
import { findMysql, findRedis, type MysqlProgram, type RedisProgram, searchFolders } from "./find-servers.ts";
import { CloudProblem } from "./problem.ts";

/** What can be asked of the machine; injected by tests. */
export type Machine = {
  env: NodeJS.ProcessEnv;
  platform: NodeJS.Platform;
  isRoot: boolean;
  /** Runs a command to its end; `ok` is false when it is missing or failed. */
  run: (command: string, args: string[], options?: { show?: boolean }) => { ok: boolean; output: string };
  log: (line: string) => void;
};

export type Servers = { mysql: MysqlProgram | "docker"; redis: RedisProgram | "docker" };

const OWN_SERVERS =
  "Install MariaDB (or MySQL 8) and Redis (or Valkey), start Docker, or use your own servers with LIVEFORUM_MYSQL_URL=mysql://user:password@host/database and LIVEFORUM_REDIS_URL=redis://…";

/** The machine that this program runs on. */
export function thisMachine(log: (line: string) => void): Machine {
  return {
    env: process.env,
    platform: process.platform,
    isRoot: process.getuid?.() === 0,
    run(command, args, { show = false } = {}) {
      const result = spawnSync(command, args, {
        encoding: "utf8",
        stdio: ["ignore", "pipe", show ? "inherit" : "pipe"],
        timeout: 300_000,
        windowsHide: true,
        env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
      });
      return { ok: result.error === undefined && result.status === 0, output: result.stdout ?? "" };
    },
    log,
  };
}

/**
 * Finds or installs the servers. @param wanted what is not served by one's own servers
 * @throws {CloudProblem} naming the ways to provide them
 */
export function ensureServers(
  machine: Machine,
  wanted: { mysql: boolean; redis: boolean },
): Partial<Servers> {
  const look = () => {
    const folders = searchFolders(machine.env);
    return {
      mysql: wanted.mysql ? findMysql(folders) : undefined,
      redis: wanted.redis ? findRedis(folders) : undefined,
    };
  };
  let found = look();
  const missing = () => ({ mysql: wanted.mysql && !found.mysql, redis: wanted.redis && !found.redis });
  const lacks = missing();
  if ((lacks.mysql || lacks.redis) && install(machine, lacks)) found = look();

  const still = missing();
  const servers: Partial<Servers> = {};
  if (found.mysql) servers.mysql = found.mysql;
  if (found.redis) servers.redis = found.redis;
  if (still.mysql || still.redis) {
    const names = [
      ...(still.mysql ? ["MariaDB or MySQL"] : []),
      ...(still.redis ? ["Redis or Valkey"] : []),
    ].join(", ");
    if (!machine.run("docker", ["info", "--format", "{{.ServerVersion}}"]).ok) {
      throw new CloudProblem(
        `No ${names} was found on this machine, and none could be installed`,
        OWN_SERVERS,
      );
    }
    if (still.mysql) servers.mysql = "docker";
    if (still.redis) servers.redis = "docker";
  }
  return servers;
}

/** Installs with the system's package manager where that asks nothing. @returns whether something may have been installed */
function install(machine: Machine, lacks: { mysql: boolean; redis: boolean }): boolean {
  if (machine.platform === "linux" && machine.run("apt-get", ["--version"]).ok)
    return installWithApt(machine, lacks);
  if (machine.run("brew", ["--version"]).ok) {
    const formulae = [...(lacks.mysql ? ["mariadb"] : []), ...(lacks.redis ? ["redis"] : [])];
    machine.log(`installing ${formulae.join(" and ")} with Homebrew (no service is started)`);
    return machine.run("brew", ["install", "--quiet", ...formulae], { show: true }).ok;
  }
  return false;
}

/** Server-only packages: they hold the program without a system service, and touch none that runs. */
function installWithApt(machine: Machine, lacks: { mysql: boolean; redis: boolean }): boolean {
  const sudo = machine.isRoot ? [] : ["sudo", "-n"];
  const apt = (args: string[], show = false) => {
    const [command = "", ...rest] = [...sudo, ...args];
    return machine.run(command, rest, { show });
  };
  if (!machine.isRoot && !apt(["true"]).ok) return false;
  const choose = (names: string[]) => names.find((name) => hasCandidate(machine, name));
  const packages = () => [
    ...(lacks.mysql
      ? [
          choose([
            "mariadb-server-core",
            "mariadb-server-core-10.6",
            "mysql-server-core-8.0",
            "mariadb-server-core-10.5",
          ]),
        ]
      : []),
    // Holds redis-check-rdb, which is the server under another name; the package redis-server would start a service.
    ...(lacks.redis ? [choose(["redis-tools", "valkey-tools"])] : []),
  ];
  let names = packages();
  if (names.includes(undefined)) {
    machine.log("updating the list of packages (apt-get update)");
    apt(["apt-get", "update", "-qq"]);
    names = packages();
  }
  const known = names.filter((name) => name !== undefined);
  if (known.length === 0) return false;
  machine.log(`installing ${known.join(" and ")} (server programs only, no service is started)`);
  const installNow = () => apt(["apt-get", "install", "-y", "-qq", "--no-install-recommends", ...known]).ok;
  if (installNow()) return true;
  apt(["apt-get", "update", "-qq"]);
  return installNow();
}

function hasCandidate(machine: Machine, name: string): boolean {
  const { ok, output } = machine.run("apt-cache", ["policy", name]);
  return ok && /Candidate: (?!\(none\))\S/.test(output);
}
