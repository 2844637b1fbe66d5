import { describe, it } from "vitest";
import {
  connect,
  destination,
  HELD_MS,
  reached,
  statesOf,
  unique,
  until,
  type Delivery,
} from "./qstash-support.ts";

const client = connect();

const texts = (deliveries: Delivery[]) => deliveries.map(({ body }) => body.text);

describe("a queue", () => {
  it("delivers in order, the next only after the retries of the one before", async ({ expect }) => {
    const queue = client.queue({ queueName: unique("fifo") });
    const target = destination("fifo");
    await target.answers({ status: 500, remaining: 2 });
    for (const body of ["a", "b", "c"]) await queue.enqueue({ url: target.url, body, retryDelay: "200" });
    expect(texts(await target.received(5))).toEqual(["a", "a", "a", "b", "c"]);
  });

  it("is created by its first message with one consumer, and waits for callbacks", async ({ expect }) => {
    const queueName = unique("implicit");
    const queue = client.queue({ queueName });
    const target = destination("implicit");
    const callback = destination("implicit-callback");
    // The callback succeeds at its second attempt; until then the second message waits.
    await callback.answers({ status: 500, remaining: 1 });
    const first = await queue.enqueueJSON({
      url: target.url,
      body: 1,
      callback: callback.url,
      retryDelay: "10000",
    });
    await queue.enqueueJSON({ url: target.url, body: 2 });
    expect(await queue.get()).toMatchObject({ name: queueName, parallelism: 1, paused: false });
    const [, second] = await target.received(2);
    const [, delivered] = await callback.received(2);
    expect(second?.time).toBeGreaterThanOrEqual(delivered?.time ?? Infinity);
    expect(await reached(client, first.messageId, "DELIVERED")).toContain("DELIVERED");
  });

  it("keeps as many under way as its parallelism", async ({ expect }) => {
    const queue = client.queue({ queueName: unique("parallel") });
    await queue.upsert({ parallelism: 2 });
    const slow = destination("parallel-slow");
    await slow.answers({ delayMs: HELD_MS });
    const quick = destination("parallel-quick");
    const outside = destination("parallel-outside");
    const first = await queue.enqueue({ url: slow.url });
    await queue.enqueue({ url: slow.url });
    await queue.enqueue({ url: quick.url });
    // The second arrives although the first has not been answered; the third has to wait for one of them.
    await slow.received(2);
    expect(await statesOf(client, first.messageId)).toEqual(["CREATED", "ACTIVE"]);
    await client.publish({ url: outside.url });
    await outside.received(1);
    expect(await quick.deliveries()).toEqual([]);
    await slow.release();
    expect(await quick.received(1)).toHaveLength(1);
  });

  it("holds its messages while it is paused and delivers them in order afterwards", async ({ expect }) => {
    const queueName = unique("paused");
    const queue = client.queue({ queueName });
    await queue.upsert({ paused: true });
    const target = destination("paused");
    for (const body of ["1", "2"]) await queue.enqueue({ url: target.url, body });
    const outside = destination("outside");
    await client.publish({ url: outside.url });
    await outside.received(1);
    expect(await target.deliveries()).toEqual([]);
    expect(await queue.get()).toMatchObject({ paused: true, lag: 2 });
    await queue.resume();
    expect(texts(await target.received(2))).toEqual(["1", "2"]);
    await until("the queue to be empty", async () => ((await queue.get()).lag === 0 ? true : undefined));
  });

  it("gives a delayed message its place when its delay is over", async ({ expect }) => {
    const queueName = unique("late");
    const queue = client.queue({ queueName });
    await queue.upsert({ paused: true });
    const target = destination("late");
    const marker = destination("late-marker");
    // In one call: on a slow machine the delay may be over before the next.
    await client.batch([
      { queueName, url: target.url, body: "delayed", delay: "20s" },
      { queueName, url: target.url, body: "before" },
    ]);
    await client.publish({ url: marker.url, delay: "25s" });
    await marker.received(1);
    await queue.enqueue({ url: target.url, body: "after" });
    await queue.resume();
    expect(texts(await target.received(3))).toEqual(["before", "delayed", "after"]);
  });

  it("keeps the place of a message whose retry comes due while it is paused", async ({ expect }) => {
    const queue = client.queue({ queueName: unique("paused-retry") });
    const target = destination("paused-retry");
    const marker = destination("paused-retry-marker");
    await target.answers({ status: 500, delayMs: HELD_MS, remaining: 1 });
    const head = await queue.enqueue({ url: target.url, body: "head", retryDelay: "20000" });
    await queue.enqueue({ url: target.url, body: "next" });
    await target.received(1);
    await queue.pause();
    await target.release();
    await reached(client, head.messageId, "RETRY");
    await client.publish({ url: marker.url, delay: "25s" });
    await marker.received(1);
    expect(await target.deliveries()).toHaveLength(1);
    await queue.resume();
    expect(texts(await target.received(3))).toEqual(["head", "head", "next"]);
  });

  it("goes on when the message at its head is cancelled", async ({ expect }) => {
    const queue = client.queue({ queueName: unique("cancelled-head") });
    const target = destination("cancelled-head");
    await target.answers({ status: 500, remaining: 1 });
    const head = await queue.enqueue({ url: target.url, body: "head", retryDelay: "86400000" });
    await queue.enqueue({ url: target.url, body: "next" });
    await reached(client, head.messageId, "RETRY");
    await client.messages.cancel(head.messageId);
    expect(texts(await target.received(2))).toEqual(["head", "next"]);
  });

  it("goes with its messages when it is removed", async ({ expect }) => {
    const queue = client.queue({ queueName: unique("removed") });
    await queue.upsert({ paused: true });
    const { messageId } = await queue.enqueue({ url: destination("removed").url });
    await queue.delete();
    await expect(queue.get()).rejects.toMatchObject({ status: 404 });
    expect(await reached(client, messageId, "CANCELLED")).toEqual(["CREATED", "CANCELLED"]);
  });
});

