/**
 * The user's own servers (`LIVEFORUM_MYSQL_URL`, `LIVEFORUM_REDIS_URL`), shared out so that the suite touches
 * nothing that is there.
 * @module
 */
import { queryMysql } from "../../../dev/cloud/mysql.ts";
import type { OwnServers } from "../../../dev/cloud/own-servers.ts";
import { CloudProblem } from "../../../dev/cloud/problem.ts";
import { askRedis } from "../../../dev/cloud/redis.ts";

/** Best first: they treat accents, spaces and emoji as MySQL's default does. */
const COLLATIONS = ["utf8mb4_0900_ai_ci", "utf8mb4_uca1400_nopad_ai_ci", "utf8mb4_unicode_520_nopad_ci"];
/** As many databases as Redis has without configuration. */
const REDIS_DATABASES = 16;
const CLAIM_KEY = "liveforum:suite";

/**
 * Makes a database beside the one that is named, and takes an empty numbered database of Redis. QStash is left out:
 * the suite needs the gateway's control surface.
 * @returns the addresses for the suite, and how to remove what was made
 * @throws {CloudProblem} when the user may not create databases or no database of Redis is empty
 */
export async function isolate({ mysql, redisUrl }: OwnServers): Promise<{
  own: OwnServers;
  remove: () => Promise<void>;
}> {
  const own: OwnServers = {};
  const undo: (() => Promise<unknown>)[] = [];
  if (mysql) {
    const { database: _shared, ...server } = mysql;
    const name = `${mysql.database}_test_${process.pid}`;
    try {
      await queryMysql(
        server,
        `CREATE DATABASE \`${name}\` CHARACTER SET utf8mb4${await bestCollation(server)}`,
      );
    } catch (error) {
      throw new CloudProblem(
        `The suite cannot make a database of its own: ${(error as Error).message}`,
        `Let the user of LIVEFORUM_MYSQL_URL create databases whose names begin with ${mysql.database}`,
      );
    }
    undo.push(() => queryMysql(server, `DROP DATABASE \`${name}\``));
    own.mysql = { ...mysql, database: name };
  }
  if (redisUrl !== undefined) {
    const url = await claimRedisDatabase(redisUrl);
    undo.push(() => askRedis(url, ["FLUSHDB"]));
    own.redisUrl = url;
  }
  return {
    own,
    remove: async () => {
      for (const step of undo) await step();
    },
  };
}

async function bestCollation(server: Parameters<typeof queryMysql>[0]): Promise<string> {
  const known = (await queryMysql(server, "SHOW COLLATION LIKE 'utf8mb4%'")) as { Collation: string }[];
  const best = COLLATIONS.find((name) => known.some(({ Collation }) => Collation === name));
  return best === undefined ? "" : ` COLLATE ${best}`;
}

async function claimRedisDatabase(redisUrl: string): Promise<string> {
  for (let number = REDIS_DATABASES - 1; number > 0; number--) {
    const url = new URL(redisUrl);
    url.pathname = `/${number}`;
    const size = await askRedis(url.href, ["DBSIZE"]);
    if (size === 0 && (await askRedis(url.href, ["SET", CLAIM_KEY, String(process.pid), "NX"])) === "OK") {
      return url.href;
    }
  }
  throw new CloudProblem(
    "No database of LIVEFORUM_REDIS_URL from 1 to 15 is empty",
    "Empty one with FLUSHDB: the suite uses that and leaves it empty",
  );
}
