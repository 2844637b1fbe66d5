/**
 * `/v2/topics`: URL groups, once called topics.
 * @module
 */
import type { Database } from "./database.ts";
import { isDestinationUrl } from "./options.ts";
import { present } from "./messages.ts";
import { QstashProblem } from "./problem.ts";

type Endpoint = { name: string | null; url: string };

type GroupRow = { name: string; created_at: number; updated_at: number };

/** In the order in which they were added. @throws QstashProblem 404. */
export function groupEndpoints(db: Database, group: string): Endpoint[] {
  const endpoints = db.all<Endpoint>(
    "SELECT name, url FROM url_group_endpoints WHERE group_name = ? ORDER BY seq",
    group,
  );
  if (endpoints.length === 0) throw new QstashProblem(404, `URL group ${group} not found`);
  return endpoints;
}

export function createUrlGroups({ db }: { db: Database }) {
  const describe = (row: GroupRow) => ({
    name: row.name,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    endpoints: groupEndpoints(db, row.name).map((endpoint) => present(endpoint)),
  });

  return {
    list: () => db.all<GroupRow>("SELECT * FROM url_groups ORDER BY name").map((row) => describe(row)),

    /** @throws QstashProblem 404. */
    get(name: string): Record<string, unknown> {
      const row = db.get<GroupRow>("SELECT * FROM url_groups WHERE name = ?", name);
      if (!row) throw new QstashProblem(404, `URL group ${name} not found`);
      return describe(row);
    },

    /** Creates the group when it is missing. A known URL, or a known name, is changed in place. */
    addEndpoints(name: string, body: unknown): void {
      if (!/^[\w.-]+$/.test(name)) {
        throw new QstashProblem(
          400,
          "URL group names can only contain alphanumeric characters, hyphens, periods and underscores",
        );
      }
      const endpoints = readEndpoints(body);
      const now = Date.now();
      db.transaction(() => {
        db.run(
          "INSERT INTO url_groups VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET updated_at = excluded.updated_at",
          name,
          now,
          now,
        );
        for (const endpoint of endpoints) {
          if (endpoint.url === undefined || !isDestinationUrl(endpoint.url)) {
            throw new QstashProblem(400, "invalid endpoint url: it must start with http:// or https://");
          }
          if (endpoint.name !== undefined) {
            db.run("DELETE FROM url_group_endpoints WHERE group_name = ? AND name = ?", name, endpoint.name);
          }
          db.run(
            `INSERT INTO url_group_endpoints (group_name, name, url) VALUES (?, ?, ?)
             ON CONFLICT (group_name, url) DO UPDATE SET name = excluded.name`,
            name,
            endpoint.name ?? null,
            endpoint.url,
          );
        }
      });
    },

    /** By name or URL. The group goes with its last endpoint. @throws QstashProblem 404 when there is no such group. */
    removeEndpoints(name: string, body: unknown): void {
      const endpoints = readEndpoints(body);
      db.transaction(() => {
        const found = db.run("UPDATE url_groups SET updated_at = ? WHERE name = ?", Date.now(), name);
        if (found === 0) throw new QstashProblem(404, `URL group ${name} not found`);
        for (const endpoint of endpoints) {
          db.run(
            "DELETE FROM url_group_endpoints WHERE group_name = ? AND (url = ? OR name = ?)",
            name,
            endpoint.url ?? null,
            endpoint.name ?? null,
          );
        }
        db.run(
          "DELETE FROM url_groups WHERE name = ?1 AND NOT EXISTS (SELECT 1 FROM url_group_endpoints WHERE group_name = ?1)",
          name,
        );
      });
    },

    remove(name: string): void {
      db.transaction(() => {
        db.run("DELETE FROM url_groups WHERE name = ?", name);
        db.run("DELETE FROM url_group_endpoints WHERE group_name = ?", name);
      });
    },
  };
}

function readEndpoints(body: unknown): { name?: string; url?: string }[] {
  const { endpoints } = (body ?? {}) as Record<string, unknown>;
  if (!Array.isArray(endpoints) || endpoints.length === 0) {
    throw new QstashProblem(400, "endpoints must be a list with at least one endpoint");
  }
  return endpoints.map((endpoint: unknown) => {
    const { name, url } = (endpoint ?? {}) as Record<string, unknown>;
    const read: { name?: string; url?: string } = {};
    if (typeof name === "string" && name !== "") read.name = name;
    if (typeof url === "string" && url !== "") read.url = url;
    if (read.name === undefined && read.url === undefined) {
      throw new QstashProblem(400, "an endpoint needs a name or a url");
    }
    return read;
  });
}
