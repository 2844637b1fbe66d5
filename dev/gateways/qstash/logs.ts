/**
 * `/v2/logs` and its older name `/v2/events`.
 * @module
 */
import type { Database } from "./database.ts";
import { parseFilter } from "./filters.ts";
import type { ConfiguredMessage } from "./options.ts";
import {
  describeContent,
  describeOptions,
  messageOptions,
  present,
  type LogState,
  type MessageRow,
} from "./messages.ts";

type LogRow = MessageRow & {
  log_seq: number;
  time: number;
  log_state: LogState;
  error: string | null;
  next_delivery_time: number | null;
  response_status: number | null;
  response_header: string | null;
  response_body: Uint8Array | null;
};

const forwarded = (configured: ConfiguredMessage | undefined) =>
  configured && Object.keys(configured.header).length > 0 ? configured.header : undefined;

/** A page of entries, newest first. @throws QstashProblem 400. */
export function listLogs(db: Database, query: URLSearchParams): { entries: unknown[]; cursor?: string } {
  const filter = parseFilter("logs", query);
  const rows = db.all<LogRow>(
    `SELECT m.*, l.seq AS log_seq, l.time, l.state AS log_state, l.error, l.next_delivery_time, l.response_status,
       l.response_header, l.response_body
     FROM logs l JOIN messages m ON m.seq = l.message
     WHERE l.seq < ? AND ${filter.where} ORDER BY l.seq DESC LIMIT ?`,
    filter.before,
    ...filter.values,
    filter.count + 1,
  );
  const page = rows.slice(0, filter.count);
  const last = page.at(-1);
  return {
    entries: page.map((row) => describe(row)),
    ...(last && rows.length > page.length ? { cursor: `${last.time}-${last.log_seq}` } : {}),
  };
}

function describe(row: LogRow): Record<string, unknown> {
  const options = messageOptions(row);
  const { header, body } = describeContent(row, options.redaction);
  return {
    time: row.time,
    state: row.log_state,
    messageId: row.id,
    url: row.url,
    method: row.method,
    header,
    ...present({
      body: logBody(row, options.redaction?.body === true ? body : undefined),
      error: row.error,
      nextDeliveryTime: row.next_delivery_time,
      topicName: row.topic_name,
      endpointName: row.endpoint_name,
      scheduleId: row.schedule_id,
      queueName: row.queue_name,
      responseStatus: row.response_status,
      responseHeaders: row.response_header === null ? null : JSON.parse(row.response_header),
      responseBody: row.response_body === null ? null : Buffer.from(row.response_body).toString("base64"),
      timeout: options.timeoutMs,
      callbackHeaders: forwarded(options.callbackOptions),
      failureCallbackHeaders: forwarded(options.failureCallbackOptions),
    }),
    maxRetries: row.max_retries,
    ...describeOptions(options),
  };
}

/** Base64, unlike anywhere else in the API; a redacted body stays readable. */
function logBody(row: LogRow, redacted: unknown): unknown {
  if (row.body.length === 0) return undefined;
  return redacted ?? Buffer.from(row.body).toString("base64");
}
