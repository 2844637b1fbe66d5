/** What needs Node: a gateway of one's own, outages of Redis, and the process that runs it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { createClient } from "@redis/client";
import { afterAll, describe, inject, it, onTestFinished } from "vitest";
import { startUpstashGateway, type UpstashGatewayOptions } from "../../dev/gateways/upstash/gateway.ts";
import { waitUntil } from "../support/patience.ts";
import type { CloudAddresses } from "../support/provided.ts";

const { redis: redisUrl }: CloudAddresses = inject("cloud");
/** For a Redis that is held: the gateway gives it up soon. */
const IMPATIENT = { replyTimeoutMs: 3_000 };

const direct = createClient({ url: redisUrl });
direct.on("error", () => {});
await direct.connect();
afterAll(() => direct.destroy());

function freshKey(): string {
  return `t:${crypto.randomUUID()}`;
}

describe("the read-only token", () => {
  it("reads, and does nothing else", async ({ expect }) => {
    const { post } = await startGateway(redisUrl, { readOnlyToken: "reader" });
    const key = freshKey();
    await post("/", ["SET", key, "v"]);
    const results = await post(
      "/pipeline",
      [
        ["GET", key],
        ["set", key, "x"],
        ["SCAN", "0"],
        ["KEYS", "*"],
      ],
      "reader",
    );
    expect(results).toEqual({
      status: 200,
      body: [
        { result: "v" },
        ...["set", "scan", "keys"].map((name) => ({
          error: `NOPERM this user has no permissions to run the '${name}' command`,
        })),
      ],
    });
    expect(
      (
        await post(
          "/multi-exec",
          [
            ["GET", key],
            ["DEL", key],
          ],
          "reader",
        )
      ).status,
    ).toBe(400);
    expect((await post("/subscribe/c", [], "reader")).status).toBe(400);
    expect((await post("/eval/return 1/0", [], "reader")).status).toBe(400);
    expect(await post("/", ["EVAL_RO", "return redis.call('GET', KEYS[1])", 1, key], "reader")).toEqual({
      status: 200,
      body: { result: "v" },
    });
    expect(await direct.get(key)).toBe("v");
  });

  it("is not an empty text when there is none", async ({ expect }) => {
    const { post } = await startGateway(redisUrl, { readOnlyToken: "" });
    expect((await post("/", ["PING"], "")).status).toBe(401);
  });
});

describe("when Redis is gone", () => {
  it("answers 500 with an error, and works again as soon as Redis is back", async ({ expect }) => {
    const proxy = await startProxy();
    const { post } = await startGateway(proxy.url);
    const key = freshKey();
    expect(await post("/", ["SET", key, "v"])).toEqual({ status: 200, body: { result: "OK" } });
    expect((await post("/multi-exec", [["GET", key]])).status).toBe(200);
    proxy.refuse();
    for (const [path, body] of [
      ["/", ["GET", key]],
      ["/pipeline", [["GET", key]]],
      ["/multi-exec", [["GET", key]]],
      ["/subscribe/c", []],
    ] as const) {
      expect(await post(path, body)).toEqual({
        status: 500,
        body: { error: expect.stringMatching(/^ERR Redis is not reachable: /) },
      });
    }
    proxy.serve();
    expect(await post("/", ["GET", key])).toEqual({ status: 200, body: { result: "v" } });
    expect(await post("/multi-exec", [["GET", key]])).toEqual({ status: 200, body: [{ result: "v" }] });
  });

  it("answers what was under way when the connection broke", async ({ expect }) => {
    const proxy = await startProxy();
    const { post } = await startGateway(proxy.url);
    proxy.freeze();
    const running = [
      post("/pipeline", [["PING"], ["PING"]]),
      post("/multi-exec", [["PING"]]),
      post("/", ["PING"]),
    ];
    await waitUntil(() => proxy.heldBytes() > 0);
    proxy.refuse();
    expect((await Promise.all(running)).map(({ status }) => status)).toEqual([500, 500, 500]);
  });

  // Four turns of waiting, one after the other, would exceed the time of the test.
  it(
    "gives up a Redis that accepts and never answers, for all at once",
    { timeout: 11_000 },
    async ({ expect }) => {
      const proxy = await startProxy();
      const { post } = await startGateway(proxy.url, IMPATIENT);
      proxy.freeze();
      const answers = await Promise.all([
        post("/", ["PING"]),
        post("/pipeline", [["PING"]]),
        post("/subscribe/c", []),
        post("/monitor", []),
        ...Array.from({ length: 100 }, async () => post("/multi-exec", [["PING"]])),
      ]);
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([500]));
      proxy.serve();
      expect((await post("/", ["PING"])).status).toBe(200);
      expect((await post("/multi-exec", [["PING"]])).status).toBe(200);
    },
  );

  it("gives up a Redis that does not confirm a subscription", async ({ expect }) => {
    const proxy = await startProxy();
    const { post } = await startGateway(proxy.url, IMPATIENT);
    proxy.freeze("subscribe");
    expect((await post("/subscribe/c", [])).status).toBe(500);
    await waitUntil(() => proxy.connectionCount() === 1);
  });

  it("says so when its password is wrong", async ({ expect }) => {
    const url = new URL(redisUrl);
    url.username = "nobody";
    url.password = "wrong";
    await expect(startGateway(url.href)).rejects.toThrow("WRONGPASS");
  });

  it("ends the streams", async ({ expect }) => {
    const proxy = await startProxy();
    const { fetchAs } = await startGateway(proxy.url);
    const response = await fetchAs("/subscribe/c", {});
    const text = response.text();
    proxy.refuse();
    expect(await text).toBe("data: subscribe,c,1\n\n");
  });

  it("does not start, and leaves no connection behind", async ({ expect }) => {
    const proxy = await startProxy();
    proxy.refuse();
    await expect(startGateway(proxy.url)).rejects.toThrow(/./);
    proxy.serve();
    const { port } = await startGateway(proxy.url);
    await waitUntil(() => proxy.connectionCount() === 1);
    await expect(startGateway(proxy.url, { port })).rejects.toMatchObject({ code: "EADDRINUSE" });
    await waitUntil(() => proxy.connectionCount() === 1);
    expect(proxy.connectionCount()).toBe(1);
  });
});

