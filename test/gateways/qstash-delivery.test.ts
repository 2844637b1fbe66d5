import { describe, it } from "vitest";
import { connect, destination, HELD_MS, reached, statesOf, until } from "./qstash-support.ts";

const client = connect();

describe("a delivery", () => {
  it("carries the body, the content type and the forwarded headers, and says what it is", async ({
    expect,
  }) => {
    const target = destination("json");
    const { messageId } = await client.publishJSON({
      url: `${target.url}?a=b%2Fc&d=//e`,
      body: { greeting: "안녕 👋" },
      headers: { "x-request-id": "r1", "Upstash-Forward-Authorization": "Bearer user" },
    });
    const [delivery] = await target.received(1);
    expect(delivery).toMatchObject({
      method: "POST",
      body: { text: '{"greeting":"안녕 👋"}' },
      headers: {
        "content-type": "application/json",
        "x-request-id": "r1",
        authorization: "Bearer user",
        "user-agent": "Upstash-QStash",
        "upstash-message-id": messageId,
        "upstash-retried": "0",
        "upstash-caller-ip": "127.0.0.1",
      },
    });
    expect(delivery?.target.endsWith("?a=b%2Fc&d=//e")).toBe(true);
    expect(await reached(client, messageId, "DELIVERED")).toEqual(["CREATED", "ACTIVE", "DELIVERED"]);
  });

  it("keeps a binary body byte for byte and uses the method asked for", async ({ expect }) => {
    const target = destination("bytes");
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
    await client.publish({ url: target.url, method: "PUT", body: new Blob([bytes]) });
    const [delivery] = await target.received(1);
    expect(delivery?.method).toBe("PUT");
    expect(delivery?.body.base64).toBe(btoa(String.fromCharCode(...bytes)));
  });

  it("is one without a body for GET", async ({ expect }) => {
    const target = destination("get");
    await client.publish({ url: target.url, method: "GET" });
    const [delivery] = await target.received(1);
    expect(delivery).toMatchObject({ method: "GET", body: { base64: "" } });
    expect(delivery?.headers).not.toHaveProperty("content-length");
  });

  it("is repeated after a failure, counting up, until it is accepted", async ({ expect }) => {
    const target = destination("retry");
    await target.answers({ status: 500, remaining: 1 }, { status: 302, remaining: 1 });
    const { messageId } = await client.publish({
      url: target.url,
      body: "x",
      retryDelay: "100 * (1 + retried)",
    });
    const deliveries = await target.received(3);
    expect(deliveries.map(({ headers }) => headers["upstash-retried"])).toEqual(["0", "1", "2"]);
    expect(new Set(deliveries.map(({ headers }) => headers["upstash-message-id"]))).toEqual(
      new Set([messageId]),
    );
    expect(await reached(client, messageId, "DELIVERED")).toEqual([
      "CREATED",
      "ACTIVE",
      "ERROR",
      "RETRY",
      "ACTIVE",
      "ERROR",
      "RETRY",
      "ACTIVE",
      "DELIVERED",
    ]);
  });

  it("is repeated when nobody listens at the address", async ({ expect }) => {
    const { messageId } = await client.publish({ url: "http://127.0.0.1:1/", retries: 1, retryDelay: "1" });
    const states = await reached(client, messageId, "FAILED");
    expect(states.filter((state) => state === "ACTIVE")).toHaveLength(2);
  });

  it("fails when the receiver takes longer than the timeout", async ({ expect }) => {
    const target = destination("timeout");
    await target.answers({ delayMs: HELD_MS });
    const { messageId } = await client.publish({ url: target.url, timeout: 1, retries: 1, retryDelay: "1" });
    await reached(client, messageId, "FAILED");
    const { logs } = await client.logs({ filter: { messageId, state: "ERROR" } });
    const timedOut = expect.stringContaining("timed out");
    expect(logs.map(({ error }) => error)).toEqual([timedOut, timedOut]);
  });

  it("follows the Retry-After of the answer rather than the backoff", async ({ expect }) => {
    const target = destination("retry-after");
    // The expression alone would not come back within the test.
    await target.answers({ status: 429, headers: { "retry-after": "0" }, remaining: 1 });
    await client.publish({ url: target.url, retryDelay: "86400000" });
    expect(await target.received(2)).toHaveLength(2);
  });

  it("goes straight to the dead letter queue on 489 with Upstash-NonRetryable-Error, and only then", async ({
    expect,
  }) => {
    const refused = destination("489");
    await refused.answers({ status: 489, headers: { "Upstash-NonRetryable-Error": "true" }, body: "never" });
    const bare = destination("489-bare");
    await bare.answers({ status: 489, remaining: 1 });
    const final = await client.publish({ url: refused.url, retryDelay: "1" });
    await client.publish({ url: bare.url, retryDelay: "1" });

    expect(await reached(client, final.messageId, "FAILED")).toEqual([
      "CREATED",
      "ACTIVE",
      "ERROR",
      "FAILED",
    ]);
    expect(await bare.received(2)).toHaveLength(2);
    expect(await refused.deliveries()).toHaveLength(1);
    const { messages } = await client.dlq.listMessages({ filter: { messageId: final.messageId } });
    expect(messages[0]).toMatchObject({ responseStatus: 489, responseBody: "never" });
  });
});

