/**
 * Servers that the user brings along instead of the private ones.
 * @module
 */
import { type MysqlAddress, queryMysql } from "./mysql.ts";
import { CloudProblem } from "./problem.ts";
import { askRedis } from "./redis.ts";
import type { Secrets } from "./settings.ts";

/** The environment variables that name them. */
export const OWN_SERVER_SETTINGS = {
  LIVEFORUM_MYSQL_URL: "database to use, mysql://user:password@host:port/database",
  LIVEFORUM_REDIS_URL: "Redis to use, redis://user:password@host:port/number",
  LIVEFORUM_QSTASH_URL: "QStash to use: the official dev server, http://127.0.0.1:8080",
} as const;

/** Those that are given. */
export type OwnServers = { mysql?: MysqlAddress; redisUrl?: string; qstashUrl?: string };

/** @throws {CloudProblem} when a variable is malformed, or names a database in PlanetScale's cloud */
export function ownServers(env: NodeJS.Dict<string>): OwnServers {
  const { LIVEFORUM_MYSQL_URL: mysql, LIVEFORUM_REDIS_URL: redis, LIVEFORUM_QSTASH_URL: qstash } = env;
  return {
    ...(mysql ? { mysql: parseMysqlUrl(mysql) } : {}),
    ...(redis ? { redisUrl: parseUrl("LIVEFORUM_REDIS_URL", redis, ["redis:", "rediss:"]).href } : {}),
    ...(qstash
      ? { qstashUrl: parseUrl("LIVEFORUM_QSTASH_URL", qstash, ["http:", "https:"]).href.replace(/\/+$/, "") }
      : {}),
  };
}

/** @throws {CloudProblem} when nobody answers, or answers no */
export async function checkOwnMysql(address: MysqlAddress): Promise<MysqlAddress> {
  try {
    await queryMysql(address, "SELECT 1");
    return address;
  } catch (error) {
    throw new CloudProblem(
      `The database of LIVEFORUM_MYSQL_URL cannot be used: ${reasonOf(error)}`,
      "Create the database and the user (dev/README.md has the statements), or unset LIVEFORUM_MYSQL_URL to have a private one started",
    );
  }
}

/** @throws {CloudProblem} when nobody answers, or answers no */
export async function checkOwnRedis(url: string): Promise<string> {
  try {
    await askRedis(url, ["PING"]);
    return url;
  } catch (error) {
    throw new CloudProblem(
      `The Redis of LIVEFORUM_REDIS_URL cannot be used: ${reasonOf(error)}`,
      "Start it, or unset LIVEFORUM_REDIS_URL to have a private one started",
    );
  }
}

/** @throws {CloudProblem} when nobody answers, or with other keys than the local ones */
export async function checkOwnQstash(url: string, secrets: Secrets): Promise<string> {
  const remedy =
    "Start it with the default user, or unset LIVEFORUM_QSTASH_URL to have the local gateway started";
  let answer: { current?: string; next?: string };
  try {
    const response = await fetch(`${url}/v2/keys`, {
      headers: { authorization: `Bearer ${secrets.qstashToken}` },
      signal: AbortSignal.timeout(5_000),
    });
    if (!response.ok) throw new Error(`it answers ${response.status} to the local token`);
    answer = (await response.json()) as typeof answer;
  } catch (error) {
    throw new CloudProblem(`The QStash of LIVEFORUM_QSTASH_URL cannot be used: ${reasonOf(error)}`, remedy);
  }
  if (answer.current !== secrets.qstashCurrentSigningKey) {
    throw new CloudProblem(
      "The QStash of LIVEFORUM_QSTASH_URL signs with other keys than the local ones",
      remedy,
    );
  }
  return url;
}

function parseMysqlUrl(text: string): MysqlAddress {
  const url = parseUrl("LIVEFORUM_MYSQL_URL", text, ["mysql:"]);
  const database = decodeURIComponent(url.pathname.slice(1));
  if (url.username === "" || database === "") throw malformed("LIVEFORUM_MYSQL_URL");
  if (url.hostname.endsWith(".psdb.cloud")) {
    throw new CloudProblem(
      "LIVEFORUM_MYSQL_URL names a database in PlanetScale's cloud, and the local cloud makes a demo admin whose password everybody knows",
      "Name a database of your own",
    );
  }
  return {
    // Brackets belong to URLs alone.
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? 3306 : Number(url.port),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database,
  };
}

function parseUrl(variable: keyof typeof OWN_SERVER_SETTINGS, text: string, protocols: string[]): URL {
  const url = URL.parse(text);
  if (!url || !protocols.includes(url.protocol) || url.hostname === "") throw malformed(variable);
  return url;
}

function malformed(variable: keyof typeof OWN_SERVER_SETTINGS): CloudProblem {
  const [, form = ""] = /\S+ to use[,:] (.*)/.exec(OWN_SERVER_SETTINGS[variable]) ?? [];
  return new CloudProblem(`${variable} is not an address`, `Write it like this: ${form}`);
}

/** In one line; a failed connection has its reason in `code` or in `cause`. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.cause instanceof Error) return reasonOf(error.cause);
  const { code } = error as NodeJS.ErrnoException;
  return error.message === "" ? (code ?? error.name) : error.message;
}
