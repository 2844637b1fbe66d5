import { describe, inject, it } from "vitest";
import { callApi, connect, destination, statesOf, unique } from "./qstash-support.ts";

const client = connect();

describe("deduplication", () => {
  it("takes a message with a known id once and answers with the first one's id", async ({ expect }) => {
    const target = destination("dedup");
    const deduplicationId = unique("dedup");
    const first = await client.publish({ url: target.url, body: "1", deduplicationId });
    const second = await client.publish({ url: target.url, body: "2", deduplicationId });
    expect(second).toEqual({ messageId: first.messageId, deduplicated: true });

    const response = await callApi("POST", `/v2/publish/${target.url}`, {
      headers: { "Upstash-Deduplication-Id": deduplicationId },
      body: "3",
    });
    expect(response.status).toBe(202);

    await client.publish({ url: target.url, body: "other", deduplicationId: unique("dedup") });
    const deliveries = await target.received(2);
    expect(deliveries.map(({ body }) => body.text).toSorted()).toEqual(["1", "other"]);
  });

  it("by content looks at destination, body, content type and forwarded headers", async ({ expect }) => {
    const target = destination("content-dedup");
    const publish = (path: string, body: string, headers: Record<string, string>) =>
      client.publish({
        url: `${target.url}${path}`,
        body,
        headers,
        contentBasedDeduplication: true,
        delay: "1h",
      });
    const base = await publish("", "same", { "x-tenant": "1" });
    expect(await publish("", "same", { "x-tenant": "1" })).toMatchObject({
      messageId: base.messageId,
      deduplicated: true,
    });
    for (const [path, body, headers] of [
      ["/other", "same", { "x-tenant": "1" }],
      ["", "other", { "x-tenant": "1" }],
      ["", "same", { "x-tenant": "2" }],
      ["", "same", { "x-tenant": "1", "content-type": "text/plain" }],
    ] as const) {
      expect(await publish(path, body, headers)).not.toHaveProperty("deduplicated");
    }
  });
});

describe("a batch", () => {
  it("publishes the good items in order and reports the bad one in its place", async ({ expect }) => {
    const first = destination("batch-1");
    const last = destination("batch-2");
    const responses = await client.batchJSON([
      { url: first.url, body: { item: 1 }, headers: { "x-item": "one" } },
      { url: "ftp://127.0.0.1/file", body: { item: 2 } },
      { url: last.url, body: { item: 3 }, method: "PUT" },
    ]);
    expect(responses).toEqual([
      { messageId: expect.stringMatching(/^msg_/) },
      { error: expect.stringContaining("http://") },
      { messageId: expect.stringMatching(/^msg_/) },
    ]);
    const [one] = await first.received(1);
    expect(one).toMatchObject({ body: { text: '{"item":1}' }, headers: { "x-item": "one" } });
    const [three] = await last.received(1);
    expect(three).toMatchObject({ body: { text: '{"item":3}' }, method: "PUT" });
  });

  it("sends a header beyond Latin-1 as UTF-8", async ({ expect }) => {
    const target = destination("batch-header");
    await callApi("POST", "/v2/batch", {
      body: JSON.stringify([
        { destination: target.url, headers: { "Upstash-Forward-X-Name": "안녕" }, body: "x" },
      ]),
    });
    const [delivery] = await target.received(1);
    const bytes = Uint8Array.from(delivery?.headers["x-name"] ?? "", (char) => char.codePointAt(0) ?? 0);
    expect(new TextDecoder().decode(bytes)).toBe("안녕");
  });
});

describe("a URL group", () => {
  it("receives a message at every endpoint, deduplicated one by one", async ({ expect }) => {
    const name = unique("group");
    const [first, second] = [destination("group-1"), destination("group-2")];
    await client.urlGroups.addEndpoints({
      name,
      endpoints: [{ name: "first", url: first.url }, { url: second.url }],
    });
    const deduplicationId = unique("group");
    const published = await client.publishJSON({ urlGroup: name, body: { to: "all" }, deduplicationId });
    expect(published.map((one) => one.url)).toEqual([first.url, second.url]);
    const again = await client.publishJSON({ urlGroup: name, body: { to: "all" }, deduplicationId });
    expect(again.every((one) => one.deduplicated)).toBe(true);

    const [delivery] = await first.received(1);
    expect(delivery?.headers["upstash-topic-name"]).toBe(name);
    const [other] = await second.received(1);
    expect(other?.headers["upstash-message-id"]).toBe(published[1]?.messageId);
    expect(await client.messages.get(published[0]?.messageId ?? "")).toMatchObject({
      topicName: name,
      urlGroup: name,
      endpointName: "first",
    });
  });

  it("goes with its last endpoint", async ({ expect }) => {
    const name = unique("group");
    const endpoints = [{ name: "one", url: "https://one.example/a" }, { url: "https://two.example/b" }];
    await client.urlGroups.addEndpoints({ name, endpoints });
    expect((await client.urlGroups.get(name)).endpoints).toEqual(endpoints);
    await client.urlGroups.removeEndpoints({ name, endpoints: [{ name: "one" }] });
    expect((await client.urlGroups.get(name)).endpoints).toEqual([endpoints[1]]);
    await client.urlGroups.removeEndpoints({ name, endpoints: [{ url: "https://two.example/b" }] });
    await expect(client.urlGroups.get(name)).rejects.toMatchObject({ status: 404 });
    await expect(client.publish({ urlGroup: name })).rejects.toMatchObject({ status: 404 });
  });
});