describe("waiting", () => {
  it("holds a delayed message back while later ones pass", async ({ expect }) => {
    const target = destination("delay");
    const held = await client.publish({ url: target.url, body: "held", delay: "1d" });
    const delayed = await client.publish({ url: target.url, body: "delayed", delay: "2m" });
    const waiting = await client.messages.get(delayed.messageId);
    expect(waiting.notBefore).toBe(waiting.createdAt + 120_000);
    await client.publish({ url: target.url, body: "at once" });
    const deliveries = await target.received(2);
    expect(deliveries.map(({ body }) => body.text).toSorted()).toEqual(["at once", "delayed"]);
    const arrival = deliveries.find(({ body }) => body.text === "delayed")?.time;
    expect(arrival).toBeGreaterThanOrEqual(waiting.createdAt + 2000);
    await client.messages.cancel(held.messageId);
  });

  it("lets not-before win over a delay", async ({ expect }) => {
    const target = destination("not-before");
    const notBefore = Math.floor(Date.now() / 1000) + 90;
    const { messageId } = await client.publish({ url: target.url, body: "x", notBefore, delay: "9d" });
    expect(await client.messages.get(messageId)).toMatchObject({ notBefore: notBefore * 1000 });
    expect(await target.received(1)).toHaveLength(1);
  });

  it("delivers at once when not-before has passed", async ({ expect }) => {
    const target = destination("past");
    await client.publish({ url: target.url, notBefore: 1_700_000_000 });
    expect(await target.received(1)).toHaveLength(1);
  });
});