describe("streams", () => {
  it.for(["/subscribe/c", "/psubscribe/c*", "/monitor"])(
    "close their own connection to Redis when the client leaves: %s",
    async (path, { expect }) => {
      const proxy = await startProxy();
      const { fetchAs } = await startGateway(proxy.url);
      const before = proxy.connectionCount();
      const leaving = new AbortController();
      const streams = Array.from({ length: 3 }, async () => fetchAs(path, { signal: leaving.signal }));
      expect((await Promise.all(streams)).map(({ status }) => status)).toEqual([200, 200, 200]);
      expect(proxy.connectionCount()).toBe(before + 3);
      leaving.abort();
      await waitUntil(() => proxy.connectionCount() === before);
    },
  );

  it("take several channels and number them", async ({ expect }) => {
    const { fetchAs } = await startGateway(redisUrl);
    const [one, two] = [freshKey(), freshKey()];
    const leaving = new AbortController();
    const response = await fetchAs(`/subscribe/${one}/${two}`, { signal: leaving.signal });
    const expected = `data: subscribe,${one},1\n\ndata: subscribe,${two},2\n\ndata: message,${two},hello\n\n`;
    await direct.publish(two, "hello");
    let text = "";
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk).toString();
      if (text.length >= expected.length) break;
    }
    expect(text).toBe(expected);
  });
});

describe("connections", () => {
  it("are bounded and reused, however many transactions run at once", async ({ expect }) => {
    const proxy = await startProxy();
    const { post } = await startGateway(proxy.url, { replyTimeoutMs: 30_000 });
    const key = freshKey();
    for (let round = 0; round < 2; round += 1) {
      const answers = await Promise.all(
        Array.from({ length: 200 }, async () => post("/multi-exec", [["INCR", key]])),
      );
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    }
    expect(await direct.get(key)).toBe("400");
    expect(proxy.connectionCount()).toBeLessThanOrEqual(1 + 32);
    expect(proxy.acceptedCount()).toBe(proxy.connectionCount());
  });

  it("of a transaction are not that of ordinary commands, which all share one", async ({ expect }) => {
    const proxy = await startProxy();
    const { post } = await startGateway(proxy.url, IMPATIENT);
    await Promise.all([post("/", ["PING"]), post("/pipeline", [["PING"]]), post("/", ["PING"])]);
    expect(proxy.acceptedCount()).toBe(1);
    await post("/multi-exec", [["PING"]]);
    await post("/multi-exec", [["PING"]]);
    expect(proxy.acceptedCount()).toBe(2);
    // With the transaction held on its way, whatever shared its connection would be held, too.
    proxy.freeze("MULTI");
    const held = post("/multi-exec", [["PING"]]);
    await waitUntil(() => proxy.heldBytes() > 0);
    expect(await post("/", ["PING"])).toEqual({ status: 200, body: { result: "PONG" } });
    expect((await held).status).toBe(500);
  });
});

