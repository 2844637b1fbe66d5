/**
 * QStash's API: which call is answered by what.
 * @module
 */
import type { GatewayReply, GatewayRequest } from "../server.ts";
import type { createMessages } from "./cancellation.ts";
import type { Database } from "./database.ts";
import type { createDeadLetters } from "./dead-letters.ts";
import type { createFlowControl } from "./flow-control.ts";
import { callHeaders, type CallHeaders } from "./headers.ts";
import { listLogs } from "./logs.ts";
import { parseMessage } from "./options.ts";
import { jsonReply, problemReply, QstashProblem } from "./problem.ts";
import type { Published, Publisher } from "./publisher.ts";
import type { createQueues } from "./queues.ts";
import type { Schedules } from "./schedules.ts";
import type { SigningKeys } from "./signing.ts";
import type { createUrlGroups } from "./url-groups.ts";

type Services = {
  db: Database;
  token: string;
  keys: SigningKeys;
  publisher: Publisher;
  messages: ReturnType<typeof createMessages>;
  queues: ReturnType<typeof createQueues>;
  urlGroups: ReturnType<typeof createUrlGroups>;
  schedules: Schedules;
  deadLetters: ReturnType<typeof createDeadLetters>;
  flowControl: ReturnType<typeof createFlowControl>;
};

/** One call: `parts` are the groups of the pattern, `query` what follows the path. */
type Call = {
  parts: [string, string];
  query: URLSearchParams;
  headers: CallHeaders;
  body: Buffer;
  callerIp: string;
};

type Route = [method: string, pattern: RegExp, answer: (call: Call) => GatewayReply];

const ok = (value?: unknown): GatewayReply => (value === undefined ? { status: 200 } : jsonReply(200, value));

/** Answers every call; what it throws is the gateway's own fault. */
export function createRouter(services: Services): (request: GatewayRequest) => GatewayReply {
  const rawRoutes = destinationRoutes(services);
  const routes = [...resourceRoutes(services), ...deliveryRoutes(services)];

  function route(request: GatewayRequest): GatewayReply {
    const target = authorize(request, services.token);
    const [path, search] = splitAt(target, "?");
    const base = {
      headers: callHeaders(request.headers),
      body: request.body,
      callerIp: request.remoteAddress,
    };
    // A destination is taken as it stands; everything else is decoded.
    const raw = match(rawRoutes, request.method, target);
    if (raw) return raw.answer({ ...base, parts: raw.parts, query: new URLSearchParams() });
    const found = match(routes, request.method, path);
    if (found) {
      const [first, second] = found.parts;
      return found.answer({
        ...base,
        parts: [decode(first), decode(second)],
        query: new URLSearchParams(search),
      });
    }
    const known = [...rawRoutes, ...routes].some(([, pattern]) => pattern.test(path));
    throw known ? new QstashProblem(405, "method not allowed") : new QstashProblem(404, "not found");
  }

  return (request) => {
    try {
      return route(request);
    } catch (error) {
      if (error instanceof QstashProblem) return problemReply(error.status, error.message);
      throw error;
    }
  };
}

/** Those whose path ends in a destination, which may have a path and a query of its own. */
function destinationRoutes({ publisher, schedules }: Services): Route[] {
  const createSchedule = (destination: string, call: Call) =>
    ok(schedules.create(destination, call.headers, call.body, call.callerIp));

  const publish = (destination: string, queueName: string | null, call: Call): GatewayReply => {
    if (call.headers["upstash-cron"] !== undefined) {
      const headers =
        queueName === null ? call.headers : { ...call.headers, "upstash-queue-name": queueName };
      return createSchedule(destination, { ...call, headers });
    }
    const message = parseMessage(call.headers);
    const published = publisher.publish({
      destination,
      ...message,
      body: call.body,
      callerIp: call.callerIp,
      queueName,
    });
    return jsonReply(isDuplicate(published) ? 202 : 200, published);
  };

  return [
    ["POST", /^\/v2\/publish\/(.+)$/, (call) => publish(call.parts[0], null, call)],
    [
      "POST",
      /^\/v2\/enqueue\/([^/?]+)\/(.+)$/,
      (call) => publish(call.parts[1], decode(call.parts[0]), call),
    ],
    [
      "POST",
      /^\/v2\/schedules\/(?![\w.%-]+\/(?:pause|resume)$)(.+)$/,
      (call) => createSchedule(call.parts[0], call),
    ],
  ];
}

