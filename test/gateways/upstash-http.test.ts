/** The REST API itself: authorisation, path form, refusals, limits, sync token and server-sent events. */
import { Redis } from "@upstash/redis/cloudflare";
import { describe, inject, it } from "vitest";
import { waitUntil } from "../support/patience.ts";

const { settings } = inject("cloud");
const url = settings.UPSTASH_REDIS_REST_URL ?? "";
const token = settings.UPSTASH_REDIS_REST_TOKEN ?? "";
const redis = new Redis({ url, token });

const freshKey = (): string => `t:${crypto.randomUUID()}`;

type Init = { method?: string; body?: string; headers?: Record<string, string> };

async function send(path: string, init: Init = {}): Promise<Response> {
  return fetch(`${url}${path}`, { ...init, headers: { authorization: `Bearer ${token}`, ...init.headers } });
}

async function post(path: string, body: string, headers: Record<string, string> = {}): Promise<Response> {
  return send(path, { method: "POST", body, headers });
}

describe("authorisation", () => {
  it("refuses a wrong token in words the SDK passes on", async ({ expect }) => {
    const stranger = new Redis({ url, token: `${token}x` });
    await expect(stranger.get(freshKey())).rejects.toThrow("WRONGPASS invalid or missing auth token");
  });

  it.for(["/", "/pipeline", "/multi-exec", "/get/k", "/subscribe/c", "/monitor"])(
    "refuses %s without a token",
    async (path, { expect }) => {
      const response = await fetch(`${url}${path}`, { method: "POST", body: '[["PING"]]' });
      expect(response.status).toBe(401);
      expect(await response.json()).toEqual({ error: "WRONGPASS invalid or missing auth token" });
    },
  );

  it("takes the token from the query", async ({ expect }) => {
    const response = await fetch(`${url}/ping?_token=${encodeURIComponent(token)}`);
    expect(await response.json()).toEqual({ result: "PONG" });
  });
});

describe("the path form", () => {
  it("takes the command from the path with every served method", async ({ expect }) => {
    for (const method of ["GET", "POST", "PUT"]) {
      const key = freshKey();
      expect(await (await send(`/set/${key}/${method}/EX/100`, { method })).json()).toEqual({ result: "OK" });
      expect(await redis.get(key)).toBe(method);
      expect(await redis.ttl(key)).toBeGreaterThan(90);
    }
  });

  it("answers HEAD without a body and runs the command", async ({ expect }) => {
    const key = freshKey();
    const response = await send(`/incr/${key}`, { method: "HEAD" });
    expect([response.status, await response.text()]).toEqual([200, ""]);
    expect(await redis.get(key)).toBe(1);
  });

  it("appends the body, then the query", async ({ expect }) => {
    const key = freshKey();
    const response = await post(`/set/${key}?EX=100&NX`, '{"any":"text, JSON included"}');
    expect(await response.json()).toEqual({ result: "OK" });
    expect(await redis.get(key)).toEqual({ any: "text, JSON included" });
    expect(await redis.ttl(key)).toBeGreaterThan(90);
    expect(await (await post(`/set/${key}?EX=100&NX`, "other")).json()).toEqual({ result: null });
  });

  it("decodes segments after the split, to bytes", async ({ expect }) => {
    const key = freshKey();
    await send(`/set/${key}/${encodeURIComponent("a/b? 한글 100%")}`);
    expect(await redis.get(key)).toBe("a/b? 한글 100%");
    await send(`/set/${key}/%FF%00`);
    expect(await redis.strlen(key)).toBe(2);
    expect((await send("/get/%zz")).status).toBe(400);
  });
});

