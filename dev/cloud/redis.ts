/**
 * A private Redis or Valkey in the data folder: loopback only, behind a password, every write appended to a
 * file that is flushed once a second.
 * @module
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { createClient } from "@redis/client";
import { type Child, startChild, waitUntilReady } from "./child.ts";
import type { DataFolder } from "./data-folder.ts";
import type { RedisProgram } from "./find-servers.ts";

/** Of the user `default`. */
export const REDIS_PASSWORD = "liveforum";

/** Where a private Redis answers, password included. */
export function redisUrl(port: number): string {
  return `redis://default:${REDIS_PASSWORD}@127.0.0.1:${port}`;
}

/** Starts the server and waits until it has loaded its data. @throws {CloudProblem} */
export async function startRedis(
  folder: DataFolder,
  program: RedisProgram,
  port: number,
  signal: AbortSignal,
): Promise<{ child: Child; url: string }> {
  const data = folder.file("redis");
  mkdirSync(data, { recursive: true, mode: 0o700 });
  const configuration = folder.file("redis", "redis.conf");
  writeFileSync(
    configuration,
    [
      "bind 127.0.0.1",
      `port ${port}`,
      `dir ${JSON.stringify(data)}`,
      `requirepass ${REDIS_PASSWORD}`,
      "daemonize no",
      'save ""',
      "appendonly yes",
      "appendfsync everysec",
      "maxmemory-policy noeviction",
      "",
    ].join("\n"),
    { mode: 0o600 },
  );
  const child = startChild({
    name: program.argv0 === "valkey-server" ? "Valkey" : "Redis",
    command: program.path,
    argv0: program.argv0,
    args: [configuration],
    cwd: data,
    logFile: folder.logFile("redis"),
    ledger: folder.ledger,
  });
  const url = redisUrl(port);
  try {
    await waitUntilReady(child, () => canPing(url), { timeoutMs: 60_000, signal });
  } catch (error) {
    await child.stop();
    throw error;
  }
  return { child, url };
}

/** Whether a Redis answers at `url`. */
export async function canPing(url: string): Promise<boolean> {
  try {
    await askRedis(url, ["PING"]);
    return true;
  } catch {
    return false;
  }
}

/** Sends one command on a connection of its own. @throws what the server or the network says */
export async function askRedis(url: string, command: readonly string[]): Promise<unknown> {
  const client = createClient({ url, RESP: 2, socket: { reconnectStrategy: false, connectTimeout: 2_000 } });
  client.on("error", () => {});
  try {
    await client.connect();
    return await client.sendCommand(command);
  } finally {
    client.destroy();
  }
}
