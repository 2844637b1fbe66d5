/**
 * PlanetScale gateways of a test's own, and a direct view of the database behind them.
 * @module
 */
import { Client, type DatabaseError } from "@planetscale/database";
import mysql, { type RowDataPacket } from "mysql2/promise";
import { afterAll, beforeAll, inject, onTestFinished } from "vitest";
import {
  startPlanetscaleGateway,
  type PlanetscaleGatewayOptions,
} from "../../../dev/gateways/planetscale/gateway.ts";
import type { CallRecord, Gateway } from "../../../dev/gateways/server.ts";

const mysqlUrl = new URL(inject("cloud").mysql);

/** The database of the suite, as a gateway is told of it. */
export const database = {
  host: mysqlUrl.hostname,
  port: Number(mysqlUrl.port),
  user: decodeURIComponent(mysqlUrl.username),
  password: decodeURIComponent(mysqlUrl.password),
  database: mysqlUrl.pathname.slice(1),
};

/** A connection past all gateways, for the test file. */
export const direct = await mysql.createConnection(database);

const table = `node_${crypto.randomUUID().replaceAll("-", "")}`;

/** The name of a table with the columns `id`, `k` and `n` that lives as long as the test file. Call it once. */
export function ownTable(): string {
  beforeAll(async () => {
    await direct.query(`CREATE TABLE ${table} (id INT AUTO_INCREMENT PRIMARY KEY, k VARCHAR(40), n INT)`);
  });
  afterAll(async () => {
    await direct.query(`DROP TABLE ${table}`);
    await direct.end();
  });
  return table;
}

/** An INSERT of one row with `k = key`. */
export function insert(key: string): string {
  return `INSERT INTO ${table} (k) VALUES ('${key}')`;
}

/** How many rows with `k = key` everybody can see. */
export async function countOf(key: string): Promise<number> {
  const [rows] = await direct.query<RowDataPacket[]>(`SELECT 1 FROM ${table} WHERE k = ?`, [key]);
  return rows.length;
}

/** How many statements that contain `mark` the server runs at this moment. */
export async function running(mark: string): Promise<number> {
  const [rows] = await direct.query<RowDataPacket[]>(
    "SELECT 1 FROM information_schema.processlist WHERE info LIKE ? AND id <> CONNECTION_ID()",
    [`%${mark}%`],
  );
  return rows.length;
}

/** A gateway that is closed when the test ends, and what a test wants of it. */
export type OwnGateway = {
  gateway: Gateway;
  /** With credentials, for the SDK. */
  url: string;
  client: Client;
  connections: () => Promise<{ open: number; idle: number; transactions: number }>;
  /** The record of calls whose label contains `text`. */
  calls: (text: string) => Promise<CallRecord[]>;
  /** Sets a part of the control surface. @throws when it is refused. */
  control: (route: "delay" | "fault", body: unknown) => Promise<void>;
};

/** Starts a gateway with settings of its own. */
export async function startOwnGateway(options: Partial<PlanetscaleGatewayOptions> = {}): Promise<OwnGateway> {
  const gateway = await startPlanetscaleGateway({
    port: 0,
    mysql: database,
    username: "user",
    password: "secret",
    ...options,
  });
  onTestFinished(gateway.close);
  const url = gateway.url.replace("http://", "http://user:secret@");
  const read = async <T>(route: string): Promise<T> => {
    const response = await fetch(`${gateway.url}/_local/${route}`);
    return (await response.json()) as T;
  };
  return {
    gateway,
    url,
    client: new Client({ url }),
    connections: () => read("connections"),
    calls: async (text) => {
      const { calls } = await read<{ calls: CallRecord[] }>("calls");
      return calls.filter(({ label }) => label.includes(text));
    },
    control: async (route, body) => {
      const response = await fetch(`${gateway.url}/_local/${route}`, {
        method: "PUT",
        body: JSON.stringify(body),
      });
      if (!response.ok) throw new Error(await response.text());
    },
  };
}

/** What a failed call was rejected with. @throws when it succeeds. */
export async function failureOf(
  attempt: Promise<unknown>,
): Promise<{ code: string; message: string; status: number }> {
  try {
    await attempt;
  } catch (error) {
    const { body, status } = error as DatabaseError;
    return { ...body, status };
  }
  throw new Error("the statement did not fail");
}
