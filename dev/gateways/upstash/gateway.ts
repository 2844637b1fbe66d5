/**
 * Upstash's Redis REST API in front of a Redis or Valkey server.
 * @module
 */
import { randomBytes } from "node:crypto";
import { startGateway, type Gateway, type GatewayReply, type GatewayRequest } from "../server.ts";
import { RedisConnections, RedisUnavailable } from "./connections.ts";
import { labelOf } from "./label.ts";
import { refusalOf, type Access } from "./policy.ts";
import { errorJson, replyJson, replyResp, type Encoding, type Reply } from "./reply.ts";
import { BadRequest, commandsOf, endpointOf, tokenOf, type Command, type StreamKind } from "./request.ts";
import { ScriptTranslator, type Translated } from "./scripts.ts";
import { openStream } from "./streams.ts";

const REQUEST_LIMIT_BYTES = 10 * 1024 * 1024;
const METHODS = new Set(["GET", "POST", "PUT", "HEAD"]);
const BATCH_METHODS = new Set(["POST", "PUT"]);

export type UpstashGatewayOptions = {
  /** 0 lets the system choose. */
  port: number;
  /** `redis://[user:password@]host:port[/database]`. */
  redisUrl: string;
  /** What clients send as `Authorization: Bearer`. Not empty. */
  token: string;
  /** A second token that may only read, without SCAN and KEYS. None by default. */
  readOnlyToken?: string;
  /** How long a request waits for Redis before it is answered with an error. Default 10,000 ms. */
  replyTimeoutMs?: number;
};

/** How one answer is to be written. */
type Format = { encoding: Encoding; resp2: boolean };

/**
 * Starts the gateway on 127.0.0.1, connected to Redis.
 * @throws when the port is taken (`EADDRINUSE`), and {@link RedisUnavailable} when Redis does not answer. Later
 * outages of Redis are answered with status 500 until it is back.
 */
export async function startUpstashGateway(options: UpstashGatewayOptions): Promise<Gateway> {
  if (options.token === "") throw new Error("the token must not be empty");
  const connections = new RedisConnections(options.redisUrl, options.replyTimeoutMs ?? 10_000);
  const service = createService(connections, options);
  try {
    await connections.run([["PING"]]);
    const gateway = await startGateway({
      name: "upstash",
      port: options.port,
      maxBodyBytes: REQUEST_LIMIT_BYTES,
      ...service,
    });
    const close = async (): Promise<void> => {
      await gateway.close();
      connections.close();
    };
    return { ...gateway, close };
  } catch (error) {
    connections.close();
    throw error;
  }
}

