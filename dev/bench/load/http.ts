/**
 * A process that sends requests, each lane the next one when it has the answer to the last.
 * @module
 */
import { Agent, request as httpRequest } from "node:http";
import { percentile } from "../statistics.ts";
import { serveLoad } from "./process.ts";

export type HttpRequest = { method: string; path: string; headers: Record<string, string>; body?: string };

export type HttpTask = {
  origin: string;
  /** Sent in turn. */
  requests: HttpRequest[];
  lanes: number;
  /** Ends after this time, or after so many requests. */
  durationMs: number;
  requestsMax: number;
};

/** Times in milliseconds. */
export type HttpResult = {
  count: number;
  seconds: number;
  p50: number;
  p99: number;
  /** Answers of 400 and above, by status. */
  refused: Record<string, number>;
  /** Bytes of the last body. */
  bytes: number;
};

serveLoad<HttpTask, HttpResult>(async ({ origin, requests, lanes, durationMs, requestsMax }) => {
  const { hostname, port } = new URL(origin);
  const agent = new Agent({ keepAlive: true, maxSockets: lanes });
  const latencies: number[] = [];
  const refused: Record<string, number> = {};
  let bytes = 0;
  let sent = 0;
  const startedAt = performance.now();

  function send({ method, path, headers, body }: HttpRequest): Promise<void> {
    return new Promise((resolve, reject) => {
      const sentAt = performance.now();
      const request = httpRequest(
        {
          hostname,
          port,
          method,
          path,
          agent,
          headers: body === undefined ? headers : { ...headers, "content-length": Buffer.byteLength(body) },
        },
        (response) => {
          let length = 0;
          response.on("data", (chunk: Buffer) => (length += chunk.length));
          response.on("error", reject);
          response.on("end", () => {
            latencies.push(performance.now() - sentAt);
            bytes = length;
            const status = response.statusCode ?? 0;
            if (status >= 400) refused[status] = (refused[status] ?? 0) + 1;
            resolve();
          });
        },
      );
      request.on("error", reject);
      request.end(body);
    });
  }

  async function lane(): Promise<void> {
    while (sent < requestsMax && performance.now() - startedAt < durationMs) {
      const request = requests[sent % requests.length];
      sent += 1;
      if (request) await send(request);
    }
  }

  await Promise.all(Array.from({ length: lanes }, lane));
  const seconds = (performance.now() - startedAt) / 1_000;
  agent.destroy();
  return {
    count: latencies.length,
    seconds,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    refused,
    bytes,
  };
});
