import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Receiver } from "@upstash/qstash";
import { afterAll, afterEach, beforeAll, describe, inject, it } from "vitest";
import { startQstashGateway, type QstashGatewayOptions } from "../../dev/gateways/qstash/gateway.ts";
import { connect, destination, reached, until } from "./qstash-support.ts";

const { settings } = inject("cloud");
const token = settings["QSTASH_TOKEN"] ?? "";
const pair = {
  currentSigningKey: settings["QSTASH_CURRENT_SIGNING_KEY"] ?? "",
  nextSigningKey: settings["QSTASH_NEXT_SIGNING_KEY"] ?? "",
};

const LISTENING = /^qstash listening (http:\/\/127\.0\.0\.1:\d+)\n$/;

/** A gateway for one test alone. */
function start(options: Partial<QstashGatewayOptions> = {}) {
  return startQstashGateway({ port: 0, dataFile: ":memory:", token, ...pair, ...options });
}

describe("a private gateway", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "qstash-"));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it("divides waits by its speed and nothing more", async ({ expect }) => {
    const gateway = await start({ speed: 100 });
    const client = connect(gateway.url);
    const target = destination("speed");
    await target.answers({ status: 500, remaining: 1 });
    const { messageId } = await client.publish({ url: target.url, delay: "20s" });
    const { createdAt, notBefore } = await client.messages.get(messageId);
    expect(notBefore).toBe(createdAt + 20_000);
    const [first, second] = await target.received(2);
    expect(first?.time).toBeGreaterThanOrEqual(createdAt + 200);
    await reached(client, messageId, "DELIVERED");
    const { logs } = await client.logs({ filter: { messageId, state: "RETRY" } });
    expect((logs[0]?.nextDeliveryTime ?? 0) - (logs[0]?.time ?? 0)).toBe(122);
    expect(second?.time).toBeGreaterThanOrEqual(logs[0]?.nextDeliveryTime ?? Infinity);
    await gateway.close();
  });

  it("forgets a deduplication id after its window", async ({ expect }) => {
    const gateway = await start({ deduplicationWindowMs: 200 });
    const client = connect(gateway.url);
    const target = destination("window");
    const publish = () => client.publish({ url: target.url, deduplicationId: "x", delay: "1h" });
    const first = await publish();
    const later = await until("the window to pass", async () => {
      const again = await publish();
      return again.deduplicated ? undefined : again;
    });
    expect(later.messageId).not.toBe(first.messageId);
    await gateway.close();
  });

  it("refuses a speed at which waits would not end", async ({ expect }) => {
    for (const speed of [0, -1, Number.NaN]) await expect(start({ speed })).rejects.toThrow("speed");
  });

  it("has no more deliveries in flight than allowed", async ({ expect }) => {
    const gateway = await start({ maxInFlight: 3 });
    const client = connect(gateway.url);
    const target = destination("bounded");
    await target.answers({ delayMs: 100 });
    await client.batch(Array.from({ length: 12 }, () => ({ url: target.url })));
    const times = (await target.received(12)).map(({ time }) => time);
    for (const [index, time] of times.entries()) {
      if (index >= 3) expect(time).toBeGreaterThanOrEqual((times[index - 3] ?? Infinity) + 100);
    }
    expect(await client.flowControl.getGlobalParallelism()).toMatchObject({ parallelismMax: 3 });
    await gateway.close();
  });

  it("fires a schedule at the minutes of its zone", async ({ expect }) => {
    const gateway = await start();
    const client = connect(gateway.url);
    const next = async (cron: string) => {
      const { scheduleId } = await client.schedules.create({ destination: "https://a.example/", cron });
      return new Date((await client.schedules.get(scheduleId)).nextScheduleTime ?? 0).toISOString().slice(11);
    };
    expect(await next("30 4 * * *")).toBe("04:30:00.000Z");
    expect(await next("CRON_TZ=Asia/Seoul 30 4 * * *")).toBe("19:30:00.000Z");
    await gateway.close();
  });

  it("keeps rotated keys over a restart, and drops them for a newly configured pair", async ({ expect }) => {
    const dataFile = join(folder, "keys.sqlite");
    const readKeys = async (url: string, action = "") => {
      const headers = { authorization: `Bearer ${token}` };
      const response = await fetch(`${url}/v2/keys${action}`, {
        method: action === "" ? "GET" : "POST",
        headers,
      });
      return (await response.json()) as { current: string; next: string };
    };
    const first = await start({ dataFile });
    const rotated = await readKeys(first.url, "/rotate");
    const target = destination("two-rotations");
    await readKeys(first.url, "/rotate");
    await connect(first.url).publish({ url: target.url, body: "x" });
    const [delivery] = await target.received(1);
    // Two rotations leave a receiver that knows only the first pair behind, as in production.
    const request = { signature: delivery?.headers["upstash-signature"] ?? "", body: "x", url: target.url };
    await expect(new Receiver({ ...pair, devMode: false }).verify(request)).rejects.toThrow("signature");
    const kept = await readKeys(first.url);
    expect(kept.current).toBe(rotated.next);
    await first.close();

    const second = await start({ dataFile });
    expect(await readKeys(second.url)).toEqual(kept);
    await second.close();
    const third = await start({ dataFile, currentSigningKey: "sig_new", nextSigningKey: "sig_newer" });
    expect(await readKeys(third.url)).toEqual({ current: "sig_new", next: "sig_newer" });
    await third.close();
  });

  it("refuses a data file that another gateway uses", async ({ expect }) => {
    const dataFile = join(folder, "shared.sqlite");
    const first = await start({ dataFile });
    await expect(start({ dataFile })).rejects.toThrow("another gateway is using it");
    await first.close();
    const second = await start({ dataFile });
    await second.close();
  });

  it("takes up everything after an orderly stop: delayed, queued, waiting for a key, and schedules", async ({
    expect,
  }) => {
    const dataFile = join(folder, "resume.sqlite");
    const first = await start({ dataFile, speed: 60 });
    const before = connect(first.url);
    const target = destination("resume");
    const queue = { queueName: "q" };
    await before.queue(queue).upsert({ paused: true });
    await before.flowControl.pause("k");
    await before.publish({ url: target.url, body: "delayed", delay: "60s" });
    await before.queue(queue).enqueue({ url: target.url, body: "queued" });
    await before.publish({ url: target.url, body: "waiting", flowControl: { key: "k", parallelism: 1 } });
    await before.schedules.create({ destination: target.url, cron: "* * * * *", body: "scheduled" });
    await first.close();

    const second = await start({ dataFile, speed: 60 });
    const after = connect(second.url);
    await after.queue(queue).resume();
    await after.flowControl.resume("k");
    const wanted = ["delayed", "queued", "scheduled", "waiting"];
    const seen = await until("all kinds", async () => {
      const bodies = new Set((await target.deliveries()).map(({ body }) => body.text));
      return bodies.size === wanted.length ? bodies : undefined;
    });
    expect([...seen].toSorted()).toEqual(wanted);
    await second.close();
  });

  it("delivers in order past 9,000 messages that wait for a time, a queue and a key", async ({ expect }) => {
    const gateway = await start();
    const client = connect(gateway.url);
    await client.queue({ queueName: "paused" }).upsert({ paused: true });
    await client.flowControl.pause("paused");
    const limited = (key: string) => ({ flowControl: { key, parallelism: 1 } });
    const waiting = [{ delay: "7d" as const }, { queueName: "paused" }, limited("paused")];
    for (const options of [...waiting, ...waiting, ...waiting]) {
      const unwanted = destination("unwanted");
      await client.batch(Array.from({ length: 1000 }, () => ({ url: unwanted.url, ...options })));
    }
    for (const options of [{ queueName: "open" }, limited("open"), {}]) {
      const target = destination("wanted");
      await client.batch(
        Array.from({ length: 200 }, (_, index) => ({ url: target.url, body: String(index), ...options })),
      );
      const numbers = (await target.received(200)).map(({ body }) => Number(body.text));
      // Those that stand in no line start in order, but up to 50 are in flight together.
      const inLine = Object.keys(options).length > 0;
      const compared = inLine ? numbers : numbers.toSorted((a, b) => a - b);
      expect(compared).toEqual(Array.from({ length: 200 }, (_, index) => index));
    }
    await gateway.close();
  });
});

