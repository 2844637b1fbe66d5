/**
 * The filters that listing and bulk calls take in their query, as conditions of a statement in which the messages
 * are `m`. Several values of one filter mean OR, several filters AND.
 * @module
 */
import type { Bindable } from "./database.ts";
import { QstashProblem } from "./problem.ts";

export type Filter = {
  /** Conditions joined by AND; `1` when there are none. */
  where: string;
  values: Bindable[];
  /** Page size, 1 to 100; unbounded for a list of ids. */
  count: number;
  /** Where the page before ended: only smaller `seq` follow. */
  before: number;
};

const PAGE_MAX = 100;

const IN_LIST = "IN (SELECT value FROM json_each(?))";

/** Conditions over messages; each takes one JSON list. */
const MESSAGE_FILTERS: Record<string, string> = {
  messageId: `m.id ${IN_LIST}`,
  messageIds: `m.id ${IN_LIST}`,
  url: `m.url ${IN_LIST}`,
  host: `m.host ${IN_LIST}`,
  path: `m.path ${IN_LIST}`,
  topicName: `m.topic_name ${IN_LIST}`,
  queueName: `m.queue_name ${IN_LIST}`,
  scheduleId: `m.schedule_id ${IN_LIST}`,
  callerIp: `m.caller_ip ${IN_LIST}`,
  callerIP: `m.caller_ip ${IN_LIST}`,
  flowControlKey: `m.flow_key ${IN_LIST}`,
  label: `EXISTS (SELECT 1 FROM json_each(m.labels) AS label WHERE label.value ${IN_LIST})`,
};

const COMMON = [
  "url",
  "topicName",
  "queueName",
  "scheduleId",
  "callerIp",
  "callerIP",
  "flowControlKey",
  "label",
];

/** The calls that filter: what they accept besides `fromDate` and `toDate`, and which time those compare with. */
const TARGETS = {
  messages: {
    names: [...COMMON, "messageIds", "host", "path"],
    time: "m.created_at",
    exclusive: "messageIds",
  },
  logs: {
    names: [...COMMON, "messageId", "messageIds", "host", "path", "state"],
    time: "l.time",
    exclusive: undefined,
  },
  deadLetters: {
    names: [...COMMON, "messageId", "responseStatus", "dlqIds"],
    time: "d.created_at",
    exclusive: "dlqIds",
  },
} as const satisfies Record<string, { names: string[]; time: string; exclusive: string | undefined }>;

/**
 * Reads a query. When ids are given for a bulk call, they alone count.
 * @throws QstashProblem 400 for a filter this call does not have, or a value it cannot have.
 */
export function parseFilter(target: keyof typeof TARGETS, query: URLSearchParams): Filter {
  const { names, time, exclusive } = TARGETS[target];
  const filter: Filter = { where: "1", values: [], count: PAGE_MAX, before: Number.MAX_SAFE_INTEGER };
  const conditions: string[] = [];
  for (const name of new Set(query.keys())) {
    if (name === "count") {
      filter.count = Math.min(PAGE_MAX, wholeNumber(name, query.get(name)));
      if (filter.count < 1) throw new QstashProblem(400, "invalid count: 0");
    } else if (name === "cursor" && target !== "messages") {
      filter.before = sequenceOf(query.get(name) ?? "") ?? fail(name, query.get(name));
    } else if (name === "fromDate" || name === "toDate") {
      conditions.push(`${time} ${name === "fromDate" ? ">=" : "<="} ?`);
      filter.values.push(wholeNumber(name, query.get(name)));
    } else if ((names as readonly string[]).includes(name)) {
      if (exclusive !== undefined && name !== exclusive && query.has(exclusive)) continue;
      const { condition, list } = listCondition(name, listValues(query, name));
      conditions.push(condition);
      filter.values.push(JSON.stringify(list));
    } else {
      throw new QstashProblem(400, `unknown filter: ${name}`);
    }
  }
  if (conditions.length > 0) filter.where = conditions.join(" AND ");
  // A list of ids is answered whole: there is nothing to page through.
  if (exclusive !== undefined && query.has(exclusive)) filter.count = Number.MAX_SAFE_INTEGER - 1;
  return filter;
}

/** What comes after the dash of a cursor or a DLQ id (`<ms>-<n>`). */
export function sequenceOf(id: string): number | undefined {
  const digits = /^\d+-(\d{1,15})$/.exec(id)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

function listCondition(name: string, values: string[]): { condition: string; list: (string | number)[] } {
  switch (name) {
    case "dlqIds":
      return { condition: `(d.created_at || '-' || d.seq) ${IN_LIST}`, list: values };
    case "responseStatus":
      return {
        condition: `d.response_status ${IN_LIST}`,
        list: values.map((value) => wholeNumber(name, value)),
      };
    case "state":
      return { condition: `l.state ${IN_LIST}`, list: values.flatMap((value) => logStates(value)) };
    default:
      return { condition: MESSAGE_FILTERS[name] ?? "0", list: values };
  }
}

const LOG_STATES = [
  "CREATED",
  "ACTIVE",
  "DELIVERED",
  "ERROR",
  "RETRY",
  "FAILED",
  "CANCEL_REQUESTED",
  "CANCELLED",
];

function logStates(value: string): string[] {
  if (value === "IN_PROGRESS") return ["ACTIVE", "RETRY", "ERROR"];
  // The SDK's type has one L.
  if (value === "CANCELED") return ["CANCELLED"];
  return LOG_STATES.includes(value) ? [value] : fail("state", value);
}

/** Repeated and comma-separated values. The whole text counts as well, because a URL may contain commas. */
function listValues(query: URLSearchParams, name: string): string[] {
  return query.getAll(name).flatMap((value) => {
    const parts = value.split(",").map((part) => part.trim());
    return name === "url" && parts.length > 1 ? [value, ...parts] : parts;
  });
}

function wholeNumber(name: string, text: string | null): number {
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : fail(name, text);
}

function fail(name: string, value: string | null): never {
  throw new QstashProblem(400, `invalid ${name}: ${value ?? ""}`);
}
