/** The HTTP server under the three gateways: large bodies, clients that leave, its control surface, closing. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { describe, it, onTestFinished, vi } from "vitest";
import {
  startGateway,
  type CallRecord,
  type Gateway,
  type GatewayOptions,
  type GatewayReply,
} from "../../dev/gateways/server.ts";
import { waitFor } from "../support/patience.ts";

/** A gateway that echoes, unless told otherwise. */
async function start(options: Partial<GatewayOptions> = {}): Promise<Gateway> {
  const gateway = await startGateway({
    name: "test",
    port: 0,
    maxBodyBytes: 1_000,
    handle: async ({ body }) => ({ status: 200, body, label: `echo ${body.length}` }),
    problem: (status, message) => ({ status, body: `problem: ${message}` }),
    ...options,
  });
  onTestFinished(gateway.close);
  return gateway;
}

async function callsOf({ url }: Gateway): Promise<CallRecord[]> {
  const response = await fetch(`${url}/_local/calls`);
  return ((await response.json()) as { calls: CallRecord[] }).calls;
}

async function put(gateway: Gateway, route: string, body: string): Promise<Response> {
  return fetch(`${gateway.url}/_local/${route}`, { method: "PUT", body });
}

/** A socket that has sent `head` as it is. */
async function rawRequest(gateway: Gateway, head: string): Promise<Socket> {
  const socket = connect(gateway.port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => {});
  await once(socket, "connect");
  socket.write(head);
  return socket;
}

describe("requests", () => {
  it("a target arrives as it was sent, neither decoded nor collapsed", async ({ expect }) => {
    const gateway = await start({ handle: async ({ target }) => ({ status: 200, body: target }) });
    const socket = await rawRequest(gateway, "GET /a//b%2F/../c?x=%20&https://y HTTP/1.0\r\n\r\n");
    const chunks: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    await once(socket, "close");
    expect(Buffer.concat(chunks).toString()).toMatch(/\r\n\r\n\/a\/\/b%2F\/\.\.\/c\?x=%20&https:\/\/y$/);
  });

  it.for([1_000, 1_001, 20_000_000])("a body of %d bytes is answered", async (length, { expect }) => {
    const gateway = await start();
    const response = await fetch(gateway.url, { method: "POST", body: new Uint8Array(length) });
    const allowed = length <= 1_000;
    expect(response.status).toBe(allowed ? 200 : 413);
    if (!allowed) expect(await response.text()).toBe("problem: request body too large");
    expect(await callsOf(gateway)).toMatchObject([{ status: response.status, endedAt: expect.any(Number) }]);
  });

  it("a handler that throws is a 500 in the service's dialect", async ({ expect }) => {
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    onTestFinished(() => log.mockRestore());
    const gateway = await start({ handle: () => Promise.reject(new Error("broken")) });
    const response = await fetch(gateway.url);
    expect([response.status, await response.text()]).toEqual([500, "problem: broken"]);
    expect(log).toHaveBeenCalledOnce();
  });

  it("a taken port is refused", async ({ expect }) => {
    const { port } = await start();
    await expect(start({ port })).rejects.toMatchObject({ code: "EADDRINUSE" });
  });
});

