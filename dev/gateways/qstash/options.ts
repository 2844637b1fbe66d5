/**
 * The `Upstash-*` headers that configure a message.
 * @module
 */
import { DAY_MS, parseDurationMs } from "./durations.ts";
import { compileRetryDelay } from "./expression.ts";
import { forwardedHeaders, type CallHeaders, type HeaderMap } from "./headers.ts";
import { QstashProblem } from "./problem.ts";

export type FlowControl = {
  key: string;
  /** Deliveries in flight at once; 0 is unlimited. */
  parallelism: number;
  /** Deliveries started per period; 0 is unlimited. */
  rate: number;
  periodSeconds: number;
};

/** Which parts are shown as `REDACTED:<sha256>`. `header` is true for all, or canonical names. */
export type Redaction = { body: boolean; header: boolean | string[] };

/** What a message was published with. An absent field was not given. */
export type MessageOptions = {
  method?: string;
  delayMs?: number;
  /** Milliseconds since the epoch; wins over `delayMs`. */
  notBefore?: number;
  retries?: number;
  retryDelay?: string;
  timeoutMs?: number;
  deduplicationId?: string;
  contentBasedDeduplication?: boolean;
  callback?: string;
  /** Options and headers of the callback itself (`Upstash-Callback-*`). */
  callbackOptions?: ConfiguredMessage;
  failureCallback?: string;
  failureCallbackOptions?: ConfiguredMessage;
  labels?: string[];
  flowControl?: FlowControl;
  redaction?: Redaction;
};

export type ConfiguredMessage = { options: MessageOptions; header: HeaderMap };

/** Ten years. Beyond it is a mistake, and far beyond it no integer of the database. */
const DURATION_MAX_MS = 3650 * DAY_MS;

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/**
 * Reads options and forwarded headers.
 * @throws QstashProblem 400 naming the header.
 */
export function parseMessage(headers: CallHeaders): ConfiguredMessage {
  const options = parseOwnOptions(headers);
  const callback = endpoint(headers, "upstash-callback");
  if (callback !== undefined) {
    options.callback = callback;
    options.callbackOptions = parseCallback(headers, "upstash-callback-");
  }
  const failureCallback = endpoint(headers, "upstash-failure-callback");
  if (failureCallback !== undefined) {
    options.failureCallback = failureCallback;
    options.failureCallbackOptions = parseCallback(headers, "upstash-failure-callback-");
  }
  return { options, header: forwardedHeaders(headers) };
}

/** `Upstash-Callback-Retries` configures the callback as `Upstash-Retries` does a message. */
function parseCallback(headers: CallHeaders, prefix: string): ConfiguredMessage {
  const own: CallHeaders = {};
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith(prefix)) own[`upstash-${name.slice(prefix.length)}`] = value;
  }
  return { options: parseOwnOptions(own), header: forwardedHeaders(own) };
}

function parseOwnOptions(headers: CallHeaders): MessageOptions {
  const options: MessageOptions = {};
  const method = headers["upstash-method"]?.trim().toUpperCase();
  if (method !== undefined) {
    if (!METHODS.includes(method)) throw invalid("upstash-method", method);
    options.method = method;
  }
  const delay = duration(headers, "upstash-delay");
  if (delay !== undefined) options.delayMs = delay;
  const notBefore = integer(headers, "upstash-not-before");
  if (notBefore !== undefined) options.notBefore = notBefore * 1000;
  const retries = integer(headers, "upstash-retries");
  if (retries !== undefined) options.retries = retries;
  const retryDelay = headers["upstash-retry-delay"];
  if (retryDelay !== undefined) {
    try {
      compileRetryDelay(retryDelay);
    } catch (error) {
      throw new QstashProblem(
        400,
        `invalid upstash-retry-delay: ${error instanceof Error ? error.message : ""}`,
      );
    }
    options.retryDelay = retryDelay;
  }
  const timeout = duration(headers, "upstash-timeout");
  if (timeout !== undefined) {
    if (timeout <= 0) throw invalid("upstash-timeout", headers["upstash-timeout"]);
    options.timeoutMs = timeout;
  }
  const deduplicationId = headers["upstash-deduplication-id"];
  if (deduplicationId) options.deduplicationId = deduplicationId;
  if (headers["upstash-content-based-deduplication"]?.trim().toLowerCase() === "true") {
    options.contentBasedDeduplication = true;
  }
  const labels = commaList(headers["upstash-label"]);
  if (labels.length > 0) options.labels = labels;
  const flowControl = parseFlowControl(headers);
  if (flowControl) options.flowControl = flowControl;
  const redaction = parseRedaction(headers["upstash-redact-fields"]);
  if (redaction) options.redaction = redaction;
  return options;
}