describe("a message", () => {
  it("can be read while it is on its way, with all it was published with", async ({ expect }) => {
    const target = destination("get-message");
    const { messageId } = await client.publishJSON({
      url: target.url,
      body: { a: 1 },
      delay: "10d",
      retries: 5,
      retryDelay: "1000 * retried",
      callback: `${target.url}/callback`,
      failureCallback: `${target.url}/failure`,
      label: ["first", "second"],
      flowControl: { key: messageKey(target.url), parallelism: 10, rate: 5, period: "1d" },
      headers: { "test-header": "test-value" },
    });
    expect(await client.messages.get(messageId)).toMatchObject({
      messageId,
      url: target.url,
      method: "POST",
      header: { "Content-Type": ["application/json"], "Test-Header": ["test-value"] },
      body: '{"a":1}',
      maxRetries: 5,
      retryDelayExpression: "1000 * retried",
      callback: `${target.url}/callback`,
      failureCallback: `${target.url}/failure`,
      label: "first",
      labels: ["first", "second"],
      parallelism: 10,
      rate: 5,
      ratePerSecond: 5,
      period: 86_400,
      callerIP: "127.0.0.1",
    });
    await client.messages.cancel(messageId);
  });

  it("shows its redacted parts as hashes and delivers them as they are", async ({ expect }) => {
    const target = destination("redacted");
    const { messageId } = await client.publish({
      url: target.url,
      body: "secret",
      headers: { "x-secret": "s", "x-open": "o" },
      redact: { body: true, header: ["X-Secret"] },
    });
    const [delivery] = await target.received(1);
    expect(delivery).toMatchObject({ body: { text: "secret" }, headers: { "x-secret": "s" } });
    const shown = await client.messages.get(messageId);
    expect(shown.body).toMatch(/^REDACTED:[0-9a-f]{64}$/);
    expect(shown.header).toMatchObject({
      "X-Open": ["o"],
      "X-Secret": [expect.stringMatching(/^REDACTED:/)],
    });
    const { logs } = await client.logs({ messageIds: [messageId] });
    expect(JSON.stringify(logs)).not.toContain(btoa("secret"));
  });

  it("is not delivered after it was cancelled, and is gone", async ({ expect }) => {
    const target = destination("cancel");
    const { messageId } = await client.publish({ url: target.url, delay: "1h" });
    expect(await client.messages.cancel(messageId)).toEqual({ cancelled: 1 });
    await expect(client.messages.get(messageId)).rejects.toMatchObject({ status: 404 });
    await expect(client.messages.cancel(messageId)).rejects.toMatchObject({ status: 404 });
    expect(await statesOf(client, messageId)).toEqual(["CREATED", "CANCEL_REQUESTED", "CANCELLED"]);
  });

  it("is not tried again when it was cancelled in flight", async ({ expect }) => {
    const target = destination("cancel-active");
    await target.answers({ status: 500, delayMs: HELD_MS });
    const { messageId } = await client.publish({ url: target.url, retryDelay: "1" });
    await target.received(1);
    await client.messages.cancel(messageId);
    await target.release();
    expect((await reached(client, messageId, "CANCELLED")).slice(-3)).toEqual([
      "CANCEL_REQUESTED",
      "ERROR",
      "CANCELLED",
    ]);
    expect(await target.deliveries()).toHaveLength(1);
  });

  it("is cancelled by a list of ids or by filters, of which all must match", async ({ expect }) => {
    const target = destination("cancel-many");
    const publish = (label: string, path: string) =>
      client.publish({ url: `${target.url}${path}`, delay: "1h", label: `${label}-${target.url}` });
    const [first, second, third, fourth] = await Promise.all([
      publish("a", "/one"),
      publish("b", "/one"),
      publish("b", "/two"),
      publish("c", "/two"),
    ]);
    expect(await client.messages.cancel([first.messageId, "msg_unknown"])).toEqual({ cancelled: 1 });
    const filter = { label: [`b-${target.url}`, `c-${target.url}`], url: `${target.url}/two` };
    expect(await client.messages.cancel({ filter })).toEqual({ cancelled: 2 });
    await expect(client.messages.get(third.messageId)).rejects.toMatchObject({ status: 404 });
    await expect(client.messages.get(fourth.messageId)).rejects.toMatchObject({ status: 404 });
    expect(await client.messages.get(second.messageId)).toMatchObject({ messageId: second.messageId });
    await client.messages.cancel(second.messageId);
  });
});

describe("logs", () => {
  it("come newest first, page by page, without a cursor on the last", async ({ expect }) => {
    const target = destination("logs");
    const label = target.url;
    await Promise.all([1, 2].map(() => client.publish({ url: target.url, label })));
    await until("all entries", async () => {
      const { logs } = await client.logs({ filter: { label } });
      return logs.length === 6 ? logs : undefined;
    });
    const first = await client.logs({ filter: { label }, count: 4 });
    expect(first.logs).toHaveLength(4);
    const rest = await client.logs({ filter: { label }, count: 4, cursor: first.cursor ?? "" });
    expect(rest.logs).toHaveLength(2);
    expect(rest.cursor).toBeUndefined();
    const times = [...first.logs, ...rest.logs].map(({ time }) => time);
    expect(times).toEqual(times.toSorted((a, b) => b - a));
  });

  it("are filtered by state, IN_PROGRESS meaning all of the way", async ({ expect }) => {
    const target = destination("log-states");
    await target.answers({ status: 500, body: "broken", remaining: 1 });
    const { messageId } = await client.publish({ url: target.url, retryDelay: "1" });
    await reached(client, messageId, "DELIVERED");
    const states = async (state: "IN_PROGRESS" | "ERROR") =>
      (await client.logs({ filter: { messageId, state } })).logs.map((entry) => entry.state);
    expect(await states("IN_PROGRESS")).toEqual(["ACTIVE", "RETRY", "ERROR", "ACTIVE"]);
    const { logs } = await client.logs({ filter: { messageId, state: "ERROR" } });
    expect(logs[0]).toMatchObject({ responseStatus: 500, responseBody: btoa("broken") });
  });
});

function messageKey(url: string): string {
  return url.replaceAll(/\W/g, "-");
}