describe("flow control", () => {
  it("keeps no more in flight than its parallelism, in order", async ({ expect }) => {
    const target = destination("flow");
    await target.answers({ delayMs: 100 });
    const flowControl = { key: unique("flow"), parallelism: 1 };
    for (const body of ["1", "2", "3"]) await client.publish({ url: target.url, body, flowControl });
    const info = await client.flowControl.get(flowControl.key);
    expect(info).toMatchObject({
      flowControlKey: flowControl.key,
      parallelismMax: 1,
      rateMax: 0,
      isPaused: false,
    });
    const deliveries = await target.received(3);
    expect(texts(deliveries)).toEqual(["1", "2", "3"]);
    const [first, second, third] = deliveries.map(({ time }) => time);
    expect(second).toBeGreaterThanOrEqual((first ?? 0) + 100);
    expect(third).toBeGreaterThanOrEqual((second ?? 0) + 100);
  });

  it("lets waiting messages in when a later one brings a higher limit", async ({ expect }) => {
    const slow = destination("raised-slow");
    await slow.answers({ delayMs: HELD_MS });
    const target = destination("raised");
    const key = unique("raised");
    const first = await client.publish({ url: slow.url, flowControl: { key, parallelism: 1 } });
    await slow.received(1);
    await client.publish({ url: target.url, body: "waiting", flowControl: { key, parallelism: 1 } });
    await until("the second to wait", async () =>
      (await client.flowControl.get(key)).waitListSize === 1 ? true : undefined,
    );
    await client.publish({ url: target.url, body: "later", flowControl: { key, parallelism: 2 } });
    expect(texts(await target.received(2))).toEqual(["waiting", "later"]);
    expect(await statesOf(client, first.messageId)).toEqual(["CREATED", "ACTIVE"]);
    await slow.release();
  });

  it("lets no more start per period than its rate until the rate is reset", async ({ expect }) => {
    const target = destination("rate");
    // One at a time: two in flight may arrive in any order.
    const flowControl = { key: unique("rate"), rate: 2, period: "7d", parallelism: 1 } as const;
    const publish = (body: string) => client.publish({ url: target.url, body, flowControl });
    const [first, second] = [await publish("1"), await publish("2"), await publish("3")];
    // Nothing is in flight, so that it is the rate that holds the third.
    for (const { messageId } of [first, second]) await reached(client, messageId, "DELIVERED");
    await until("the third to wait", async () =>
      (await client.flowControl.get(flowControl.key)).waitListSize === 1 ? true : undefined,
    );
    expect(await client.flowControl.get(flowControl.key)).toMatchObject({
      rateMax: 2,
      rateCount: 2,
      ratePeriod: 604_800,
    });
    expect(await target.deliveries()).toHaveLength(2);
    await client.flowControl.resetRate(flowControl.key);
    expect(texts(await target.received(3))).toEqual(["1", "2", "3"]);
  });

  it("starts the next period by itself", async ({ expect }) => {
    const target = destination("period");
    const flowControl = { key: unique("period"), rate: 1, period: "10s", parallelism: 1 } as const;
    for (const body of ["1", "2", "3"]) await client.publish({ url: target.url, body, flowControl });
    expect(texts(await target.received(3))).toEqual(["1", "2", "3"]);
  });

  it("holds messages while the key is paused", async ({ expect }) => {
    const target = destination("flow-paused");
    const flowControl = { key: unique("flow-paused"), parallelism: 5 };
    await client.flowControl.pause(flowControl.key);
    await client.publish({ url: target.url, flowControl });
    await until("the message to wait", async () =>
      (await client.flowControl.get(flowControl.key)).waitListSize === 1 ? true : undefined,
    );
    expect(await target.deliveries()).toEqual([]);
    await client.flowControl.resume(flowControl.key);
    expect(await target.received(1)).toHaveLength(1);
  });

  it("ignores what messages bring while a value is pinned", async ({ expect }) => {
    const key = unique("pinned");
    await client.flowControl.pin(key, { parallelism: 3, rate: 20, period: 120 });
    const publish = () =>
      client.publish({
        url: destination("pinned").url,
        flowControl: { key, parallelism: 9, rate: 8, period: "1m" },
      });
    await publish();
    const pinned = {
      parallelismMax: 3,
      rateMax: 20,
      ratePeriod: 120,
      isPinnedParallelism: true,
      isPinnedRate: true,
    };
    expect(await client.flowControl.get(key)).toMatchObject(pinned);
    await client.flowControl.unpin(key, { parallelism: true });
    await publish();
    expect(await client.flowControl.get(key)).toMatchObject({
      ...pinned,
      parallelismMax: 9,
      isPinnedParallelism: false,
    });
  });

  it("tells how many deliveries are allowed at once in all", async ({ expect }) => {
    expect((await client.flowControl.getGlobalParallelism()).parallelismMax).toBeGreaterThan(0);
  });
});
