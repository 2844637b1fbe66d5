/**
 * One delivery over HTTP.
 * @module
 */
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { headerMap, type HeaderMap } from "./headers.ts";
import { messageOptions, storedHeader, type MessageRow } from "./messages.ts";
import { signDelivery } from "./signing.ts";

/** What came of a delivery. Without an answer `status` is null and `error` says why. */
export type AttemptResult = { status: number | null; header: HeaderMap; body: Buffer; error: string | null };

const DEFAULT_TIMEOUT_MS = 15 * 60_000;

/** Node's timers turn a longer one into 1 ms. */
const TIMER_MAX_MS = 2 ** 31 - 1;

/** As much of an answer as is kept for logs, dead letters and callbacks. */
const RESPONSE_MAX_BYTES = 1024 * 1024;

/** They belong to the connection and are set by Node. */
const CONNECTION_HEADERS = new Set([
  "Connection",
  "Content-Length",
  "Expect",
  "Host",
  "Keep-Alive",
  "Proxy-Connection",
  "Te",
  "Trailer",
  "Transfer-Encoding",
  "Upgrade",
]);

/**
 * Delivers a message and reads the answer. Never rejects. `signal` gives up at once; the message's own timeout
 * bounds the whole exchange and is not divided by the gateway's speed, since it limits the work of the receiver.
 */
export async function attemptDelivery(
  row: MessageRow,
  signingKey: string,
  signal: AbortSignal,
): Promise<AttemptResult> {
  const timeoutMs = Math.min(TIMER_MAX_MS, Math.ceil(messageOptions(row).timeoutMs ?? DEFAULT_TIMEOUT_MS));
  const controller = new AbortController();
  const giveUp = () => controller.abort();
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    giveUp();
  }, timeoutMs);
  signal.addEventListener("abort", giveUp, { once: true });
  try {
    return await exchange(row, signingKey, controller.signal);
  } catch (error) {
    const reason = timedOut ? `timed out after ${timeoutMs} ms` : describeError(error);
    return { status: null, header: {}, body: Buffer.alloc(0), error: reason };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", giveUp);
  }
}

function exchange(row: MessageRow, signingKey: string, signal: AbortSignal): Promise<AttemptResult> {
  const url = new URL(row.url);
  const body = Buffer.from(row.body);
  const send = url.protocol === "https:" ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    // A connection of its own: one from a pool may be closed by the receiver at the moment it is used again.
    const outgoing = send(url, {
      agent: false,
      method: row.method,
      headers: deliveryHeaders(row, body, signingKey),
      signal,
    });
    outgoing.on("error", reject);
    outgoing.on("upgrade", (_, socket) => {
      socket.destroy();
      reject(new Error("the destination answered with an upgrade"));
    });
    outgoing.on("response", (response) => {
      const chunks: Buffer[] = [];
      let kept = 0;
      response.on("error", reject);
      response.on("data", (chunk: Buffer) => {
        if (kept < RESPONSE_MAX_BYTES) chunks.push(chunk.subarray(0, RESPONSE_MAX_BYTES - kept));
        kept += chunk.length;
      });
      response.on("end", () => {
        const header = headerMap(response.rawHeaders);
        resolve({ status: response.statusCode ?? 0, header, body: Buffer.concat(chunks), error: null });
      });
    });
    outgoing.end(body);
  });
}

function deliveryHeaders(
  row: MessageRow,
  body: Buffer,
  signingKey: string,
): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  for (const [name, values] of Object.entries(storedHeader(row))) {
    if (!CONNECTION_HEADERS.has(name)) headers[name] = values;
  }
  if (body.length > 0 || row.method !== "GET") headers["Content-Length"] = String(body.length);
  headers["User-Agent"] = "Upstash-QStash";
  headers["Upstash-Message-Id"] = row.id;
  headers["Upstash-Retried"] = String(row.retried);
  headers["Upstash-Caller-Ip"] = row.caller_ip;
  if (row.topic_name !== null) headers["Upstash-Topic-Name"] = row.topic_name;
  if (row.schedule_id !== null) headers["Upstash-Schedule-Id"] = row.schedule_id;
  headers["Upstash-Signature"] = signDelivery({ key: signingKey, url: row.url, body, nowMs: Date.now() });
  return headers;
}

function describeError(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return describeError(error.errors[0]);
  return error instanceof Error ? error.message : String(error);
}
