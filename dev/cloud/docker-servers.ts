/**
 * Servers in Docker, where the machine has none: on loopback ports, data in the data folder, removed at the end.
 * @module
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { type Child, startChild, waitUntilReady } from "./child.ts";
import type { DataFolder } from "./data-folder.ts";
import { canConnect, collation, LOCAL_DATABASE, type MysqlAddress } from "./mysql.ts";
import { canPing, REDIS_PASSWORD, redisUrl } from "./redis.ts";

const MARIADB = { image: "mariadb:11.4", flavour: "mariadb", version: [11, 4, 0] } as const;
const REDIS_IMAGE = "redis:7.4";
/** The first start downloads the image. */
const READY_TIMEOUT_MS = 300_000;

/** Starts MariaDB in a container and waits until the local user can log in. @throws {CloudProblem} */
export async function startMysqlInDocker(
  folder: DataFolder,
  port: number,
  signal: AbortSignal,
): Promise<{ child: Child; address: MysqlAddress }> {
  const { user, password, database } = LOCAL_DATABASE;
  mkdirSync(folder.file("mysql", "docker"), { recursive: true });
  const grant = folder.file("mysql", "docker.sql");
  // The image grants the database alone; scratch databases have names that begin with it.
  writeFileSync(grant, `GRANT ALL PRIVILEGES ON \`${database}%\`.* TO '${user}'@'%';\n`);
  const child = runContainer(folder, "MariaDB (Docker)", "mysql", [
    "--env=MARIADB_RANDOM_ROOT_PASSWORD=1",
    `--env=MARIADB_USER=${user}`,
    `--env=MARIADB_PASSWORD=${password}`,
    `--env=MARIADB_DATABASE=${database}`,
    mount(folder.file("mysql", "docker"), "/var/lib/mysql"),
    `${mount(grant, "/docker-entrypoint-initdb.d/liveforum.sql")},readonly`,
    `--publish=127.0.0.1:${port}:3306`,
    MARIADB.image,
    "--character-set-server=utf8mb4",
    `--collation-server=${collation(MARIADB)}`,
    "--default-time-zone=+00:00",
    "--max-connections=300",
    "--max-allowed-packet=64M",
    "--innodb-buffer-pool-size=256M",
    "--innodb-flush-log-at-trx-commit=2",
  ]);
  const address: MysqlAddress = { host: "127.0.0.1", port, ...LOCAL_DATABASE };
  await readyOrStopped(child, () => canConnect(address), signal);
  return { child, address };
}

/** Starts Redis in a container and waits until it has loaded its data. @throws {CloudProblem} */
export async function startRedisInDocker(
  folder: DataFolder,
  port: number,
  signal: AbortSignal,
): Promise<{ child: Child; url: string }> {
  mkdirSync(folder.file("redis", "docker"), { recursive: true });
  const child = runContainer(folder, "Redis (Docker)", "redis", [
    mount(folder.file("redis", "docker"), "/data"),
    `--publish=127.0.0.1:${port}:6379`,
    REDIS_IMAGE,
    "redis-server",
    "--appendonly",
    "yes",
    "--save",
    "",
    "--maxmemory-policy",
    "noeviction",
    "--requirepass",
    REDIS_PASSWORD,
  ]);
  const url = redisUrl(port);
  await readyOrStopped(child, () => canPing(url), signal);
  return { child, url };
}

/** In the foreground: the container ends with this child, and is removed then. */
function runContainer(folder: DataFolder, title: string, part: string, args: string[]): Child {
  // Named after the folder, which one program at a time owns: what a killed run left behind has the same name.
  const name = `liveforum-${part}-${createHash("sha256").update(folder.path).digest("hex").slice(0, 12)}`;
  spawnSync("docker", ["rm", "--force", name], { stdio: "ignore", timeout: 30_000, windowsHide: true });
  return startChild({
    name: title,
    command: "docker",
    args: ["run", "--rm", "--init", `--name=${name}`, ...asThisUser(), ...args],
    logFile: folder.logFile(part),
    ledger: folder.ledger,
  });
}

/** The files in the data folder belong to whom the folder belongs to, so that `--reset` can delete them. */
function asThisUser(): string[] {
  const [user, group] = [process.getuid?.(), process.getgid?.()];
  return user === undefined || group === undefined ? [] : [`--user=${user}:${group}`];
}

/** Unlike `--volume` this takes a path with a colon. */
function mount(source: string, target: string): string {
  return `--mount=type=bind,source=${source},target=${target}`;
}

async function readyOrStopped(
  child: Child,
  ready: () => Promise<boolean>,
  signal: AbortSignal,
): Promise<void> {
  try {
    await waitUntilReady(child, ready, { timeoutMs: READY_TIMEOUT_MS, intervalMs: 250, signal });
  } catch (error) {
    await child.stop();
    throw error;
  }
}
