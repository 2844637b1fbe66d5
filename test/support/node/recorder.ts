/**
 * An HTTP server that stands in for whoever receives deliveries: it records every request and answers as told.
 * It is used through HTTP alone, so that tests inside workerd can use it too:
 *
 * - `PUT /_recorder/answers` `{ path, status?, headers?, body?, delayMs?, remaining? }`: how to answer from now on,
 *   `remaining` times, or without it until another is given. Answers for one path are used in the order in which
 *   they were given; without one, or after the last, the answer is 200 and empty.
 * - `PUT /_recorder/release` `{ path }`: sends the answers at once that are waiting for their `delayMs`.
 * - `GET /_recorder/requests?path=/x` gives `{ requests: RecordedRequest[] }` in order of arrival, of all paths
 *   without `path`.
 * - `GET /_recorder/count?path=/x` gives `{ count }`, the cheap way to wait for many.
 * - `DELETE /_recorder/requests?path=/x` forgets the requests and the answers of the path.
 *
 * A path is what precedes the query, as sent.
 * @module
 */
import { EventEmitter } from "node:events";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** `target` is the raw request target, `time` milliseconds since the epoch when the body had arrived. */
export type RecordedRequest = {
  method: string;
  target: string;
  headers: IncomingHttpHeaders;
  body: { base64: string; text: string };
  time: number;
};

/** `status` is 200, `headers` none and `body` empty by default; `delayMs` passes between the request and its answer. */
export type RecorderAnswer = {
  path: string;
  status?: number;
  headers?: Record<string, string>;
  body?: string;
  delayMs?: number;
  remaining?: number;
};

const CONTROL = "/_recorder/";

/** Starts a recorder on a free port of 127.0.0.1. `close` cuts open connections. */
export async function startRecorder(): Promise<{ url: string; close: () => Promise<void> }> {
  const requests = new Map<string, RecordedRequest[]>();
  const answers = new Map<string, RecorderAnswer[]>();
  /** Emits a path whose answers wait no longer. */
  const releases = new EventEmitter().setMaxListeners(0);

  function takeAnswer(path: string): RecorderAnswer {
    const planned = answers.get(path) ?? [];
    const [answer] = planned;
    if (!answer) return { path };
    if (answer.remaining !== undefined) {
      answer.remaining -= 1;
      if (answer.remaining <= 0) planned.shift();
    }
    return answer;
  }

  function control(method: string, url: URL, body: Buffer): unknown {
    const path = url.searchParams.get("path");
    switch (`${method} ${url.pathname}`) {
      case "PUT /_recorder/answers": {
        const answer = JSON.parse(body.toString("utf8")) as RecorderAnswer;
        const planned = (answers.get(answer.path) ?? []).filter(({ remaining }) => remaining !== undefined);
        answers.set(answer.path, [...planned, answer]);
        return {};
      }
      case "PUT /_recorder/release":
        releases.emit((JSON.parse(body.toString("utf8")) as { path: string }).path);
        return {};
      case "GET /_recorder/requests":
        return { requests: path === null ? [...requests.values()].flat() : (requests.get(path) ?? []) };
      case "GET /_recorder/count":
        return { count: (requests.get(path ?? "") ?? []).length };
      case "DELETE /_recorder/requests":
        if (path === null) {
          requests.clear();
          answers.clear();
        } else {
          requests.delete(path);
          answers.delete(path);
        }
        return {};
      default:
        return undefined;
    }
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const method = request.method ?? "GET";
    const target = request.url ?? "/";
    const body = await readBody(request);
    if (target.startsWith(CONTROL)) {
      const result = control(method, new URL(target, "http://recorder"), body);
      response.writeHead(result === undefined ? 404 : 200, { "content-type": "application/json" });
      response.end(JSON.stringify(result ?? { error: "no such control route" }));
      return;
    }
    const path = target.split("?")[0] ?? target;
    const seen = requests.get(path) ?? [];
    seen.push({
      method,
      target,
      headers: request.headers,
      body: { base64: body.toString("base64"), text: body.toString("utf8") },
      time: Date.now(),
    });
    requests.set(path, seen);
    const answer = takeAnswer(path);
    if (answer.delayMs !== undefined) await delay(path, answer.delayMs, response);
    if (response.destroyed) return;
    response.writeHead(answer.status ?? 200, answer.headers);
    response.end(answer.body ?? "");
  }

  /** Ends early when the path is released, and when the client goes away. */
  function delay(path: string, ms: number, response: ServerResponse): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        releases.off(path, end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      releases.once(path, end);
      response.once("close", end);
    });
  }

  const server = createServer((request, response) => {
    serve(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}
