import { describe, it } from "vitest";
import { callApi, connect, destination, reached, unique, until } from "./qstash-support.ts";

const client = connect();

/** Publishes a message that fails for good, and gives its entry in the dead letter queue. */
async function failedMessage(target: ReturnType<typeof destination>, label?: string) {
  await target.answers({ status: 503, headers: { "x-reason": "down" }, body: "out of order", remaining: 1 });
  const { messageId } = await client.publish({
    url: target.url,
    body: "work",
    headers: { "x-job": "7" },
    retries: 0,
    ...(label === undefined ? {} : { label }),
  });
  return until(`${messageId} to be dead`, async () => {
    const { messages } = await client.dlq.listMessages({ filter: { messageId } });
    return messages[0];
  });
}

describe("the dead letter queue", () => {
  it("holds a message whose last retry failed, with the last answer", async ({ expect }) => {
    const target = destination("dead");
    const entry = await failedMessage(target, target.url);
    expect(entry).toMatchObject({
      url: target.url,
      body: "work",
      header: { "X-Job": ["7"] },
      label: target.url,
      maxRetries: 0,
      responseStatus: 503,
      responseHeader: { "X-Reason": ["down"] },
      responseBody: "out of order",
    });
    expect(entry.dlqId).toMatch(/^\d+-\d+$/);
    const response = await callApi("GET", `/v2/dlq/${entry.dlqId}`);
    expect(await response.json()).toMatchObject({ messageId: entry.messageId });
    const byStatus = await client.dlq.listMessages({
      filter: { label: target.url, responseStatus: [500, 503] },
    });
    expect(byStatus.messages).toHaveLength(1);
    const byOther = await client.dlq.listMessages({ filter: { label: target.url, responseStatus: 500 } });
    expect(byOther.messages).toEqual([]);
  });

  it("sends a message again under a new id and forgets the entry", async ({ expect }) => {
    const target = destination("replay");
    const entry = await failedMessage(target);
    const { responses } = await client.dlq.retry(entry.dlqId);
    expect(responses).toEqual([{ messageId: expect.stringMatching(/^msg_/) }]);
    const [, replayed] = await target.received(2);
    expect(replayed).toMatchObject({
      body: { text: "work" },
      headers: { "x-job": "7", "upstash-retried": "0", "upstash-message-id": responses[0]?.messageId },
    });
    expect(responses[0]?.messageId).not.toBe(entry.messageId);
    const left = await client.dlq.listMessages({ filter: { messageId: entry.messageId } });
    expect(left.messages).toEqual([]);
    await expect(client.dlq.retry(entry.dlqId)).rejects.toMatchObject({ status: 404 });
  });

  it("lets the retry call override what the message was published with", async ({ expect }) => {
    const target = destination("override");
    const { dlqId } = await failedMessage(target);
    const response = await callApi("POST", `/v2/dlq/retry/${dlqId}`, {
      headers: { "Upstash-Retries": "4", "Upstash-Delay": "1h", "Upstash-Forward-X-Again": "yes" },
    });
    expect(response.status).toBe(201);
    const { messageId } = (await response.json()) as { messageId: string };
    expect(await client.messages.get(messageId)).toMatchObject({
      maxRetries: 4,
      header: { "X-Job": ["7"], "X-Again": ["yes"] },
    });
    await client.messages.cancel(messageId);
  });

  it("is deleted one by one or by filter, in pages", async ({ expect }) => {
    const label = unique("dead");
    const entries = [];
    for (const name of ["a", "b", "c", "d"]) entries.push(await failedMessage(destination(name), label));
    await client.dlq.delete(entries[0]?.dlqId ?? "");
    await expect(client.dlq.delete(entries[0]?.dlqId ?? "")).rejects.toMatchObject({ status: 404 });

    const first = await client.dlq.listMessages({ filter: { label }, count: 2 });
    expect(first.messages).toHaveLength(2);
    const second = await client.dlq.listMessages({ filter: { label }, count: 2, cursor: first.cursor ?? "" });
    expect(second.messages).toHaveLength(1);
    expect(second.cursor).toBeUndefined();

    const deleted = await client.dlq.delete({ filter: { label }, count: 2 });
    expect(deleted).toEqual({ deleted: 2, cursor: expect.any(String) });
    expect(await client.dlq.delete({ filter: { label }, cursor: deleted.cursor ?? "" })).toEqual({
      deleted: 1,
    });
  });

  it("retries all that match a filter", async ({ expect }) => {
    const label = unique("retry-all");
    const targets = [destination("all-1"), destination("all-2")];
    for (const target of targets) await failedMessage(target, label);
    const { responses, cursor } = await client.dlq.retry({ filter: { label } });
    expect(responses).toHaveLength(2);
    expect(cursor).toBeUndefined();
    for (const target of targets) await target.received(2);
  });
});

