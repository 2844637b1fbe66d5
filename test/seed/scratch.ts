/**
 * An empty, migrated database of a test's own, with a gateway in front of it.
 * @module
 */
import mysql, { type RowDataPacket } from "mysql2/promise";
import { inject, onTestFinished } from "vitest";
import { migrate } from "../../dev/cloud/migrate.ts";
import { startPlanetscaleGateway } from "../../dev/gateways/planetscale/gateway.ts";

export type ScratchDatabase = {
  /** Past the gateway, with credentials. */
  mysqlUrl: string;
  /** Through the gateway, with credentials. */
  databaseUrl: string;
  /** Runs a statement past the gateway; counts and sums come as numbers. */
  rows: (sql: string, values?: unknown[]) => Promise<Record<string, unknown>[]>;
};

/** Creates it and drops it when the test ends. Call it inside a test. @param migrated whether it has the tables */
export async function scratchDatabase({ migrated = true } = {}): Promise<ScratchDatabase> {
  const url = new URL(inject("cloud").mysql);
  const name = `${url.pathname.slice(1)}_${crypto.randomUUID().slice(0, 8)}`;
  const address = {
    host: url.hostname,
    port: Number(url.port),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
  };
  const connection = await mysql.createConnection({ ...address, decimalNumbers: true });
  await connection.query(`create database ${name} character set utf8mb4`);
  await connection.query(`use ${name}`);
  const gateway = await startPlanetscaleGateway({
    port: 0,
    mysql: { ...address, database: name },
    username: "scratch",
    password: "scratch",
  });
  onTestFinished(async () => {
    await gateway.close();
    await connection.query(`drop database ${name}`);
    await connection.end();
  });
  const databaseUrl = gateway.url.replace("http://", "http://scratch:scratch@");
  if (migrated) await migrate(databaseUrl);
  url.pathname = `/${name}`;
  return {
    mysqlUrl: url.href,
    databaseUrl,
    rows: async (sql, values) => (await connection.query<RowDataPacket[]>(sql, values))[0],
  };
}

/** One row for each kind of counter, with how many rows of the kind there are and how many counters are wrong. */
export const COUNTER_AUDIT = `
  select 'boards.post_count' as counter, count(*) as total, coalesce(sum(b.post_count <> coalesce(n, 0)), 0) as wrong
  from boards b left join (select board_id, count(*) n from posts where counted and deleted_at is null group by board_id) p on p.board_id = b.id
  union all
  select 'posts.comment_count', count(*), coalesce(sum(p.comment_count <> coalesce(n, 0)), 0)
  from posts p left join (select post_id, count(*) n from comments where counted and deleted_at is null group by post_id) c on c.post_id = p.id
  union all
  select 'posts.like_count', count(*), coalesce(sum(p.like_count <> coalesce(n, 0)), 0)
  from posts p left join (select target_id, count(*) n from likes where target_type = 'post' and active group by target_id) l on l.target_id = p.id
  union all
  select 'comments.like_count', count(*), coalesce(sum(c.like_count <> coalesce(n, 0)), 0)
  from comments c left join (select target_id, count(*) n from likes where target_type = 'comment' and active group by target_id) l on l.target_id = c.id
  union all
  select 'activity_rollups', count(*), coalesce(sum(posts), 0) <> (select count(*) from posts)
    or coalesce(sum(comments), 0) <> (select count(*) from comments) or coalesce(sum(likes), 0) <> (select count(*) from likes)
    or coalesce(sum(users), 0) <> (select count(*) from users)
  from activity_rollups`;

/** Counters that differ from the rows they count. */
export async function wrongCounters({ rows }: ScratchDatabase): Promise<Record<string, unknown>[]> {
  return (await rows(COUNTER_AUDIT)).filter(({ wrong }) => wrong !== 0);
}
