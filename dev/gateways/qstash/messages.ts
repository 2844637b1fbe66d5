/**
 * Messages at rest: storing, finding, finishing and showing them.
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { isUtf8 } from "node:buffer";
import type { Database } from "./database.ts";
import type { HeaderMap } from "./headers.ts";
import type { MessageOptions, Redaction } from "./options.ts";

export type MessageState = "due" | "queued" | "waiting" | "active" | "done";

export type Outcome = "DELIVERED" | "FAILED" | "CANCELLED";

export type LogState =
  | "CREATED"
  | "ACTIVE"
  | "DELIVERED"
  | "ERROR"
  | "RETRY"
  | "FAILED"
  | "CANCEL_REQUESTED"
  | "CANCELLED";

/** A row of `messages`; times are milliseconds since the epoch, `header`, `options` and `labels` are JSON. */
export type MessageRow = {
  seq: number;
  id: string;
  url: string;
  method: string;
  header: string;
  body: Uint8Array;
  options: string;
  max_retries: number;
  created_at: number;
  not_before: number;
  topic_name: string | null;
  endpoint_name: string | null;
  queue_name: string | null;
  schedule_id: string | null;
  caller_ip: string;
  flow_key: string | null;
  labels: string | null;
  state: MessageState;
  retried: number;
  held_queue: string | null;
  slot: string | null;
  cancel_requested: number;
  outcome: Outcome | null;
};

export type NewMessage = {
  id: string;
  url: string;
  header: HeaderMap;
  options: MessageOptions;
  body: Uint8Array;
  createdAt: number;
  /** When the publisher wants it, regardless of the gateway's speed. */
  notBefore: number;
  callerIp: string;
  topicName?: string | null;
  endpointName?: string | null;
  queueName?: string | null;
  scheduleId?: string | null;
  /** Where it starts: at a time, or at a place in its queue. */
  start: { dueAt: number } | { queueOrder: number };
  /** The place in a queue that a callback keeps for its source. */
  held?: { queue: string; slot: string } | undefined;
};

/** What was answered to a delivery, for a log entry or a dead letter. */
export type ResponseRecord = { status: number | null; header: HeaderMap; body: Uint8Array };

const DEFAULT_RETRIES = 3;

export function newId(prefix: "msg" | "scd"): string {
  return `${prefix}_${randomBytes(21).toString("base64url")}`;
}

/** Stores a message and its CREATED entry. */
export function insertMessage(db: Database, message: NewMessage): void {
  const { options, start } = message;
  const { host, pathname } = new URL(message.url);
  const seq = db.get<{ seq: number }>(
    `INSERT INTO messages (id, url, host, path, method, header, body, options, max_retries, created_at, not_before,
       topic_name, endpoint_name, queue_name, schedule_id, caller_ip, flow_key, labels, state, due_at, queue_order,
       held_queue, slot)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING seq`,
    message.id,
    message.url,
    host,
    pathname,
    options.method ?? "POST",
    JSON.stringify(message.header),
    message.body,
    JSON.stringify(options),
    options.retries ?? DEFAULT_RETRIES,
    message.createdAt,
    message.notBefore,
    message.topicName ?? null,
    message.endpointName ?? null,
    message.queueName ?? null,
    message.scheduleId ?? null,
    message.callerIp,
    options.flowControl?.key ?? null,
    options.labels ? JSON.stringify(options.labels) : null,
    "dueAt" in start ? "due" : "queued",
    "dueAt" in start ? start.dueAt : null,
    "dueAt" in start ? null : start.queueOrder,
    message.held?.queue ?? null,
    message.held?.slot ?? null,
  )?.seq;
  appendLog(db, { message: seq ?? 0, state: "CREATED", time: message.createdAt });
}

export function appendLog(
  db: Database,
  entry: {
    message: number;
    state: LogState;
    time: number;
    error?: string;
    nextDeliveryTime?: number;
    response?: ResponseRecord;
  },
): void {
  const { response } = entry;
  db.run(
    `INSERT INTO logs (time, message, state, error, next_delivery_time, response_status, response_header, response_body)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    entry.time,
    entry.message,
    entry.state,
    entry.error ?? null,
    entry.nextDeliveryTime ?? null,
    response?.status ?? null,
    response ? JSON.stringify(response.header) : null,
    response?.body ?? null,
  );
}

export function findMessage(db: Database, id: string): MessageRow | undefined {
  return db.get<MessageRow>("SELECT * FROM messages WHERE id = ?", id);
}

/** Takes the message out of every line it stands in. */
export function finishMessage(db: Database, seq: number, outcome: Outcome, now: number): void {
  db.run(
    `UPDATE messages SET state = 'done', outcome = ?, finished_at = ?, due_at = NULL, queue_order = NULL, flow_order = NULL
     WHERE seq = ?`,
    outcome,
    now,
    seq,
  );
}

export function messageOptions(row: { options: string }): MessageOptions {
  return JSON.parse(row.options) as MessageOptions;
}

export function storedHeader(row: { header: string }): HeaderMap {
  return JSON.parse(row.header) as HeaderMap;
}

/** The message as the API shows it, its redacted parts hidden. Fields without a value are left out. */
export function describeMessage(row: MessageRow): Record<string, unknown> {
  const options = messageOptions(row);
  return {
    messageId: row.id,
    url: row.url,
    ...present({
      topicName: row.topic_name,
      endpointName: row.endpoint_name,
      queueName: row.queue_name,
      scheduleId: row.schedule_id,
    }),
    method: row.method,
    ...describeContent(row, options.redaction),
    maxRetries: row.max_retries,
    notBefore: row.not_before,
    createdAt: row.created_at,
    callerIP: row.caller_ip,
    ...describeOptions(options),
  };
}

/** What messages, schedules and dead letters have in common. */
export function describeOptions(options: MessageOptions): Record<string, unknown> {
  const { flowControl } = options;
  return present({
    callback: options.callback,
    failureCallback: options.failureCallback,
    retryDelayExpression: options.retryDelay,
    label: options.labels?.[0],
    labels: options.labels,
    flowControlKey: flowControl?.key,
    parallelism: flowControl?.parallelism || undefined,
    rate: flowControl?.rate || undefined,
    period: flowControl?.rate ? flowControl.periodSeconds : undefined,
  });
}

/** `header` and `body` (or `bodyBase64` when it is no UTF-8), as `redaction` allows. */
export function describeContent(
  row: { header: string; body: Uint8Array },
  redaction: Redaction | undefined,
): Record<string, unknown> {
  const header: HeaderMap = {};
  for (const [name, values] of Object.entries(storedHeader(row))) {
    const hidden = Array.isArray(redaction?.header)
      ? redaction.header.includes(name.toLowerCase())
      : redaction?.header === true;
    header[name] = hidden ? values.map((value) => redacted(value)) : values;
  }
  if (row.body.length === 0) return { header };
  if (redaction?.body) return { header, body: redacted(row.body) };
  const body = Buffer.from(row.body);
  return isUtf8(body)
    ? { header, body: body.toString("utf8") }
    : { header, bodyBase64: body.toString("base64") };
}

function redacted(value: string | Uint8Array): string {
  return `REDACTED:${createHash("sha256").update(value).digest("hex")}`;
}

/** The fields that have a value. */
export function present<Fields extends object>(
  fields: Fields,
): { [Name in keyof Fields]?: NonNullable<Fields[Name]> } {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined && value !== null);
  return Object.fromEntries(entries) as { [Name in keyof Fields]?: NonNullable<Fields[Name]> };
}
