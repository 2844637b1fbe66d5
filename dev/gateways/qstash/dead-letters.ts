/**
 * `/v2/dlq`: messages that failed for good, and sending them again.
 * @module
 */
import { isUtf8 } from "node:buffer";
import type { Database } from "./database.ts";
import { parseFilter, sequenceOf, type Filter } from "./filters.ts";
import type { HeaderMap } from "./headers.ts";
import {
  describeMessage,
  messageOptions,
  storedHeader,
  type MessageRow,
  type ResponseRecord,
} from "./messages.ts";
import type { ConfiguredMessage } from "./options.ts";
import { QstashProblem } from "./problem.ts";
import type { Published, Publisher } from "./publisher.ts";

type DeadLetterRow = MessageRow & {
  dlq_seq: number;
  dlq_created_at: number;
  response_status: number | null;
  response_header: string;
  response_body: Uint8Array;
};

const SELECT = `SELECT m.*, d.seq AS dlq_seq, d.created_at AS dlq_created_at, d.response_status, d.response_header,
  d.response_body FROM dead_letters d JOIN messages m ON m.seq = d.message`;

const dlqId = (row: { dlq_seq: number; dlq_created_at: number }) => `${row.dlq_created_at}-${row.dlq_seq}`;

/** @returns the id of the new entry, `<ms>-<n>`. */
export function bury(db: Database, message: number, response: ResponseRecord, now: number): string {
  const row = db.get<{ seq: number }>(
    `INSERT INTO dead_letters (message, created_at, response_status, response_header, response_body)
     VALUES (?, ?, ?, ?, ?) RETURNING seq`,
    message,
    now,
    response.status,
    JSON.stringify(response.header),
    response.body,
  );
  return dlqId({ dlq_seq: row?.seq ?? 0, dlq_created_at: now });
}

export function createDeadLetters({ db, publisher }: { db: Database; publisher: Publisher }) {
  function find(id: string): DeadLetterRow {
    const row = db.get<DeadLetterRow>(`${SELECT} WHERE d.seq = ?`, sequenceOf(id) ?? -1);
    if (!row || dlqId(row) !== id) throw new QstashProblem(404, `dlq message ${id} not found`);
    return row;
  }

  /** One page, newest first, so that what fails again meanwhile does not turn up on a later page. */
  function page(filter: Filter): { rows: DeadLetterRow[]; cursor: string | undefined } {
    const rows = db.all<DeadLetterRow>(
      `${SELECT} WHERE d.seq < ? AND ${filter.where} ORDER BY d.seq DESC LIMIT ?`,
      filter.before,
      ...filter.values,
      filter.count + 1,
    );
    const shown = rows.slice(0, filter.count);
    const last = shown.at(-1);
    return { rows: shown, cursor: last && rows.length > shown.length ? dlqId(last) : undefined };
  }

  const remove = (row: DeadLetterRow) => db.run("DELETE FROM dead_letters WHERE seq = ?", row.dlq_seq);

  /** A new message with the old content; what `overrides` gives replaces what it was published with. */
  function retryOne(row: DeadLetterRow, overrides: ConfiguredMessage): Published {
    const options = messageOptions(row);
    // They were about the first delivery.
    for (const name of ["delayMs", "notBefore", "deduplicationId", "contentBasedDeduplication"] as const) {
      delete options[name];
    }
    const header = { ...storedHeader(row) };
    for (const [name, values] of Object.entries(overrides.header)) {
      // The content type of the retry call is not the message's.
      if (name !== "Content-Type") header[name] = values;
    }
    remove(row);
    return publisher.publishTo(
      { url: row.url, topicName: row.topic_name, endpointName: row.endpoint_name },
      {
        destination: row.topic_name ?? row.url,
        options: { ...options, ...overrides.options },
        header,
        body: row.body,
        callerIp: row.caller_ip,
        queueName: row.queue_name,
        scheduleId: row.schedule_id,
      },
    );
  }

  return {
    /** @throws QstashProblem 400 for a bad filter. */
    list(query: URLSearchParams): Record<string, unknown> {
      const { rows, cursor } = page(parseFilter("deadLetters", query));
      return { messages: rows.map((row) => describe(row)), ...(cursor === undefined ? {} : { cursor }) };
    },

    /** @throws QstashProblem 404. */
    get: (id: string) => describe(find(id)),

    /** @throws QstashProblem 404. */
    remove(id: string): void {
      remove(find(id));
    },

    removeMany: (query: URLSearchParams): Record<string, unknown> =>
      db.transaction(() => {
        const { rows, cursor } = page(parseFilter("deadLetters", query));
        for (const row of rows) remove(row);
        return { deleted: rows.length, ...(cursor === undefined ? {} : { cursor }) };
      }),

    /** @throws QstashProblem 404. */
    retry: (id: string, overrides: ConfiguredMessage): Published =>
      db.transaction(() => retryOne(find(id), overrides)),

    /** One page of them. @throws QstashProblem 404 when one of the given ids is unknown; then none is retried. */
    retryMany: (
      query: URLSearchParams,
      overrides: ConfiguredMessage,
    ): { responses: Published[]; cursor: string } =>
      db.transaction(() => {
        for (const id of query.getAll("dlqIds").flatMap((value) => value.split(","))) find(id.trim());
        const { rows, cursor } = page(parseFilter("deadLetters", query));
        return { responses: rows.map((row) => retryOne(row, overrides)), cursor: cursor ?? "" };
      }),
  };
}

function describe(row: DeadLetterRow): Record<string, unknown> {
  const body = Buffer.from(row.response_body);
  return {
    ...describeMessage(row),
    dlqId: dlqId(row),
    ...(row.response_status === null ? {} : { responseStatus: row.response_status }),
    responseHeader: JSON.parse(row.response_header) as HeaderMap,
    ...(body.length === 0
      ? {}
      : isUtf8(body)
        ? { responseBody: body.toString("utf8") }
        : { responseBodyBase64: body.toString("base64") }),
  };
}