describe("clients that leave", () => {
  it("in the middle of their body leave nothing behind", async ({ expect }) => {
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    onTestFinished(() => log.mockRestore());
    const handle = vi.fn<GatewayOptions["handle"]>(async () => ({ status: 200 }));
    const gateway = await start({ handle });
    const socket = await rawRequest(gateway, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\npart");
    socket.destroy();
    await once(socket, "close");
    expect((await fetch(gateway.url)).status).toBe(200);
    expect(handle).toHaveBeenCalledOnce();
    expect(await callsOf(gateway)).toHaveLength(1);
    expect(log).not.toHaveBeenCalled();
  });

  it("before the answer abort the signal; the call is recorded without a status", async ({ expect }) => {
    const answer = Promise.withResolvers<GatewayReply>();
    const aborted = Promise.withResolvers<void>();
    const gateway = await start({
      handle: ({ signal }) => {
        signal.addEventListener("abort", () => aborted.resolve());
        return answer.promise;
      },
    });
    const socket = await rawRequest(gateway, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await waitFor(async () => expect(await callsOf(gateway)).toHaveLength(1));
    socket.destroy();
    await aborted.promise;
    expect(await callsOf(gateway)).toMatchObject([{ endedAt: null, status: null }]);
    answer.resolve({ status: 200, body: "too late" });
    await waitFor(async () =>
      expect(await callsOf(gateway)).toMatchObject([{ endedAt: expect.any(Number), status: null }]),
    );
  });

  it("after the answer abort nothing", async ({ expect }) => {
    const signals: AbortSignal[] = [];
    const gateway = await start({
      handle: async ({ signal }) => {
        signals.push(signal);
        return { status: 200, headers: { connection: "close" } };
      },
    });
    await (await fetch(gateway.url)).text();
    await waitFor(async () => expect(await callsOf(gateway)).toMatchObject([{ status: 200 }]));
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
  });

  it.for(["before", "after"] as const)(
    "a call hung %s its effect ends when its client leaves",
    async (phase, { expect }) => {
      const gateway = await start();
      await put(gateway, "fault", JSON.stringify({ fault: { mode: "hang", phase } }));
      const socket = await rawRequest(gateway, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      await waitFor(async () => expect(await callsOf(gateway)).toMatchObject([{ endedAt: null }]));
      socket.destroy();
      await waitFor(async () =>
        expect(await callsOf(gateway)).toMatchObject([{ endedAt: expect.any(Number), status: null }]),
      );
    },
  );

  it("a call that would hang ends at once when its client has left already", async ({ expect }) => {
    const answer = Promise.withResolvers<GatewayReply>();
    const aborted = Promise.withResolvers<void>();
    const gateway = await start({
      handle: ({ signal }) => {
        signal.addEventListener("abort", () => aborted.resolve());
        return answer.promise;
      },
    });
    await put(gateway, "fault", JSON.stringify({ fault: { mode: "hang", phase: "after" } }));
    const socket = await rawRequest(gateway, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await waitFor(async () => expect(await callsOf(gateway)).toHaveLength(1));
    socket.destroy();
    await aborted.promise;
    answer.resolve({ status: 200 });
    await waitFor(async () =>
      expect(await callsOf(gateway)).toMatchObject([{ endedAt: expect.any(Number) }]),
    );
  });
});

describe("the control surface", () => {
  it("says that the gateway is there", async ({ expect }) => {
    const gateway = await start();
    const response = await fetch(`${gateway.url}/_local/health`);
    expect(await response.json()).toEqual({ status: "ok", name: "test" });
  });

  it.for([
    ["delay", "{"],
    ["delay", "{}"],
    ["delay", '{"ms":-1}'],
    ["delay", '{"ms":"1"}'],
    ["fault", "{}"],
    ["fault", '{"fault":{"mode":"explode","phase":"before"}}'],
    ["fault", '{"fault":{"mode":"drop","phase":"during"}}'],
    ["fault", '{"fault":{"mode":"drop","phase":"before","remaining":0}}'],
    ["fault", '{"fault":{"mode":"status","phase":"before","status":1000}}'],
    ["fault", '{"fault":{"mode":"drop","phase":"before","match":1}}'],
    ["fault", JSON.stringify({ fault: { mode: "drop", phase: "before", match: "x".repeat(2_000) } })],
  ] as const)("refuses %s %s and changes nothing", async ([route, body], { expect }) => {
    const gateway = await start();
    const refusal = await put(gateway, route, body);
    expect(refusal.status).toBe(400);
    expect(await refusal.json()).toEqual({ error: expect.any(String) });
    expect((await fetch(gateway.url)).status).toBe(200);
  });

  it("answers 404 to what it does not know", async ({ expect }) => {
    const gateway = await start();
    expect((await fetch(`${gateway.url}/_local/nothing`)).status).toBe(404);
    expect((await fetch(`${gateway.url}/_local/delay`, { method: "DELETE" })).status).toBe(404);
    expect(await callsOf(gateway)).toEqual([]);
  });

  it("matches a fault before the effect by what the gateway says of the request", async ({ expect }) => {
    const gateway = await start({ describe: ({ body }) => body.toString() });
    await put(
      gateway,
      "fault",
      JSON.stringify({ fault: { mode: "status", phase: "before", status: 418, match: "tea" } }),
    );
    const statuses = ["coffee", "tea", "green tea"].map(async (body) => {
      const response = await fetch(gateway.url, { method: "POST", body });
      return response.status;
    });
    expect(await Promise.all(statuses)).toEqual([200, 418, 418]);
  });
});

describe("closing", () => {
  it("waits for a call that is being handled", async ({ expect }) => {
    const answer = Promise.withResolvers<GatewayReply>();
    const gateway = await start({ handle: () => answer.promise });
    const response = fetch(gateway.url);
    await waitFor(async () => expect(await callsOf(gateway)).toHaveLength(1));
    const closed = gateway.close();
    answer.resolve({ status: 200, body: "last" });
    expect(await (await response).text()).toBe("last");
    await closed;
    await expect(fetch(gateway.url)).rejects.toThrow();
  });

  it("cuts streams and calls that hang, and does not wait for a delay", async ({ expect }) => {
    const handle = vi.fn<GatewayOptions["handle"]>(async () => ({
      status: 200,
      stream: (response) => void response.write("first"),
    }));
    const gateway = await start({ handle });
    const stream = await fetch(gateway.url);
    const body = stream.text();
    await put(gateway, "fault", JSON.stringify({ fault: { mode: "hang", phase: "before", remaining: 1 } }));
    const hung = fetch(gateway.url);
    await waitFor(async () => expect(await callsOf(gateway)).toHaveLength(2));
    await put(gateway, "delay", JSON.stringify({ ms: 600_000 }));
    const delayed = fetch(gateway.url).then((response) => response.text());
    await waitFor(async () => expect(await callsOf(gateway)).toHaveLength(3));
    const [fate] = await Promise.all([Promise.allSettled([body, hung, delayed]), gateway.close()]);
    expect(fate.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    expect(handle).toHaveBeenCalledTimes(2);
  });
});