describe("a refused call", () => {
  const refusals: [title: string, target: string, headers: Record<string, string>, status: number][] = [
    ["a destination without a scheme and with a path", "/v2/publish/example.com/x", {}, 400],
    ["a destination that is no URL", "/v2/publish/https://", {}, 400],
    ["an unknown method", "/v2/publish/https://a.example", { "Upstash-Method": "BREW" }, 400],
    ["a delay without a unit", "/v2/publish/https://a.example", { "Upstash-Delay": "10" }, 400],
    ["a delay of ages", "/v2/publish/https://a.example", { "Upstash-Delay": "999999999d" }, 400],
    ["retries that are no number", "/v2/publish/https://a.example", { "Upstash-Retries": "-1" }, 400],
    [
      "a retry delay with code",
      "/v2/publish/https://a.example",
      { "Upstash-Retry-Delay": "process.exit()" },
      400,
    ],
    ["a callback that is no URL", "/v2/publish/https://a.example", { "Upstash-Callback": "callback" }, 400],
    [
      "flow control without a value",
      "/v2/publish/https://a.example",
      { "Upstash-Flow-Control-Key": "k" },
      400,
    ],
    ["a bad queue name", "/v2/enqueue/a%20b/https://a.example", {}, 400],
    ["a schedule without cron", "/v2/schedules/https://a.example", {}, 400],
    ["a batch that is no JSON", "/v2/batch", {}, 400],
    ["a wrong token", "/v2/publish/https://a.example", { authorization: "Bearer wrong" }, 401],
    ["an unknown path", "/v2/unknown", {}, 404],
  ];
  for (const [title, target, headers, status] of refusals) {
    it(`answers ${status} with an error for ${title}`, async ({ expect }) => {
      const response = await callApi("POST", target, { headers, body: "not json" });
      expect(response.status).toBe(status);
      expect(await response.json()).toEqual({ error: expect.any(String) });
    });
  }

  it("answers 405 for the wrong method and 413 for a message over 1 MB", async ({ expect }) => {
    expect((await callApi("PUT", "/v2/batch")).status).toBe(405);
    const large = await callApi("POST", "/v2/publish/https://a.example", {
      body: "x".repeat(1024 * 1024 + 1),
    });
    expect(large.status).toBe(413);
  });

  it("answers 400 for a filter the call does not have, and for a bad value", async ({ expect }) => {
    for (const target of [
      "/v2/dlq?host=a.example",
      "/v2/dlq?workflowRunId=1",
      "/v2/events?responseStatus=500",
      "/v2/events?fromDate=yesterday",
      "/v2/logs?state=LOST",
      "/v2/logs?count=0",
    ]) {
      expect((await callApi("GET", target)).status, target).toBe(400);
    }
    // A mistyped filter must not cancel everything.
    const target = destination("unknown-filter");
    const { messageId } = await client.publish({ url: target.url, delay: "1h" });
    expect((await callApi("DELETE", "/v2/messages?lable=x")).status).toBe(400);
    expect(await statesOf(client, messageId)).toEqual(["CREATED"]);
  });

  it("takes the token from the query as well and does not pass it on", async ({ expect }) => {
    const { QSTASH_URL = "", QSTASH_TOKEN = "" } = inject("cloud").settings;
    const target = destination("token");
    const token = `qstash_token=${encodeURIComponent(QSTASH_TOKEN)}`;
    const response = await fetch(`${QSTASH_URL}/v2/publish/${target.url}?a=1&${token}&b=2`, {
      method: "POST",
    });
    expect(response.status).toBe(200);
    const [delivery] = await target.received(1);
    expect(delivery?.target.split("?")[1]).toBe("a=1&b=2");
  });
});
