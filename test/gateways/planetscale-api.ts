/**
 * What the tests of the PlanetScale gateway share, in workerd: the real SDK, raw requests, and a table of one's own.
 * @module
 */
import { Client, connect, DatabaseError } from "@planetscale/database";
import { afterAll, beforeAll, inject, onTestFinished } from "vitest";

const { settings, planetscale } = inject("cloud");

export const url = settings.DATABASE_URL ?? "";
export const { username, password } = new URL(url);
export const client = new Client({ url });

/** An Execute answer as it is on the wire. */
export type Answer = {
  session: { vitessSession: { SessionUUID: string; inTransaction?: boolean; targetString: string } };
  result?: Record<string, unknown>;
  error?: { code: string; message: string };
  timing: number;
};

/** One raw Execute. */
export async function execute(query: string, session: unknown = null): Promise<Answer> {
  const response = await request("Execute", { method: "POST", body: JSON.stringify({ query, session }) });
  return response.json<Answer>();
}

/** One raw request; `credentials` are `user:password`. */
export async function request(
  method: string,
  init: RequestInit,
  credentials = `${username}:${password}`,
): Promise<Response> {
  const headers = { "content-type": "application/json", authorization: `Basic ${btoa(credentials)}` };
  return fetch(`${planetscale}/psdb.v1alpha1.Database/${method}`, { ...init, headers });
}

/** What a failed call was rejected with. @throws when it succeeds, or fails otherwise. */
export async function failureOf(attempt: Promise<unknown>): Promise<DatabaseError> {
  try {
    await attempt;
  } catch (error) {
    if (error instanceof DatabaseError) return error;
    throw error;
  }
  throw new Error("the statement did not fail");
}

/** A transaction on a connection of one's own, rolled back when the test ends. */
export async function begin(): Promise<ReturnType<typeof connect>> {
  const connection = connect({ url });
  await connection.execute("BEGIN");
  onTestFinished(async () => {
    await connection.execute("ROLLBACK");
  });
  return connection;
}

/** The name of a table with the columns `id`, `k` (unique, 40 characters) and `n` that lives as long as the test file. */
export function ownTable(): string {
  const table = `gateway_${crypto.randomUUID().replaceAll("-", "")}`;
  beforeAll(async () => {
    await client.execute(
      `CREATE TABLE ${table} (id INT AUTO_INCREMENT PRIMARY KEY, k VARCHAR(40) UNIQUE, n INT)`,
    );
  });
  afterAll(async () => {
    await client.execute(`DROP TABLE ${table}`);
  });
  return table;
}
