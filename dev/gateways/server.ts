/**
 * What the three gateways share: an HTTP server on loopback with raw request targets, a body limit, and a
 * control surface under `/_local/` through which tests add delay, inject faults and read the record of calls.
 * @module
 */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout } from "node:timers/promises";

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
  /** The label of a call before it is handled, so that a fault of phase `before` can match it. */
  describe?: (request: GatewayRequest) => string;
  /** Extra control routes under `/_local/`, by `METHOD /path`. */
  control?: Record<string, (body: unknown) => unknown>;
};

/**
 * One finished or running call. Times are milliseconds since the epoch with fractions; `endedAt` is null while it
 * runs. `status` is null while it runs and when no answer was sent: dropped, hung, or the client had left.
 */
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
 * `phase: "after"` lets the effect happen first and only spoils the answer. `remaining` is how many calls are hit,
 * without it all are.
 */
export type Fault = {
  mode: "drop" | "status" | "hang";
  phase: "before" | "after";
  /** Default 500. */
  status?: number;
  remaining?: number;
  /** Only calls whose target or label contains this text. In phase `before` the label is what `describe` says. */
  match?: string;
};

/** `close` lets running calls finish for 2 s; streams and hung calls are cut at once. */
export type Gateway = { name: string; port: number; url: string; close: () => Promise<void> };

const CALL_RECORD_LIMIT = 50_000;
const CLOSE_GRACE_MS = 2_000;

/**
 * Starts a gateway on 127.0.0.1.
 * @throws when the port is taken (`EADDRINUSE`).
 */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  let delayMs = 0;
  let fault: Fault | null = null;
  let calls: CallRecord[] = [];
  let nextCallId = 1;
  const running = new Set<Promise<void>>();
  const hung = new Set<ServerResponse>();
  const closing = new AbortController();

  const control: Record<string, (body: unknown) => unknown> = {
    "GET /_local/health": () => ({ status: "ok", name: options.name }),
    "PUT /_local/delay": (body) => {
      delayMs = parseDelay(body);
      return { ms: delayMs };
    },
    "PUT /_local/fault": (body) => {
      fault = parseFault(body);
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
    if (body === "gone") {
      response.destroy();
      return;
    }
    const path = target.split("?")[0] ?? "";
    if (path.startsWith("/_local/")) {
      send(response, await answerControl(control[`${request.method} ${path}`], body));
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
    const status = await answer(call, request, response, body);
    call.endedAt = performance.timeOrigin + performance.now();
    call.status = status;
  }

  /** @returns the status that was sent, or null when none was. */
  async function answer(
    call: CallRecord,
    incoming: IncomingMessage,
    response: ServerResponse,
    body: Buffer | "too large",
  ): Promise<number | null> {
    const gone = new AbortController();
    response.on("close", () => {
      if (!response.writableFinished) gone.abort();
    });
    const request: GatewayRequest = {
      method: incoming.method ?? "GET",
      target: call.target,
      headers: incoming.headers,
      body: body === "too large" ? Buffer.alloc(0) : body,
      remoteAddress: incoming.socket.remoteAddress ?? "",
      signal: gone.signal,
    };
    call.label = options.describe?.(request) ?? "";

    const before = takeFault("before", `${call.target} ${call.label}`);
    if (before) return spoil(before, response);
    // A call that is delayed while the gateway closes goes on at once.
    if (delayMs > 0) await setTimeout(delayMs, undefined, { signal: closing.signal }).catch(() => {});

    let reply: GatewayReply;
    try {
      reply =
        body === "too large" ? options.problem(413, "request body too large") : await options.handle(request);
    } catch (error) {
      console.error(`[${options.name}]`, error);
      reply = options.problem(500, error instanceof Error ? error.message : String(error));
    }
    if (reply.label !== undefined && reply.label !== "") call.label = reply.label;

    const after = takeFault("after", `${call.target} ${call.label}`);
    if (after) return spoil(after, response);
    return send(response, reply);
  }

  /** @returns the status that was sent, or null when none was. */
  async function spoil(fault: Fault, response: ServerResponse): Promise<number | null> {
    if (fault.mode === "status")
      return send(response, options.problem(fault.status ?? 500, "injected fault"));
    if (fault.mode === "hang" && !response.destroyed && !closing.signal.aborted) {
      hung.add(response);
      await new Promise<void>((resolve) => response.once("close", resolve));
      hung.delete(response);
    }
    response.destroy();
    return null;
  }

  const server = createServer((request, response) => {
    const call = serve(request, response).catch((error: unknown) => {
      console.error(`[${options.name}]`, error);
      response.destroy();
    });
    running.add(call);
    void call.then(() => running.delete(call));
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
    close: async () => {
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      closing.abort();
      for (const response of hung) response.destroy();
      const patience = new AbortController();
      await Promise.race([
        Promise.all(running),
        setTimeout(CLOSE_GRACE_MS, undefined, { signal: patience.signal }).catch(() => {}),
      ]);
      patience.abort();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Runs a control route; bad input is a 400, an unknown route a 404. */
async function answerControl(
  route: ((body: unknown) => unknown) | undefined,
  body: Buffer | "too large",
): Promise<GatewayReply> {
  if (!route) return jsonReply(404, { error: "no such control route" });
  try {
    if (body === "too large") throw new RangeError("body too large");
    const parsed: unknown = body.length > 0 ? JSON.parse(body.toString("utf8")) : {};
    return jsonReply(200, await route(parsed));
  } catch (error) {
    return jsonReply(400, { error: error instanceof Error ? error.message : String(error) });
  }
}

function jsonReply(status: number, value: unknown): GatewayReply {
  return { status, headers: { "content-type": "application/json" }, body: JSON.stringify(value) };
}

function parseDelay(body: unknown): number {
  const { ms } = body as { ms?: unknown };
  if (typeof ms !== "number" || !(ms >= 0)) throw new RangeError("ms: a number of milliseconds, 0 or more");
  return ms;
}

function parseFault(body: unknown): Fault | null {
  const { fault } = body as { fault?: Fault | null };
  if (fault === null) return null;
  if (typeof fault !== "object") throw new RangeError("fault: an object, or null for none");
  if (!["drop", "status", "hang"].includes(fault.mode))
    throw new RangeError("fault.mode: drop, status or hang");
  if (!["before", "after"].includes(fault.phase)) throw new RangeError("fault.phase: before or after");
  const { remaining, status, match } = fault;
  if (remaining !== undefined && !(Number.isInteger(remaining) && remaining > 0)) {
    throw new RangeError("fault.remaining: a whole number, 1 or more");
  }
  if (status !== undefined && !(Number.isInteger(status) && status >= 200 && status <= 599)) {
    throw new RangeError("fault.status: 200 to 599");
  }
  if (match !== undefined && typeof match !== "string") throw new RangeError("fault.match: a text");
  return fault;
}

/** @returns the status that was sent, or null when the client has left. */
function send(response: ServerResponse, reply: GatewayReply): number | null {
  if (response.destroyed) return null;
  response.writeHead(reply.status, reply.headers);
  if (reply.stream) {
    response.flushHeaders();
    reply.stream(response);
  } else {
    response.end(reply.body ?? "");
  }
  return reply.status;
}

/** The whole body. One that is too large is read to its end and thrown away, so that the answer arrives. */
async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer | "too large" | "gone"> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length <= maxBytes) chunks.push(chunk);
      else chunks.length = 0;
    }
  } catch {
    return "gone";
  }
  return length > maxBytes ? "too large" : Buffer.concat(chunks);
}
