/**
 * Server-sent events: `/subscribe`, `/psubscribe` and `/monitor`, each on a Redis connection of its own.
 * @module
 */
import type { ServerResponse } from "node:http";
import { ErrorReply } from "@redis/client";
import type { GatewayReply } from "../server.ts";
import type { RedisConnection, RedisConnections } from "./connections.ts";
import { BadRequest, type StreamKind } from "./request.ts";

/** What a client that does not read may have outstanding before it is cut; Redis's own limit for subscribers. */
const UNREAD_LIMIT_BYTES = 32 * 1024 * 1024;

/**
 * Opens a stream; answered once Redis has confirmed, so that a failure is still an ordinary error.
 * @param names channels or patterns; ignored by `monitor`.
 * @param signal aborted when the client has gone, which closes the connection to Redis.
 * @throws {RedisUnavailable} and {@link BadRequest} when Redis refuses.
 */
export async function openStream(
  connections: RedisConnections,
  kind: StreamKind,
  names: string[],
  signal: AbortSignal,
): Promise<GatewayReply> {
  const connection = await connections.dial("upstash-stream");
  const channel = new EventChannel();
  connection.on("end", () => channel.end());
  connection.on("error", () => channel.end());
  if (signal.aborted) connection.destroy();
  signal.addEventListener("abort", () => connection.destroy(), { once: true });
  try {
    await connections.settle(
      connection,
      start(connection, kind, names, (data) => channel.send(data)),
    );
  } catch (error) {
    throw error instanceof ErrorReply ? new BadRequest(error.message) : error;
  }
  return {
    status: 200,
    headers: { "content-type": "text/event-stream", "cache-control": "no-cache" },
    stream: (response) => channel.attach(response),
  };
}

async function start(
  connection: RedisConnection,
  kind: StreamKind,
  names: string[],
  send: (data: string) => void,
): Promise<void> {
  if (kind === "monitor") {
    send('"OK"');
    await connection.monitor((line) => send(line));
    return;
  }
  for (const [index, name] of names.entries()) {
    // Before the confirmation, or a message that arrives with it would come first.
    send(`${kind},${name},${index + 1}`);
    await (kind === "subscribe"
      ? connection.subscribe(name, (message, source) => send(`message,${source},${message}`))
      : connection.pSubscribe(name, (message, source) => send(`pmessage,${name},${source},${message}`)));
  }
}

/** Events on their way to one response; keeps those that come before there is a response. */
class EventChannel {
  #early: string[] = [];
  #response: ServerResponse | null = null;
  #ended = false;

  send(data: string): void {
    // The format's own way to carry line breaks: one `data:` line each.
    const event = `${data
      .split(/\r\n|\r|\n/)
      .map((line) => `data: ${line}\n`)
      .join("")}\n`;
    if (!this.#response) this.#early.push(event);
    else this.#write(event);
  }

  attach(response: ServerResponse): void {
    this.#response = response;
    for (const event of this.#early.splice(0)) this.#write(event);
    if (this.#ended) response.end();
  }

  end(): void {
    this.#ended = true;
    this.#response?.end();
  }

  #write(event: string): void {
    const response = this.#response;
    if (!response || response.writableEnded || response.destroyed) return;
    response.write(event);
    if (response.writableLength > UNREAD_LIMIT_BYTES) response.destroy();
  }
}