describe("a callback", () => {
  it("reports every attempt with its answer, counting the retries", async ({ expect }) => {
    const target = destination("called");
    const callback = destination("callback");
    await target.answers(
      { status: 500, remaining: 1 },
      { status: 201, headers: { "x-result": "ok" }, body: "done" },
    );
    const { messageId } = await client.publish({
      url: target.url,
      body: "question",
      retries: 2,
      retryDelay: "1",
      callback: callback.url,
      headers: { "Upstash-Callback-Forward-X-Tenant": "t1", "Upstash-Callback-Method": "PUT" },
    });
    const calls = await callback.received(2);
    const bodies = calls.map(({ body }) => JSON.parse(body.text) as { retried: number });
    expect(bodies.toSorted((a, b) => a.retried - b.retried)).toEqual([
      expect.objectContaining({ status: 500, retried: 0, sourceMessageId: messageId }),
      expect.objectContaining({
        status: 201,
        header: expect.objectContaining({ "X-Result": ["ok"] }),
        body: btoa("done"),
        retried: 1,
        maxRetries: 2,
        sourceMessageId: messageId,
        url: target.url,
        method: "POST",
        sourceBody: btoa("question"),
        callerIP: "127.0.0.1",
      }),
    ]);
    expect(calls[0]).toMatchObject({
      method: "PUT",
      headers: {
        "content-type": "application/json",
        "x-tenant": "t1",
        "upstash-signature": expect.any(String),
      },
    });
  });

  it("for a failure comes once, after the last attempt, with the id of the dead letter", async ({
    expect,
  }) => {
    const target = destination("failing");
    const failure = destination("failure-callback");
    await target.answers({ status: 500, body: "no" });
    const { messageId } = await client.publish({
      url: target.url,
      body: "work",
      retries: 2,
      retryDelay: "1",
      failureCallback: failure.url,
    });
    await reached(client, messageId, "FAILED");
    const [call] = await failure.received(1);
    const report = JSON.parse(call?.body.text ?? "") as { dlqId: string };
    expect(report).toMatchObject({
      status: 500,
      body: btoa("no"),
      retried: 2,
      maxRetries: 2,
      sourceMessageId: messageId,
    });
    expect(await target.deliveries()).toHaveLength(3);
    const response = await callApi("GET", `/v2/dlq/${report.dlqId}`);
    expect(await response.json()).toMatchObject({ messageId });
    expect(await failure.deliveries()).toHaveLength(1);
  });

  it("is not sent for a failure when the message was delivered at last", async ({ expect }) => {
    const target = destination("recovers");
    const failure = destination("no-failure");
    await target.answers({ status: 500, remaining: 1 });
    const { messageId } = await client.publish({
      url: target.url,
      retryDelay: "1",
      failureCallback: failure.url,
    });
    await reached(client, messageId, "DELIVERED");
    const { logs } = await client.logs({ filter: { url: failure.url } });
    expect(logs).toEqual([]);
  });
});
