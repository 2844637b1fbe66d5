import { describe, it } from "vitest";
import { callApi, connect, destination, unique, until } from "./qstash-support.ts";

const client = connect();

describe("a schedule", () => {
  it("shows what it was created with", async ({ expect }) => {
    const { scheduleId } = await client.schedules.create({
      destination: "https://example.com/",
      body: JSON.stringify({ hello: "world" }),
      headers: { "test-header": "test-value" },
      method: "GET",
      callback: "https://example.com/callback",
      failureCallback: "https://example.com/failure",
      delay: 10,
      retries: 5,
      queueName: unique("schedule"),
      cron: "*/10 1 1 1 * ",
    });
    const schedule = await client.schedules.get(scheduleId);
    expect(schedule).toMatchObject({
      scheduleId: expect.stringMatching(/^scd_/),
      cron: "*/10 1 1 1 *",
      destination: "https://example.com/",
      method: "GET",
      header: { "Content-Type": ["application/json"], "Test-Header": ["test-value"] },
      body: '{"hello":"world"}',
      retries: 5,
      delay: 10,
      callback: "https://example.com/callback",
      failureCallback: "https://example.com/failure",
      isPaused: false,
    });
    expect(schedule.nextScheduleTime).toBeGreaterThan(schedule.createdAt);
    expect((await client.schedules.list()).map((one) => one.scheduleId)).toContain(scheduleId);
    await client.schedules.delete(scheduleId);
    await expect(client.schedules.get(scheduleId)).rejects.toMatchObject({ status: 404 });
  });

  it("delivers again and again until it is paused, and again after it is resumed", async ({ expect }) => {
    const target = destination("cron");
    const { scheduleId } = await client.schedules.create({
      destination: target.url,
      cron: "* * * * *",
      body: "tick",
    });
    const [first, second] = await target.received(2);
    expect(first).toMatchObject({ body: { text: "tick" }, headers: { "upstash-schedule-id": scheduleId } });
    expect(second?.headers["upstash-message-id"]).not.toBe(first?.headers["upstash-message-id"]);

    await client.schedules.pause({ schedule: scheduleId });
    const paused = await client.schedules.get(scheduleId);
    expect(paused.isPaused).toBe(true);
    const fired = await publishedBy(scheduleId);
    // Another schedule that fires three times shows that time goes on.
    const clock = destination("clock");
    const other = await client.schedules.create({ destination: clock.url, cron: "* * * * *" });
    await clock.received(3);
    expect(await publishedBy(scheduleId)).toBe(fired);

    await client.schedules.resume({ schedule: scheduleId });
    expect((await client.schedules.get(scheduleId)).isPaused).toBe(false);
    await target.received(fired + 1);
    const { lastScheduleTime, lastScheduleStates } = await client.schedules.get(scheduleId);
    expect(lastScheduleTime).toBeGreaterThan(paused.lastScheduleTime ?? Infinity);
    expect(Object.keys(lastScheduleStates ?? {})).toHaveLength(1);
    await client.schedules.delete(scheduleId);
    await client.schedules.delete(other.scheduleId);
  });

  it("puts its messages into a queue and a URL group", async ({ expect }) => {
    const target = destination("scheduled-group");
    const name = unique("scheduled");
    await client.urlGroups.addEndpoints({ name, endpoints: [{ url: target.url }] });
    const queue = client.queue({ queueName: name });
    await queue.upsert({ paused: true });
    const { scheduleId } = await client.schedules.create({
      destination: name,
      cron: "* * * * *",
      queueName: name,
    });
    await until("a message in the queue", async () => ((await queue.get()).lag > 0 ? true : undefined));
    await client.schedules.delete(scheduleId);
    await queue.resume();
    const [delivery] = await target.received(1);
    expect(delivery?.headers).toMatchObject({
      "upstash-topic-name": name,
      "upstash-schedule-id": scheduleId,
    });
  });

  it("is overwritten completely by one with the same id", async ({ expect }) => {
    const scheduleId = unique("mine");
    const cron = "CRON_TZ=Asia/Seoul 0 3 * * 1";
    await client.schedules.create({
      destination: "https://one.example/",
      cron,
      scheduleId,
      body: "old",
      retries: 1,
    });
    await client.schedules.create({ destination: "https://two.example/", cron: "5 4 * * *", scheduleId });
    const schedule = await client.schedules.get(scheduleId);
    expect(schedule).toMatchObject({ destination: "https://two.example/", cron: "5 4 * * *", retries: 3 });
    expect(schedule.body).toBeUndefined();
    await client.schedules.delete(scheduleId);
  });

  it("is refused for an expression with seconds, with nonsense, in no zone, or that never fires", async ({
    expect,
  }) => {
    for (const cron of [
      "* * * * * *",
      "every day",
      "61 * * * *",
      "CRON_TZ=Mars/Base * * * * *",
      "0 0 30 2 *",
    ]) {
      const response = await callApi("POST", "/v2/schedules/https://example.com", {
        headers: { "Upstash-Cron": cron },
      });
      expect(response.status, cron).toBe(400);
    }
  });
});

/** How many messages the schedule has published so far. */
async function publishedBy(scheduleId: string): Promise<number> {
  const { logs } = await client.logs({ filter: { scheduleId, state: "CREATED" } });
  return logs.length;
}
