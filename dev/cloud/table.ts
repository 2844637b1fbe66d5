/**
 * What runs where, for people.
 * @module
 */
import type { Cloud } from "./cloud.ts";
import type { OwnServers } from "./own-servers.ts";

type Row = readonly [what: string, where: string, credentials: string];

/** @param url of the Worker @param own passwords of the user's own servers are left out */
export function describeCloud(cloud: Cloud, url: string, own: OwnServers): string {
  const { mysql, secrets } = cloud;
  const redis = new URL(cloud.redisUrl);
  return formatTable([
    ["What", "Where", "Credentials"],
    ["API", url, ""],
    ["Documentation", `${url}/api/docs`, ""],
    ["Demo admin", "admin@liveforum.local", "liveforum-admin"],
    [
      own.mysql ? "Your database" : "Database",
      `mysql://${mysql.host}:${mysql.port}/${mysql.database}`,
      own.mysql ? "yours" : `${mysql.user} / ${mysql.password}`,
    ],
    [
      own.redisUrl ? "Your Redis" : "Redis",
      `${redis.protocol}//${redis.host}${redis.pathname}`,
      own.redisUrl ? "yours" : redis.password,
    ],
    ["PlanetScale gateway", cloud.planetscaleUrl, `${secrets.databaseUser} / ${secrets.databasePassword}`],
    ["Upstash gateway", cloud.upstashUrl, `token ${secrets.upstashToken}`],
    [own.qstashUrl ? "Your QStash" : "QStash gateway", cloud.qstashUrl, `token ${secrets.qstashToken}`],
    ["Data and logs", cloud.folder.path, ""],
  ]);
}

/** Columns of equal width with a line under the first row. */
function formatTable(rows: readonly Row[]): string {
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  const format = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  const [header = ["", "", ""], ...rest] = rows;
  const rule = [...widths.map((width) => "-".repeat(width)), "-".repeat(header[2].length)];
  return [header, rule, ...rest].map(format).join("\n");
}