describe("a fault", () => {
  it("hits the calls whose commands it names, before they reach Redis", async ({ expect }) => {
    const { fetchAs, post } = await startGateway(redisUrl);
    const key = freshKey();
    const fault = { mode: "status", phase: "before", status: 503, match: `INCR ${key}` };
    await fetchAs("/_local/fault", { method: "PUT", body: JSON.stringify({ fault }) });
    expect(
      await post("/pipeline", [
        ["GET", key],
        ["INCR", key],
      ]),
    ).toEqual({
      status: 503,
      body: { error: "ERR injected fault" },
    });
    expect(await post("/", ["GET", key])).toEqual({ status: 200, body: { result: null } });
  });
});

describe("the process", () => {
  it.for(["SIGTERM", "SIGINT"] as const)(
    "says where it listens, serves, and ends well on %s",
    async (signal, { expect }) => {
      const child = startProcess(["--port=0", `--redis-url=${redisUrl}`], "t");
      const [line] = (await once(createInterface(child.stdout), "line")) as [string];
      expect(line).toMatch(/^upstash listening http:\/\/127\.0\.0\.1:\d+$/);
      const url = line.split(" ")[2] ?? "";
      const stream = await fetch(`${url}/subscribe/c?_token=t`);
      expect(
        await (await fetch(`${url}/multi-exec?_token=t`, { method: "POST", body: '[["PING"]]' })).json(),
      ).toEqual([{ result: "PONG" }]);
      child.kill(signal);
      expect(await once(child, "exit")).toEqual([0, null]);
      await stream.body?.cancel().catch(() => {});
    },
  );

  it.for([
    [["--port=0"], "upstash: no token: give --token or UPSTASH_REDIS_REST_TOKEN"],
    [["--port=x", "--token=t"], "upstash: not a port: x"],
    [
      ["--token=t", "--redis-url=redis://127.0.0.1:1"],
      "upstash: connect ECONNREFUSED 127.0.0.1:1; start Redis or name it with --redis-url",
    ],
  ] as const)("names the cause when it cannot start: %j", async ([args, message], { expect }) => {
    const child = startProcess(args);
    const [[line], [code]] = await Promise.all([
      once(createInterface(child.stderr), "line"),
      once(child, "exit"),
    ]);
    expect([line, code]).toEqual([message, 1]);
  });
});

function startProcess(args: readonly string[], UPSTASH_REDIS_REST_TOKEN = "") {
  const script = fileURLToPath(new URL("../../dev/gateways/upstash/main.ts", import.meta.url));
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", script, ...args], {
    env: { ...process.env, UPSTASH_REDIS_REST_TOKEN },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  return child;
}

/** A gateway that ends with the test. Its token is `t`. */
async function startGateway(redisUrl: string, options: Partial<UpstashGatewayOptions> = {}) {
  const gateway = await startUpstashGateway({
    port: 0,
    redisUrl,
    token: "t",
    ...options,
  });
  onTestFinished(gateway.close);
  async function fetchAs(path: string, init: RequestInit, token = "t"): Promise<Response> {
    return fetch(`${gateway.url}${path}`, { ...init, headers: { authorization: `Bearer ${token}` } });
  }
  async function post(
    path: string,
    body: unknown,
    token?: string,
  ): Promise<{ status: number; body: unknown }> {
    const response = await fetchAs(path, { method: "POST", body: JSON.stringify(body) }, token);
    return { status: response.status, body: await response.json() };
  }
  return { port: gateway.port, fetchAs, post };
}

/** A way to Redis that can be cut (`refuse`), held without an answer (`freeze`: whatever contains the text) and opened again (`serve`). */
async function startProxy() {
  const target = new URL(redisUrl);
  const sockets = new Set<Socket>();
  let mode: "serve" | "freeze" | "refuse" = "serve";
  let heldBytes = 0;
  let frozenText = "";
  let acceptedCount = 0;
  const server = createServer((socket) => {
    if (mode === "refuse") {
      socket.destroy();
      return;
    }
    acceptedCount += 1;
    sockets.add(socket);
    const upstream = connect(Number(target.port), target.hostname);
    for (const [end, other] of [
      [socket, upstream],
      [upstream, socket],
    ] as const) {
      end.on("error", () => {});
      end.on("close", () => other.destroy());
    }
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", (data) => {
      if (mode === "freeze" && data.includes(frozenText)) heldBytes += data.length;
      else upstream.write(data);
    });
    upstream.on("data", (data) => socket.write(data));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  onTestFinished(() => {
    cut();
    server.close();
  });
  const url = new URL(redisUrl);
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    serve: () => {
      mode = "serve";
    },
    freeze: (text = "") => {
      mode = "freeze";
      frozenText = text;
    },
    refuse: () => {
      mode = "refuse";
      cut();
    },
    heldBytes: () => heldBytes,
    connectionCount: () => sockets.size,
    acceptedCount: () => acceptedCount,
  };
}
