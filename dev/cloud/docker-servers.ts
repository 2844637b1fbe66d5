/**
 * Servers in Docker, where the machine has none: own names, loopback ports, data in the data folder, removed at the end.
 * @module
 */
import { mkdirSync } from "node:fs";
import { type Child, startChild, waitUntilReady } from "./child.ts";
import type { DataFolder } from "./data-folder.ts";
import { canConnect, LOCAL_DATABASE, type MysqlAddress } from "./mysql.ts";
import { canPing } from "./redis.ts";

const MARIADB_IMAGE = "mariadb:11.4";
const REDIS_IMAGE = "redis:7.4";
const REDIS_PASSWORD = "liveforum";
/** The first start pulls the image. */
const READY_TIMEOUT_MS = 110_000;

/** Starts MariaDB in a container and waits until the local user can log in. @throws {CloudProblem} */
export async function startMysqlInDocker(
  folder: DataFolder,
  port: number,
  signal: AbortSignal,
): Promise<{ child: Child; address: MysqlAddress }> {
  const data = folder.file("mysql", "docker");
  mkdirSync(data, { recursive: true });
  const { user, password, database } = LOCAL_DATABASE;
  const child = runContainer(folder, "MariaDB (Docker)", "mysql", [
    "--env=MARIADB_RANDOM_ROOT_PASSWORD=1",
    `--env=MARIADB_USER=${user}`,
    `--env=MARIADB_PASSWORD=${password}`,
    `--env=MARIADB_DATABASE=${database}`,
    `--volume=${data}:/var/lib/mysql`,
    `--publish=127.0.0.1:${port}:3306`,
    MARIADB_IMAGE,
    "--character-set-server=utf8mb4",
    "--collation-server=utf8mb4_uca1400_nopad_ai_ci",
    "--default-time-zone=+00:00",
    "--max-connections=300",
  ]);
  const address: MysqlAddress = { host: "127.0.0.1", port, ...LOCAL_DATABASE };
  await readyOrStopped(child, () => canConnect(address), signal);
  return { child, address };
}

/** Starts Redis in a container. @throws {CloudProblem} */
export async function startRedisInDocker(
  folder: DataFolder,
  port: number,
  signal: AbortSignal,
): Promise<{ child: Child; url: string }> {
  const data = folder.file("redis", "docker");
  mkdirSync(data, { recursive: true });
  const child = runContainer(folder, "Redis (Docker)", "redis", [
    `--volume=${data}:/data`,
    `--publish=127.0.0.1:${port}:6379`,
    REDIS_IMAGE,
    "redis-server",
    "--appendonly",
    "yes",
    "--requirepass",
    REDIS_PASSWORD,
  ]);
  const url = `redis://default:${REDIS_PASSWORD}@127.0.0.1:${port}`;
  await readyOrStopped(child, () => canPing(url), signal);
  return { child, url };
}

/** In the foreground: the container ends with this child, and is removed then. */
function runContainer(folder: DataFolder, name: string, part: string, args: string[]): Child {
  return startChild({
    name,
    command: "docker",
    args: ["run", "--rm", "--init", `--name=liveforum-${part}-${process.pid}`, ...args],
    logFile: folder.logFile(part),
    ledger: folder.ledger,
  });
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