describe("the command", () => {
  const script = fileURLToPath(new URL("../../dev/gateways/qstash/main.ts", import.meta.url));
  const children: ChildProcess[] = [];
  afterEach(() => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
  });

  /** Runs the command and collects what it prints. */
  function run(...flags: string[]) {
    const child = spawn(process.execPath, [script, ...flags], { stdio: ["ignore", "pipe", "pipe"] });
    children.push(child);
    const printed = { out: "", error: "" };
    child.stdout.on("data", (chunk: Buffer) => {
      printed.out += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      printed.error += chunk.toString();
    });
    return { child, printed };
  }

  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    it(`prints where it listens and exits with 0 on ${signal}, also with deliveries in flight`, async ({
      expect,
    }) => {
      const { child, printed } = run("--port=0", "--data-file=:memory:", `--token=${token}`);
      const url = await until("the line", async () => LISTENING.exec(printed.out)?.[1]);
      const health = await fetch(`${url}/_local/health`);
      expect(await health.json()).toEqual({ status: "ok", name: "qstash" });
      const target = destination("in-flight");
      await target.answers({ delayMs: 30_000 });
      await connect(url).publish({ url: target.url });
      await target.received(1);
      const exit = once(child, "exit");
      child.kill(signal);
      expect(await exit).toEqual([0, null]);
      expect(printed.error).toBe("");
    });
  }

  it("says in one line what is wrong with a flag", async ({ expect }) => {
    const { child, printed } = run("--speed=fast");
    expect(await once(child, "close")).toEqual([1, null]);
    expect(printed.error).toBe('qstash: --speed must be a number, not "fast"\n');
  });
});