/** Messages on their way, and what became of them. */
function deliveryRoutes({ db, publisher, messages, deadLetters }: Services): Route[] {
  return [
    ["POST", /^\/v2\/batch$/, (call) => ok(publisher.publishBatch(parseJson(call.body), call.callerIp))],
    ["GET", /^\/v2\/messages\/([^/]+)$/, (call) => ok(messages.get(call.parts[0]))],
    ["DELETE", /^\/v2\/messages\/([^/]+)$/, (call) => jsonReply(202, messages.cancel(call.parts[0]))],
    ["DELETE", /^\/v2\/messages$/, (call) => jsonReply(202, messages.cancelMany(call.query))],

    ["GET", /^\/v2\/dlq$/, (call) => ok(deadLetters.list(call.query))],
    ["DELETE", /^\/v2\/dlq$/, (call) => ok(deadLetters.removeMany(call.query))],
    [
      "POST",
      /^\/v2\/dlq\/retry$/,
      (call) => jsonReply(201, deadLetters.retryMany(call.query, parseMessage(call.headers))),
    ],
    [
      "POST",
      /^\/v2\/dlq\/retry\/([^/]+)$/,
      (call) => jsonReply(201, deadLetters.retry(call.parts[0], parseMessage(call.headers))),
    ],
    ["GET", /^\/v2\/dlq\/([^/]+)$/, (call) => ok(deadLetters.get(call.parts[0]))],
    ["DELETE", /^\/v2\/dlq\/([^/]+)$/, (call) => ok(deadLetters.remove(call.parts[0]))],

    [
      "GET",
      /^\/v2\/logs$/,
      (call) => {
        const { entries, ...rest } = listLogs(db, call.query);
        return ok({ logs: entries, ...rest });
      },
    ],
    [
      "GET",
      /^\/v2\/events$/,
      (call) => {
        const { entries, ...rest } = listLogs(db, call.query);
        return ok({ events: entries, ...rest });
      },
    ],
  ];
}