describe("refusals", () => {
  it.for(["DELETE", "PATCH", "OPTIONS"])("answers 405 to %s", async (method, { expect }) => {
    const response = await send("/ping", { method });
    expect(response.status).toBe(405);
    expect(await response.json()).toEqual({ error: "ERR method not allowed" });
  });

  it("answers 405 to GET of a batch", async ({ expect }) => {
    expect((await send("/pipeline")).status).toBe(405);
    expect((await send("/multi-exec")).status).toBe(405);
  });

  it("answers 400 with Redis's text to a command that fails", async ({ expect }) => {
    const key = freshKey();
    await redis.set(key, "text");
    const response = await post("/", JSON.stringify(["INCR", key]), { "upstash-encoding": "base64" });
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({ error: "ERR value is not an integer or out of range" });
  });

  it.for([
    ["/", ""],
    ["/", "not json"],
    ["/", '{"a":1}'],
    ["/", '"PING"'],
    ["/", "[]"],
    ["/", '[""]'],
    ["/", '["SET","k",{"a":1}]'],
    ["/pipeline", '["PING"]'],
    ["/pipeline", "[]"],
    ["/pipeline", "[[]]"],
    ["/multi-exec", "{}"],
  ] as const)("answers 400 and JSON to a malformed body: %s %s", async ([path, body], { expect }) => {
    const response = await post(path, body);
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({ error: expect.stringMatching(/^ERR /) });
  });

  it.for([
    ["BLPOP", "k", "0"],
    ["blmove", "a", "b", "LEFT", "RIGHT", "0"],
    ["BZPOPMIN", "k", "0"],
    ["XREAD", "COUNT", "1", "BLOCK", "0", "STREAMS", "k", "$"],
    ["XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "k", ">"],
    ["WAIT", "1", "0"],
    ["SUBSCRIBE", "c"],
    ["MONITOR"],
    ["MULTI"],
    ["EXEC"],
    ["WATCH", "k"],
    ["SELECT", "1"],
    ["AUTH", "x"],
    ["HELLO", "3"],
    ["QUIT"],
    ["RESET"],
    ["CLIENT", "REPLY", "OFF"],
    ["SHUTDOWN", "NOSAVE"],
    ["CONFIG", "SET", "maxmemory", "1"],
    ["DEBUG", "SLEEP", "0"],
    ["REPLICAOF", "NO", "ONE"],
    ["SCRIPT", "DEBUG", "YES"],
  ])("does not run %s", async (command, { expect }) => {
    const error = `ERR Command is not available: '${command[0]?.toUpperCase()}'`;
    const alone = await post("/", JSON.stringify(command));
    expect([alone.status, await alone.json()]).toEqual([400, { error }]);
    const batch = await post("/pipeline", JSON.stringify([["PING"], command, ["PING"]]));
    expect(await batch.json()).toEqual([{ result: "PONG" }, { error }, { result: "PONG" }]);
    // In a path, SUBSCRIBE and MONITOR are streams.
    if (command[0] === "SUBSCRIBE" || command[0] === "MONITOR") return;
    const inPath = await send(`/${command.map(encodeURIComponent).join("/")}`);
    expect([inPath.status, await inPath.json()]).toEqual([400, { error }]);
  });

  it("runs XREAD without BLOCK, whatever the key is called", async ({ expect }) => {
    const response = await post("/", '["XREAD","COUNT","1","STREAMS","BLOCK","0"]');
    expect(response.status).toBe(200);
  });

  it("answers 413 to more than 10 MB and serves what is just below", async ({ expect }) => {
    const key = freshKey();
    const large = await post(`/set/${key}`, "x".repeat(10 * 1024 * 1024));
    expect(large.status).toBe(200);
    expect(await redis.strlen(key)).toBe(10 * 1024 * 1024);
    await redis.del(key);
    const tooLarge = await post(`/set/${key}`, "x".repeat(10 * 1024 * 1024 + 1));
    expect(tooLarge.status).toBe(413);
    expect(await tooLarge.json()).toEqual({ error: "ERR max request size exceeded. Limit: 10485760 bytes" });
  });
});

describe("answers", () => {
  it("carry a sync token that is never the same, errors included", async ({ expect }) => {
    const tokens = await Promise.all(
      ["/ping", "/ping", "/no-such-command", "/blpop/k/0"].map(async (path) =>
        (await send(path)).headers.get("upstash-sync-token"),
      ),
    );
    expect(tokens).not.toContain(null);
    expect(new Set(tokens).size).toBe(tokens.length);
  });

  it("can be RESP2, but not with base64 nor for a transaction", async ({ expect }) => {
    const key = freshKey();
    const headers = { "upstash-response-format": "resp2" };
    const body = JSON.stringify([
      ["SET", key, "값"],
      ["GET", key],
      ["INCR", key],
      ["RPUSH", `${key}:l`, "a", "b"],
      ["LRANGE", `${key}:l`, "0", "-1"],
      ["GET", freshKey()],
    ]);
    const response = await post("/pipeline", body, headers);
    expect(response.headers.get("content-type")).toBe("application/octet-stream");
    expect(new TextDecoder().decode(await response.arrayBuffer())).toBe(
      "+OK\r\n$3\r\n값\r\n-ERR value is not an integer or out of range\r\n:2\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n$-1\r\n",
    );
    expect((await post("/multi-exec", body, headers)).status).toBe(400);
    expect((await post("/pipeline", body, { ...headers, "upstash-encoding": "base64" })).status).toBe(400);
  });
});

describe("subscriptions", () => {
  it("deliver messages with commas and Hangul, and end when the client leaves", async ({ expect }) => {
    const channel = freshKey();
    const received: unknown[] = [];
    const subscriber = redis.subscribe<unknown>(channel);
    const subscribed = new Promise((resolve) => {
      subscriber.on("subscribe", resolve);
    });
    subscriber.on("message", ({ message }) => received.push(message));
    expect(await subscribed).toBe(1);
    expect(await redis.publish(channel, { text: "안녕, 세계, 👋" })).toBe(1);
    expect(await redis.publish(channel, "a,b")).toBe(1);
    await waitUntil(() => received.length === 2);
    expect(received).toEqual([{ text: "안녕, 세계, 👋" }, "a,b"]);
    await subscriber.unsubscribe();
    await waitUntil(async () => (await redis.publish(channel, "late")) === 0);
    expect(received).toHaveLength(2);
  });

  it("deliver by pattern", async ({ expect }) => {
    const channel = freshKey();
    const received: unknown[] = [];
    const subscriber = redis.psubscribe<unknown>(`${channel}:*`);
    const subscribed = new Promise((resolve) => {
      subscriber.on("psubscribe", resolve);
    });
    subscriber.on("pmessage", (event) => received.push(event));
    await subscribed;
    await redis.publish(`${channel}:방`, { n: 1 });
    await waitUntil(() => received.length === 1);
    expect(received).toEqual([{ pattern: `${channel}:*`, channel: `${channel}:방`, message: { n: 1 } }]);
    await subscriber.unsubscribe();
  });

  it("have the format of server-sent events", async ({ expect }) => {
    const channel = freshKey();
    const response = await post(`/subscribe/${channel}`, "[]", { accept: "text/event-stream" });
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    const { read, leave } = linesOf(response);
    expect(await read(2)).toEqual([`data: subscribe,${channel},1`, ""]);
    await send(`/publish/${channel}/${encodeURIComponent("one\ntwo")}`);
    expect(await read(3)).toEqual([`data: message,${channel},one`, "data: two", ""]);
    await leave();
  });

  it("show every command to a monitor", async ({ expect }) => {
    const response = await post("/monitor", "", { accept: "text/event-stream" });
    const { read, leave } = linesOf(response);
    expect(await read(1)).toEqual(['data: "OK"']);
    const key = freshKey();
    await redis.set(key, "v");
    let line = "";
    while (!line.includes(key)) [line = ""] = await read(1);
    expect(line).toMatch(new RegExp(`^data: [0-9.]+ \\[0 .*\\] "set" "${key}" "v"$`));
    await leave();
  });

  it("need a channel", async ({ expect }) => {
    const response = await post("/subscribe", "");
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({ error: "ERR wrong number of arguments for 'subscribe' command" });
  });
});

/** Reads a body line by line; `read` waits until there are `count` more lines, `leave` closes the connection. */
function linesOf(response: Response) {
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  let buffer = "";
  async function read(count: number): Promise<string[]> {
    const lines: string[] = [];
    while (lines.length < count) {
      const end = buffer.indexOf("\n");
      if (end !== -1) {
        lines.push(buffer.slice(0, end));
        buffer = buffer.slice(end + 1);
        continue;
      }
      const chunk = await reader?.read();
      if (!chunk || chunk.done) throw new Error("the stream ended");
      buffer += decoder.decode(chunk.value, { stream: true });
    }
    return lines;
  }
  return { read, leave: async () => reader?.cancel() };
}