function parseFlowControl(headers: CallHeaders): FlowControl | undefined {
  const key = headers["upstash-flow-control-key"];
  const value = headers["upstash-flow-control-value"];
  if (key === undefined && value === undefined) return undefined;
  if (!key || !value) {
    throw new QstashProblem(400, "upstash-flow-control-key and upstash-flow-control-value go together");
  }
  const result: FlowControl = { key, parallelism: 0, rate: 0, periodSeconds: 1 };
  for (const part of commaList(value)) {
    const [name = "", amount = ""] = part.split("=").map((piece) => piece.trim());
    const number = Number(amount);
    const whole = /^\d{1,9}$/.test(amount) && number > 0;
    switch (name.toLowerCase()) {
      case "parallelism":
        if (!whole) throw invalid("upstash-flow-control-value", value);
        result.parallelism = number;
        break;
      case "rate":
      case "ratepersecond":
        if (!whole) throw invalid("upstash-flow-control-value", value);
        result.rate = number;
        break;
      case "period": {
        const seconds = whole ? number : (parseDurationMs(amount) ?? 0) / 1000;
        if (seconds <= 0) throw invalid("upstash-flow-control-value", value);
        result.periodSeconds = seconds;
        break;
      }
      default:
        throw invalid("upstash-flow-control-value", value);
    }
  }
  if (result.parallelism === 0 && result.rate === 0) throw invalid("upstash-flow-control-value", value);
  return result;
}

function parseRedaction(value: string | undefined): Redaction | undefined {
  if (value === undefined) return undefined;
  let body = false;
  let all = false;
  const names: string[] = [];
  for (const part of commaList(value)) {
    const named = /^headers?\[([^\]]+)\]$/i.exec(part)?.[1];
    if (part.toLowerCase() === "body") body = true;
    else if (/^headers?$/i.test(part)) all = true;
    else if (named !== undefined) names.push(named.trim().toLowerCase());
    else throw invalid("upstash-redact-fields", value);
  }
  return { body, header: all || (names.length > 0 ? names : false) };
}

/** An `http(s)` URL in a header, untouched. */
function endpoint(headers: CallHeaders, name: string): string | undefined {
  const value = headers[name]?.trim();
  if (!value) return undefined;
  if (!isDestinationUrl(value))
    throw new QstashProblem(400, `invalid ${name}: it must start with http:// or https://`);
  return value;
}

/** Whether a message can be delivered to this address. */
export function isDestinationUrl(text: string): boolean {
  return /^https?:\/\//i.test(text) && URL.canParse(text);
}

function duration(headers: CallHeaders, name: string): number | undefined {
  const text = headers[name];
  if (text === undefined) return undefined;
  const value = parseDurationMs(text);
  if (value === undefined || value > DURATION_MAX_MS) throw invalid(name, text);
  return value;
}

function integer(headers: CallHeaders, name: string): number | undefined {
  const text = headers[name]?.trim();
  if (text === undefined) return undefined;
  if (!/^\d{1,12}$/.test(text)) throw invalid(name, text);
  return Number(text);
}

function commaList(value: string | undefined): string[] {
  return (value ?? "")
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

function invalid(name: string, value: string | undefined): QstashProblem {
  return new QstashProblem(400, `invalid ${name}: ${value ?? ""}`);
}
