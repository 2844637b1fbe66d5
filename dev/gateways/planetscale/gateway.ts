/**
 * The PlanetScale gateway: the HTTP API that `@planetscale/database` speaks, in front of MariaDB or MySQL.
 * @module
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { startGateway, type Gateway, type GatewayReply, type GatewayRequest } from "../server.ts";
import type { MysqlAddress } from "./connection.ts";
import { Executor } from "./executor.ts";

export type PlanetscaleGatewayOptions = {
  /** 0 lets the system choose. */
  port: number;
  mysql: MysqlAddress;
  /** What clients authenticate with: letters, digits and `._~-`, because the SDK does not decode its URL. */
  username: string;
  password: string;
  /** After this a transaction is rolled back. Default 20,000, as in production. */
  transactionTimeoutMs?: number;
  /** After this a statement is killed. Default 30,000. */
  statementTimeoutMs?: number;
  /** Most rows a statement may return. Default 100,000, as in production. */
  maxRows?: number;
  /** Most bytes of values a statement may return. Default 64 MiB, as in production. */
  maxResultBytes?: number;
  /** Most connections to the server, and with it most open transactions. Default 50. */
  maxConnections?: number;
  /** How long a statement waits for one of them before it fails with `RESOURCE_EXHAUSTED`. Default 10,000. */
  waitLimitMs?: number;
};

const SERVICE = "/psdb.v1alpha1.Database";
const MAX_REQUEST_BYTES = 64 * 1024 * 1024;
const LABEL_LENGTH = 500;

/**
 * Starts the gateway; the server behind it may come and go. The control surface has one more route,
 * `GET /_local/connections`: how many connections are open and idle, and how many transactions are open.
 * @throws {TypeError} for credentials that no client could send; `EADDRINUSE` when the port is taken.
 */
export async function startPlanetscaleGateway(options: PlanetscaleGatewayOptions): Promise<Gateway> {
  const { username, password } = options;
  if (!/^[\w.~-]+$/.test(username) || !/^[\w.~-]+$/.test(password)) {
    throw new TypeError("username and password: letters, digits and ._~- only, and neither may be empty");
  }
  const executor = new Executor({
    mysql: options.mysql,
    username,
    transactionTimeoutMs: options.transactionTimeoutMs ?? 20_000,
    maxConnections: options.maxConnections ?? 50,
    waitLimitMs: options.waitLimitMs ?? 10_000,
    limits: {
      timeoutMs: options.statementTimeoutMs ?? 30_000,
      maxRows: options.maxRows ?? 100_000,
      maxBytes: options.maxResultBytes ?? 64 * 1024 * 1024,
    },
  });
  const isAuthorized = basicAuthentication(username, password);

  async function handle(request: GatewayRequest): Promise<GatewayReply> {
    const execute = request.target === `${SERVICE}/Execute`;
    if (!execute && request.target !== `${SERVICE}/CreateSession`) return problem(404, "unknown endpoint");
    if (request.method !== "POST") return problem(405, "only POST is supported");
    if (!isAuthorized(request.headers.authorization))
      return problem(401, "invalid authorization credentials");
    const body = parseBody(request.body);
    if (body === null) return problem(400, "the body must be a JSON object");
    if (!execute) {
      return json(200, { branch: "main", user: { username, psid: "local" }, session: executor.newSession() });
    }
    if (typeof body.query !== "string") return problem(400, "query must be a string");
    return json(200, await executor.execute(body.query, body.session, request.signal));
  }

  const gateway = await startGateway({
    name: "planetscale",
    port: options.port,
    maxBodyBytes: MAX_REQUEST_BYTES,
    handle,
    problem,
    describe: ({ body }) => {
      const query = parseBody(body)?.query;
      return typeof query === "string" ? query.slice(0, LABEL_LENGTH) : "";
    },
    control: { "GET /_local/connections": () => executor.state },
  });
  return {
    ...gateway,
    close: async () => {
      await gateway.close();
      executor.close();
    },
  };
}

/** Compares digests, which takes the same time whatever is wrong. */
function basicAuthentication(username: string, password: string): (header: string | undefined) => boolean {
  const expected = digest(`${username}:${password}`);
  return (header) => {
    const encoded = /^Basic\s+(\S+)$/i.exec(header ?? "")?.[1];
    return (
      encoded !== undefined && timingSafeEqual(digest(Buffer.from(encoded, "base64").toString()), expected)
    );
  };
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function parseBody(body: Buffer): { query?: unknown; session?: unknown } | null {
  try {
    const parsed: unknown = JSON.parse(body.toString("utf8"));
    return typeof parsed === "object" && parsed !== null && !Array.isArray(parsed) ? parsed : null;
  } catch {
    return null;
  }
}

const CONNECT_CODES: Record<number, string> = {
  400: "invalid_argument",
  401: "unauthenticated",
  404: "not_found",
  405: "unimplemented",
  413: "resource_exhausted",
  429: "resource_exhausted",
  503: "unavailable",
};

/** A refusal by the API itself. Without `error` in it the SDK would blame Cloudflare. */
function problem(status: number, message: string): GatewayReply {
  const code = CONNECT_CODES[status] ?? "internal";
  return json(status, { error: { code, message } });
}

function json(status: number, value: unknown): GatewayReply {
  return { status, headers: { "content-type": "application/json" }, body: JSON.stringify(value) };
}
