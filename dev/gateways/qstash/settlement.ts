/**
 * What follows from a delivery: done, another try, or the dead letter queue; and the callbacks.
 * @module
 */
import type { AttemptResult } from "./attempt.ts";
import type { Database } from "./database.ts";
import { bury } from "./dead-letters.ts";
import { DAY_MS, parseRetryAfterMs } from "./durations.ts";
import { compileRetryDelay } from "./expression.ts";
import type { Lanes } from "./lanes.ts";
import {
  appendLog,
  finishMessage,
  messageOptions,
  present,
  storedHeader,
  type MessageRow,
} from "./messages.ts";
import type { ConfiguredMessage } from "./options.ts";
import type { Publisher } from "./publisher.ts";

/** The answer by which a receiver refuses all further tries, together with `Upstash-NonRetryable-Error: true`. */
const NON_RETRYABLE_STATUS = 489;

const RETRY_AFTER_HEADERS = [
  "Retry-After",
  "X-Ratelimit-Reset",
  "X-Ratelimit-Reset-Requests",
  "X-Ratelimit-Reset-Tokens",
];

type SettlementOptions = {
  db: Database;
  lanes: Lanes;
  publisher: Publisher;
  /** Divides the waits before retries. */
  speed: number;
};

export function createSettlement({ db, lanes, publisher, speed }: SettlementOptions) {
  /** Publishes a callback; its place in a queue is the one its message has. */
  function publishCallback(
    row: MessageRow,
    url: string,
    own: ConfiguredMessage | undefined,
    result: AttemptResult,
    dlqId?: string,
  ): void {
    const { retries, retryDelay, timeoutMs } = messageOptions(row);
    const options = { ...present({ retries, retryDelay, timeoutMs }), ...own?.options };
    const body = Buffer.from(JSON.stringify(callbackBody(row, result, dlqId)));
    const held =
      row.held_queue !== null && row.slot !== null ? { queue: row.held_queue, slot: row.slot } : undefined;
    publisher.publishTo(
      { url },
      {
        destination: url,
        options,
        header: { "Content-Type": ["application/json"], ...own?.header },
        body,
        callerIp: row.caller_ip,
        held,
      },
    );
  }

  /** Records the result of one attempt. Belongs in a transaction. */
  function settle(claimed: MessageRow, result: AttemptResult): void {
    const now = Date.now();
    // A cancellation may have come while it was in flight.
    const row = {
      ...claimed,
      ...db.get<Pick<MessageRow, "cancel_requested">>(CANCEL_REQUESTED, claimed.seq),
    };
    const options = messageOptions(row);
    const delivered = result.status !== null && result.status >= 200 && result.status < 300;
    if (options.callback !== undefined) {
      publishCallback(row, options.callback, options.callbackOptions, result);
    }
    if (delivered) {
      finishMessage(db, row.seq, "DELIVERED", now);
      appendLog(db, { message: row.seq, state: "DELIVERED", time: now });
    } else {
      const error = result.error ?? `the destination answered with status ${result.status}`;
      appendLog(db, { message: row.seq, state: "ERROR", time: now, error, response: result });
      if (isFinal(row, result)) fail(row, result, error, now);
      else if (row.cancel_requested) {
        finishMessage(db, row.seq, "CANCELLED", now);
        appendLog(db, { message: row.seq, state: "CANCELLED", time: now });
      } else retry(row, result, now);
    }
    lanes.touchQueue(row.held_queue);
    lanes.touchFlow(row.flow_key);
  }

  function retry(row: MessageRow, result: AttemptResult, now: number): void {
    const dueAt = Math.round(now + retryDelayMs(row, result, now) / speed);
    db.run(
      "UPDATE messages SET state = 'due', due_at = ?, flow_order = NULL, retried = retried + 1 WHERE seq = ?",
      dueAt,
      row.seq,
    );
    appendLog(db, { message: row.seq, state: "RETRY", time: now, nextDeliveryTime: dueAt });
  }

  function fail(row: MessageRow, result: AttemptResult, error: string, now: number): void {
    finishMessage(db, row.seq, "FAILED", now);
    appendLog(db, { message: row.seq, state: "FAILED", time: now, error });
    const dlqId = bury(db, row.seq, result, now);
    const { failureCallback, failureCallbackOptions } = messageOptions(row);
    if (failureCallback !== undefined) {
      publishCallback(row, failureCallback, failureCallbackOptions, result, dlqId);
    }
  }

  return { settle };
}

export type Settlement = ReturnType<typeof createSettlement>;

const CANCEL_REQUESTED = "SELECT cancel_requested FROM messages WHERE seq = ?";

function isFinal(row: MessageRow, result: AttemptResult): boolean {
  const refused =
    result.status === NON_RETRYABLE_STATUS &&
    result.header["Upstash-Nonretryable-Error"]?.[0]?.trim().toLowerCase() === "true";
  return refused || row.retried >= row.max_retries;
}

/**
 * Milliseconds before the next try, at speed 1: what the answer asks for (if no more than a day), else the
 * message's own expression, else QStash's backoff e^(2.5 n) seconds. Never more than a day.
 */
export function retryDelayMs(
  row: Pick<MessageRow, "options" | "retried">,
  result: AttemptResult,
  now: number,
): number {
  for (const name of RETRY_AFTER_HEADERS) {
    const asked = result.header[name]?.[0];
    const wait = asked === undefined ? undefined : parseRetryAfterMs(asked, now);
    if (wait !== undefined && wait <= DAY_MS) return wait;
  }
  const { retryDelay } = messageOptions(row);
  if (retryDelay === undefined) return Math.min(DAY_MS, Math.exp(2.5 * (row.retried + 1)) * 1000);
  const wait = compileRetryDelay(retryDelay)(row.retried);
  return Number.isNaN(wait) ? DAY_MS : Math.min(DAY_MS, Math.max(0, wait));
}

function callbackBody(
  row: MessageRow,
  result: AttemptResult,
  dlqId: string | undefined,
): Record<string, unknown> {
  const text = result.error === null ? result.body : Buffer.from(result.error);
  return {
    status: result.status ?? 0,
    header: result.header,
    body: text.toString("base64"),
    retried: row.retried,
    maxRetries: row.max_retries,
    sourceMessageId: row.id,
    topicName: row.topic_name ?? "",
    endpointName: row.endpoint_name ?? "",
    url: row.url,
    method: row.method,
    sourceHeader: storedHeader(row),
    sourceBody: Buffer.from(row.body).toString("base64"),
    notBefore: row.not_before,
    createdAt: row.created_at,
    scheduleId: row.schedule_id ?? "",
    callerIP: row.caller_ip,
    ...(dlqId === undefined ? {} : { dlqId }),
  };
}
