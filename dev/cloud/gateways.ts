/**
 * The three gateways as child processes, each `node dev/gateways/<name>/main.ts` with flags.
 * @module
 */
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Child, startChild, waitUntilReady } from "./child.ts";
import type { DataFolder } from "./data-folder.ts";
import type { MysqlAddress } from "./mysql.ts";
import type { Secrets } from "./settings.ts";

export type GatewayName = "planetscale" | "upstash" | "qstash";

const TITLES = {
  planetscale: "PlanetScale gateway",
  upstash: "Upstash gateway",
  qstash: "QStash gateway",
} as const satisfies Record<GatewayName, string>;

/** A running gateway and its base URL, without a trailing slash. */
export type RunningGateway = { child: Child; url: string };

/** The flags of `dev/gateways/planetscale/main.ts`. */
export function planetscaleFlags(port: number, mysql: MysqlAddress, secrets: Secrets): string[] {
  return flags({
    port,
    "mysql-host": mysql.host,
    "mysql-port": mysql.port,
    "mysql-user": mysql.user,
    "mysql-password": mysql.password,
    "mysql-database": mysql.database,
    username: secrets.databaseUser,
    password: secrets.databasePassword,
  });
}

/** The flags of `dev/gateways/upstash/main.ts`. */
export function upstashFlags(port: number, redisUrl: string, secrets: Secrets): string[] {
  return flags({ port, "redis-url": redisUrl, token: secrets.upstashToken });
}

/** The flags of `dev/gateways/qstash/main.ts`. `speed` divides every waiting time of retries. */
export function qstashFlags(port: number, folder: DataFolder, speed: number, secrets: Secrets): string[] {
  mkdirSync(folder.file("qstash"), { recursive: true, mode: 0o700 });
  return flags({
    port,
    "data-file": folder.file("qstash", "qstash.sqlite"),
    token: secrets.qstashToken,
    "current-signing-key": secrets.qstashCurrentSigningKey,
    "next-signing-key": secrets.qstashNextSigningKey,
    speed,
  });
}

/** Starts a gateway and waits until its health answers. @throws {CloudProblem} */
export async function startGatewayProcess(
  folder: DataFolder,
  name: GatewayName,
  args: readonly string[],
  signal: AbortSignal,
): Promise<RunningGateway> {
  const script = fileURLToPath(new URL(`../gateways/${name}/main.ts`, import.meta.url));
  let url = "";
  const child = startChild({
    name: TITLES[name],
    command: process.execPath,
    args: ["--disable-warning=ExperimentalWarning", script, ...args],
    logFile: folder.logFile(name),
    ledger: folder.ledger,
    onLine: (line) => {
      url ||= / listening (http:\/\/\S+)/.exec(line)?.[1] ?? "";
    },
  });
  try {
    await waitUntilReady(child, () => url !== "" && isHealthy(url), { timeoutMs: 20_000, signal });
  } catch (error) {
    await child.stop();
    throw error;
  }
  return { child, url };
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/_local/health`, { signal: AbortSignal.timeout(2_000) });
    return response.ok;
  } catch {
    return false;
  }
}

function flags(values: Record<string, string | number>): string[] {
  return Object.entries(values).map(([name, value]) => `--${name}=${value}`);
}
