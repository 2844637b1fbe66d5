/**
 * What the three gateways share: an HTTP server on loopback with raw request targets, a body limit, and a
 * control surface under `/_local/` through which tests add delay, inject faults and read the record of calls.
 * @module
 */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** One request as a gateway sees it. `target` is the raw request target: never decoded, `//` never collapsed. */
export type GatewayRequest = {
  method: string;
  target: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
  /** The address of the caller. */
  remoteAddress: string;
  /** Aborted when the client goes away before it was answered. */
  signal: AbortSignal;
};

/** A whole answer, or a `stream` that takes over the response (server-sent events). */
export type GatewayReply = {
  status: number;
  headers?: Record<string, string>;
  body?: string | Buffer;
  stream?: (response: ServerResponse) => void;
  /** What the call record shows beside the path, for example the SQL text or the commands. */
  label?: string;
};

export type GatewayOptions = {
  name: string;
  /** 0 lets the system choose. */
  port: number;
  maxBodyBytes: number;
  handle: (request: GatewayRequest) => Promise<GatewayReply>;
  /** Builds the refusal of an oversized body or of an internal error in the dialect of the service. */
  problem: (status: number, message: string) => GatewayReply;
  /** Extra control routes under `/_local/`, by `METHOD /path`. */
  control?: Record<string, (body: unknown) => unknown>;
};

/** One finished or running call. Times are milliseconds since the epoch with fractions; `endedAt` is null while it runs. */
export type CallRecord = {
  id: number;
  target: string;
  label: string;
  startedAt: number;
  endedAt: number | null;
  status: number | null;
};

/**
 * What goes wrong on purpose. `drop` cuts the connection, `status` answers with `status`, `hang` never answers.
 * `phase: "after"` lets the effect happen first and only spoils the answer. `remaining` is how many calls are hit.
 */
export type Fault = {
  mode: "drop" | "status" | "hang";
  phase: "before" | "after";
  status?: number;
  remaining?: number;
  /** Only calls whose target or label contains this text. A label is known in phase `after` only. */
  match?: string;
};

export type Gateway = { name: string; port: number; url: string; close: () => Promise<void> };

const CALL_RECORD_LIMIT = 50_000;

/**
 * Starts a gateway on 127.0.0.1.
 * @throws when the port is taken (`EADDRINUSE`).
 */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  let delayMs = 0;
  let fault: Fault | null = null;
  let calls: CallRecord[] = [];
  let nextCallId = 1;

  const control: Record<string, (body: unknown) => unknown> = {
    "GET /_local/health": () => ({ status: "ok", name: options.name }),
    "PUT /_local/delay": (body) => {
      delayMs = Number((body as { ms?: unknown }).ms ?? 0);
      return { ms: delayMs };
    },
    "PUT /_local/fault": (body) => {
      fault = (body as { fault: Fault | null }).fault;
      return { fault };
    },
    "GET /_local/calls": () => ({ calls }),
    "DELETE /_local/calls": () => {
      calls = [];
      return {};
    },
    ...options.control,
  };

  function takeFault(phase: Fault["phase"], text: string): Fault | null {
    if (!fault || fault.phase !== phase) return null;
    if (fault.match !== undefined && !text.includes(fault.match)) return null;
    const hit = fault;
    if (hit.remaining !== undefined) {
      hit.remaining -= 1;
      if (hit.remaining <= 0) fault = null;
    }
    return hit;
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const target = request.url ?? "/";
    const body = await readBody(request, options.maxBodyBytes);
    const controlRoute = control[`${request.method} ${target.split("?")[0]}`];
    if (controlRoute) {
      const parsed: unknown = body && body.length > 0 ? JSON.parse(body.toString("utf8")) : {};
      send(response, {
        status: 200,
        headers: { "content-type": "application/json" },
        body: JSON.stringify(await controlRoute(parsed)),
      });
      return;
    }

    const call: CallRecord = {
      id: nextCallId++,
      target,
      label: "",
      startedAt: performance.timeOrigin + performance.now(),
      endedAt: null,
      status: null,
    };
    if (calls.length >= CALL_RECORD_LIMIT) calls.shift();
    calls.push(call);
    const gone = new AbortController();
    response.on("close", () => gone.abort());

    const before = takeFault("before", target);
    if (before && (await spoil(before, response, options))) return;
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));

    let reply: GatewayReply;
    if (body === null) {
      reply = options.problem(413, "request body too large");
    } else {
      try {
        reply = await options.handle({
          method: request.method ?? "GET",
          target,
          headers: request.headers,
          body,
          remoteAddress: request.socket.remoteAddress ?? "",
          signal: gone.signal,
        });
      } catch (error) {
        console.error(`[${options.name}]`, error);
        reply = options.problem(500, error instanceof Error ? error.message : String(error));
      }
    }
    call.label = reply.label ?? "";
    const after = takeFault("after", `${target} ${call.label}`);
    if (after && (await spoil(after, response, options))) return;
    call.endedAt = performance.timeOrigin + performance.now();
    call.status = reply.status;
    send(response, reply);
  }

  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => {
      console.error(`[${options.name}]`, error);
      response.destroy();
    });
  });
  // Longer than any client keeps an idle connection, so that none is closed under a request.
  server.keepAliveTimeout = 75_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    name: options.name,
    port,
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** @returns true when the response has been dealt with. */
async function spoil(fault: Fault, response: ServerResponse, options: GatewayOptions): Promise<boolean> {
  if (fault.mode === "drop") {
    response.destroy();
    return true;
  }
  if (fault.mode === "status") {
    send(response, options.problem(fault.status ?? 500, "injected fault"));
    return true;
  }
  await new Promise<void>((resolve) => response.on("close", () => resolve()));
  return true;
}

function send(response: ServerResponse, reply: GatewayReply): void {
  if (response.destroyed) return;
  response.writeHead(reply.status, reply.headers);
  if (reply.stream) {
    response.flushHeaders();
    reply.stream(response);
    return;
  }
  response.end(reply.body ?? "");
}

/** The whole body, or null when it is longer than `maxBytes` (the rest is read and thrown away, so that the answer arrives). */
async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length <= maxBytes) chunks.push(chunk);
  }
  return length > maxBytes ? null : Buffer.concat(chunks);
}