function createService(connections: RedisConnections, options: UpstashGatewayOptions) {
  const scripts = new ScriptTranslator();
  const instance = randomBytes(6).toString("base64url");
  let answered = 0;

  /** Opaque to clients, who send it back; every answer has another one. */
  function withSyncToken(reply: GatewayReply): GatewayReply {
    answered += 1;
    return {
      ...reply,
      headers: { ...reply.headers, "upstash-sync-token": `${instance}${answered.toString(36)}` },
    };
  }

  function problem(status: number, message: string): GatewayReply {
    const text = status === 413 ? `max request size exceeded. Limit: ${REQUEST_LIMIT_BYTES} bytes` : message;
    return withSyncToken(failure(status, `ERR ${text}`));
  }

  /** Parsed by `describe`, which comes first, and used by `route`. */
  const commandsByRequest = new WeakMap<GatewayRequest, Command[]>();

  function describe(request: GatewayRequest): string {
    try {
      const commands = commandsOf(request);
      commandsByRequest.set(request, commands);
      return labelOf(endpointOf(request.target), commands);
    } catch {
      // `route` meets the same failure and answers it.
      return "";
    }
  }

  async function handle(request: GatewayRequest): Promise<GatewayReply> {
    try {
      return withSyncToken(await route(request));
    } catch (error) {
      return withSyncToken(failureOf(error));
    }
  }

  async function route(request: GatewayRequest): Promise<GatewayReply> {
    const { method, target } = request;
    const endpoint = endpointOf(target);
    const isBatch = endpoint === "pipeline" || endpoint === "multi-exec";
    const isStream = !isBatch && endpoint !== "command";
    if (!METHODS.has(method) || (isBatch && !BATCH_METHODS.has(method)) || (isStream && method === "HEAD")) {
      return failure(405, "ERR method not allowed");
    }
    const access = accessOf(tokenOf(request), options);
    if (!access) return failure(401, "WRONGPASS invalid or missing auth token");
    const format = formatOf(request);
    const commands = commandsByRequest.get(request) ?? commandsOf(request);
    if (endpoint === "pipeline") return pipeline(commands, access, format);
    if (endpoint === "multi-exec") return transaction(commands, access, format);
    const [command = []] = commands;
    return endpoint === "command"
      ? single(command, access, format)
      : stream(endpoint, command, access, request);
  }

  async function single(command: Command, access: Access, format: Format): Promise<GatewayReply> {
    const refusal = refusalOf(command, access);
    const [reply = null] = refusal ? [refusal] : await run([command]);
    const status = reply instanceof Error ? 400 : 200;
    return format.resp2 ? binary(status, replyResp(reply)) : json(status, replyJson(reply, format.encoding));
  }

  async function pipeline(commands: Command[], access: Access, format: Format): Promise<GatewayReply> {
    const refusals = commands.map((command) => refusalOf(command, access));
    const served = commands.filter((_command, index) => refusals[index] === null);
    const replies = served.length > 0 ? await run(served) : [];
    const answers = refusals.map((refusal) => refusal ?? replies.shift() ?? null);
    if (format.resp2) return binary(200, Buffer.concat(answers.map(replyResp)));
    return json(200, `[${answers.map((answer) => replyJson(answer, format.encoding)).join(",")}]`);
  }

  async function transaction(commands: Command[], access: Access, format: Format): Promise<GatewayReply> {
    if (format.resp2) throw new BadRequest("ERR RESP2 format is not available for transactions");
    const refusal = commands.map((command) => refusalOf(command, access)).find((found) => found !== null);
    if (refusal) throw new BadRequest(`EXECABORT Transaction discarded because of: ${refusal.message}`);
    const translated = commands.map((command) => scripts.translate(command));
    const reply = await connections.runAtomically(translated.map(({ command }) => command));
    if (reply instanceof Error) throw new BadRequest(reply.message);
    const answers = restore(Array.isArray(reply) ? reply : [], translated);
    return json(200, `[${answers.map((answer) => replyJson(answer, format.encoding)).join(",")}]`);
  }

  async function stream(
    kind: StreamKind,
    [, ...names]: Command,
    access: Access,
    request: GatewayRequest,
  ): Promise<GatewayReply> {
    if (access === "read-only") {
      throw new BadRequest(`NOPERM this user has no permissions to run the '${kind}' command`);
    }
    if (kind !== "monitor" && names.length === 0) {
      throw new BadRequest(`ERR wrong number of arguments for '${kind}' command`);
    }
    return openStream(
      connections,
      kind,
      names.map((name) => name.toString()),
      request.signal,
    );
  }

  async function run(commands: Command[]): Promise<Reply[]> {
    const translated = commands.map((command) => scripts.translate(command));
    return restore(await connections.run(translated.map(({ command }) => command)), translated);
  }

  return { describe, handle, problem };
}

function restore(replies: Reply[], translated: Translated[]): Reply[] {
  return replies.map((reply, index) => translated[index]?.restore?.(reply) ?? reply);
}

function accessOf(token: string, options: UpstashGatewayOptions): Access | null {
  if (token === options.token) return "full";
  return token !== "" && token === options.readOnlyToken ? "read-only" : null;
}

function formatOf({ headers }: GatewayRequest): Format {
  const resp2 = headers["upstash-response-format"] === "resp2";
  const encoding: Encoding = headers["upstash-encoding"] === "base64" ? "base64" : "utf8";
  if (resp2 && encoding === "base64")
    throw new BadRequest("ERR RESP2 format cannot be combined with base64 encoding");
  return { encoding, resp2 };
}

function failureOf(error: unknown): GatewayReply {
  if (error instanceof BadRequest) return failure(400, error.message);
  if (error instanceof RedisUnavailable) return failure(500, `ERR Redis is not reachable: ${error.message}`);
  throw error;
}

function failure(status: number, message: string): GatewayReply {
  return json(status, errorJson(message));
}

function json(status: number, body: string): GatewayReply {
  return { status, headers: { "content-type": "application/json" }, body };
}

function binary(status: number, body: Buffer): GatewayReply {
  return { status, headers: { "content-type": "application/octet-stream" }, body };
}