function resourceRoutes({ keys, queues, urlGroups, schedules, flowControl }: Services): Route[] {
  return [
    ["GET", /^\/v2\/queues$/, () => ok(queues.list())],
    ["POST", /^\/v2\/queues$/, (call) => ok(queues.upsert(parseJson(call.body)))],
    ["GET", /^\/v2\/queues\/([^/]+)$/, (call) => ok(queues.get(call.parts[0]))],
    ["DELETE", /^\/v2\/queues\/([^/]+)$/, (call) => ok(queues.remove(call.parts[0]))],
    ["POST", /^\/v2\/queues\/([^/]+)\/pause$/, (call) => ok(queues.pause(call.parts[0]))],
    ["POST", /^\/v2\/queues\/([^/]+)\/resume$/, (call) => ok(queues.resume(call.parts[0]))],

    ["GET", /^\/v2\/topics$/, () => ok(urlGroups.list())],
    ["GET", /^\/v2\/topics\/([^/]+)$/, (call) => ok(urlGroups.get(call.parts[0]))],
    ["DELETE", /^\/v2\/topics\/([^/]+)$/, (call) => ok(urlGroups.remove(call.parts[0]))],
    [
      "POST",
      /^\/v2\/topics\/([^/]+)\/endpoints$/,
      (call) => ok(urlGroups.addEndpoints(call.parts[0], parseJson(call.body))),
    ],
    [
      "DELETE",
      /^\/v2\/topics\/([^/]+)\/endpoints$/,
      (call) => ok(urlGroups.removeEndpoints(call.parts[0], parseJson(call.body))),
    ],

    ["GET", /^\/v2\/schedules$/, () => ok(schedules.list())],
    ["GET", /^\/v2\/schedules\/([^/]+)$/, (call) => ok(schedules.get(call.parts[0]))],
    ["DELETE", /^\/v2\/schedules\/([^/]+)$/, (call) => ok(schedules.remove(call.parts[0]))],
    // The SDK uses PATCH, the API description POST.
    ["PATCH", /^\/v2\/schedules\/([^/]+)\/pause$/, (call) => ok(schedules.pause(call.parts[0]))],
    ["PATCH", /^\/v2\/schedules\/([^/]+)\/resume$/, (call) => ok(schedules.resume(call.parts[0]))],
    ["POST", /^\/v2\/schedules\/([^/]+)\/pause$/, (call) => ok(schedules.pause(call.parts[0]))],
    ["POST", /^\/v2\/schedules\/([^/]+)\/resume$/, (call) => ok(schedules.resume(call.parts[0]))],

    ["GET", /^\/v2\/flowControl$/, () => ok(flowControl.list())],
    ["GET", /^\/v2\/flowControl\/([^/]+)$/, (call) => ok(flowControl.get(call.parts[0]))],
    ["POST", /^\/v2\/flowControl\/([^/]+)\/pause$/, (call) => ok(flowControl.pause(call.parts[0]))],
    ["POST", /^\/v2\/flowControl\/([^/]+)\/resume$/, (call) => ok(flowControl.resume(call.parts[0]))],
    ["POST", /^\/v2\/flowControl\/([^/]+)\/pin$/, (call) => ok(flowControl.pin(call.parts[0], call.query))],
    [
      "POST",
      /^\/v2\/flowControl\/([^/]+)\/unpin$/,
      (call) => ok(flowControl.unpin(call.parts[0], call.query)),
    ],
    ["POST", /^\/v2\/flowControl\/([^/]+)\/resetRate$/, (call) => ok(flowControl.resetRate(call.parts[0]))],
    ["GET", /^\/v2\/globalParallelism$/, () => ok(flowControl.globalParallelism())],

    ["GET", /^\/v2\/keys$/, () => ok(keys.read())],
    ["POST", /^\/v2\/keys\/rotate$/, () => ok(keys.rotate())],
  ];
}

/**
 * Checks the token, in the header or as `qstash_token` in the query.
 * @returns the request target without the token.
 * @throws QstashProblem 401.
 */
function authorize(request: GatewayRequest, token: string): string {
  if (request.headers.authorization !== undefined) {
    if (request.headers.authorization === `Bearer ${token}`) return request.target;
    throw new QstashProblem(401, "unauthorized");
  }
  const inQuery = /([?&])qstash_token=([^&]*)(&?)/.exec(request.target);
  if (!inQuery || decode(inQuery[2] ?? "") !== token) throw new QstashProblem(401, "unauthorized");
  const [whole, separator = "", , more] = inQuery;
  return request.target.replace(whole, more === "" ? "" : separator);
}

function match(
  routes: Route[],
  method: string,
  path: string,
): { answer: Route[2]; parts: [string, string] } | undefined {
  for (const [routeMethod, pattern, answer] of routes) {
    const groups = routeMethod === method ? pattern.exec(path) : null;
    if (groups) return { answer, parts: [groups[1] ?? "", groups[2] ?? ""] };
  }
  return undefined;
}

function splitAt(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new QstashProblem(400, `invalid path: ${text}`);
  }
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    throw new QstashProblem(400, "the body is not valid JSON");
  }
}

function isDuplicate(published: Published | Published[]): boolean {
  const all = Array.isArray(published) ? published : [published];
  return all.every((one) => one.deduplicated === true);
}
