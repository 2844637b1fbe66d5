/**
 * The API over kept connections: cheaper than `fetch`, because the load shares the machine with what it is put on.
 * @module
 */
import { Agent, request as httpRequest } from "node:http";

export type Reply = {
  status: number;
  text: string;
  /** Of `Retry-After`; 0 without one. */
  retryAfterSeconds: number;
};

export type Call = { method: string; path: string; token?: string | undefined; json?: unknown };

export type Api = {
  /** Sends a request; statuses are the caller's to judge. @throws when the connection fails or nothing comes for 60 s */
  send: (call: Call) => Promise<Reply>;
  /** Sends a request that has to work. @throws when it does not */
  call: <Body>(call: Call) => Promise<Body>;
  close: () => void;
};

const ANSWER_WITHIN_MS = 60_000;

/** @param url of the Worker @param connections most requests at once */
export function createApi(url: string, connections: number): Api {
  const { hostname, port } = new URL(url);
  const agent = new Agent({ keepAlive: true, maxSockets: connections });

  function send({ method, path, token, json }: Call): Promise<Reply> {
    const body = json === undefined ? undefined : JSON.stringify(json);
    const headers = {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined
        ? {}
        : { "content-type": "application/json", "content-length": Buffer.byteLength(body) }),
    };
    return new Promise((resolve, reject) => {
      const request = httpRequest(
        { hostname, port, agent, method, path: `/api${path}`, headers, timeout: ANSWER_WITHIN_MS },
        (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("error", reject);
          response.on("end", () =>
            resolve({
              status: response.statusCode ?? 0,
              text: Buffer.concat(chunks).toString(),
              retryAfterSeconds: Number(response.headers["retry-after"] ?? 0),
            }),
          );
        },
      );
      request.on("timeout", () => request.destroy(new Error("no answer")));
      request.on("error", reject);
      request.end(body);
    });
  }

  return {
    send,
    async call<Body>(call: Call): Promise<Body> {
      const { status, text } = await send(call);
      if (status >= 400) throw new Error(`${call.method} ${call.path}: ${status} ${text}`);
      return (text === "" ? undefined : JSON.parse(text)) as Body;
    },
    close: () => agent.destroy(),
  };
}
