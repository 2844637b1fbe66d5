/**
 * Redis replies and how they are written into an answer: as JSON, plain or base64, or as raw RESP2.
 * @module
 */

/**
 * A RESP2 reply as the connections deliver it: bulk strings are Buffers, statuses and integers are strings
 * (integers as their digits, so that none loses precision), nil is null, nested errors are Error objects.
 */
export type Reply = null | string | Buffer | Error | Reply[];

/** `base64` encodes the bytes of every string of a result; `utf8` replaces invalid sequences by U+FFFD. */
export type Encoding = "utf8" | "base64";

/** What an integer reply looks like. A status never does, unless a script forges one. */
const INTEGER = /^(?:0|-?[1-9]\d*)$/;

/** One item of an answer: `{"result":…}`, or `{"error":…}` for an error reply. Error texts are never encoded. */
export function replyJson(reply: Reply, encoding: Encoding): string {
  if (reply instanceof Error) return errorJson(reply.message);
  // The SDKs expect the one status OK unencoded at the top, and only there.
  if (reply === "OK") return '{"result":"OK"}';
  return `{"result":${valueJson(reply, encoding)}}`;
}

/** `{"error":…}`, the shape of every refusal. */
export function errorJson(message: string): string {
  return JSON.stringify({ error: message });
}

function valueJson(reply: Reply, encoding: Encoding): string {
  if (reply === null) return "null";
  if (Array.isArray(reply)) return `[${reply.map((item) => valueJson(item, encoding)).join(",")}]`;
  if (typeof reply === "string" && INTEGER.test(reply)) return reply;
  const bytes = reply instanceof Error ? Buffer.from(reply.message) : Buffer.from(reply);
  return JSON.stringify(bytes.toString(encoding));
}

/** The reply in RESP2, as it came from Redis (a nil array is written as a nil string). */
export function replyResp(reply: Reply): Buffer {
  if (reply === null) return Buffer.from("$-1\r\n");
  if (reply instanceof Error) return Buffer.from(`-${reply.message}\r\n`);
  if (typeof reply === "string") return Buffer.from(`${INTEGER.test(reply) ? ":" : "+"}${reply}\r\n`);
  if (Array.isArray(reply)) {
    return Buffer.concat([Buffer.from(`*${reply.length}\r\n`), ...reply.map((item) => replyResp(item))]);
  }
  return Buffer.concat([Buffer.from(`$${reply.length}\r\n`), reply, Buffer.from("\r\n")]);
}
