import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Client } from "@upstash/qstash";
import { afterAll, afterEach, beforeAll, describe, inject, it } from "vitest";
import { connect, destination, HELD_MS, statesOf, unique, until } from "./qstash-support.ts";

const script = fileURLToPath(new URL("../../dev/gateways/qstash/main.ts", import.meta.url));

/** Fast enough for the waits below, slow enough that they outlast the crash. */
const SPEED = 10;

/** Retries alone wait 10 s. */
const COUNT_PATIENCE_MS = 60_000;

type Running = { child: ChildProcess; client: Client };

describe("after kill -9", () => {
  let folder = "";
  const children: ChildProcess[] = [];
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "qstash-crash-"));
  });
  afterEach(() => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
  });
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  async function start(file: string): Promise<Running> {
    const { QSTASH_TOKEN = "" } = inject("cloud").settings;
    const flags = [
      "--port=0",
      `--data-file=${join(folder, file)}`,
      `--token=${QSTASH_TOKEN}`,
      `--speed=${SPEED}`,
    ];
    const child = spawn(process.execPath, [script, ...flags], { stdio: ["ignore", "pipe", "inherit"] });
    children.push(child);
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    const url = await until("the gateway to listen", async () => /listening (\S+)/.exec(output)?.[1]);
    return { child, client: connect(url) };
  }

  async function crash({ child }: Running): Promise<void> {
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  }

  it("no job of 200 under way is lost: active, delayed, retrying, queued, waiting for a key", async ({
    expect,
  }) => {
    const slow = destination("crash-slow");
    await slow.answers({ delayMs: HELD_MS });
    const failing = destination("crash-failing");
    await failing.answers({ status: 500, remaining: 40 });
    const delayed = destination("crash-delayed");
    const label = unique("crash");
    const before = await start("jobs.sqlite");

    const kinds = [
      { count: 40, publish: { url: failing.url, retryDelay: "100000" } },
      { count: 30, publish: { url: slow.url } },
      { count: 70, publish: { url: delayed.url, delay: "50s" } },
      { count: 30, publish: { url: slow.url, queueName: "crash" } },
      { count: 30, publish: { url: slow.url, flowControl: { key: "crash", parallelism: 3 } } },
    ] as const;
    const ids: string[] = [];
    for (const { count, publish } of kinds) {
      const items = Array.from({ length: count }, () => ({ ...publish, label }));
      for (const answer of await before.client.batch(items))
        ids.push((answer as { messageId: string }).messageId);
      // The failing ones have to be between two attempts when the others start.
      if (publish.url === failing.url) await countReaches(before.client, { label, state: "RETRY" }, 40);
    }
    expect(new Set(ids).size).toBe(200);
    // 30 plain ones, one of the queue, three of the flow-control key.
    await slow.received(34);
    await crash(before);

    await slow.answers({ status: 200 });
    const after = await start("jobs.sqlite");
    await countReaches(after.client, { label, state: "DELIVERED" }, 200);
    const deliveries = (await Promise.all([slow, failing, delayed].map((one) => one.deliveries()))).flat();
    const arrived = new Set(deliveries.map(({ headers }) => headers["upstash-message-id"]));
    expect(ids.filter((id) => !arrived.has(id))).toEqual([]);
    const retriedOf = (id: string | undefined) =>
      deliveries
        .filter(({ headers }) => headers["upstash-message-id"] === id)
        .map(({ headers }) => headers["upstash-retried"]);
    // A retry keeps its count. What was in flight is started a second time, and no failure counted against it.
    expect(retriedOf(ids[0])).toEqual(["0", "1"]);
    expect(retriedOf(ids[40])).toEqual(["0", "0"]);
    expect(await statesOf(after.client, ids[40] ?? "")).toEqual(["CREATED", "ACTIVE", "ACTIVE", "DELIVERED"]);
  });

  it("everything that was answered is there, at whatever moment it dies", async ({ expect }) => {
    const target = destination("crash-publish");
    const before = await start("answered.sqlite");
    const answered: string[] = [];
    const publish = async () => {
      for (;;) {
        const { messageId } = await before.client.publish({ url: target.url, body: "x", delay: "30d" });
        answered.push(messageId);
      }
    };
    const publishers = Promise.allSettled(Array.from({ length: 8 }, publish));
    await until("a few hundred answers", async () => (answered.length >= 300 ? true : undefined));
    await crash(before);
    await publishers;

    const after = await start("answered.sqlite");
    const found = await Promise.all(answered.map((id) => after.client.messages.get(id)));
    expect(found.map(({ messageId }) => messageId)).toEqual(answered);
  });
});

/** Waits until so many log entries match. */
function countReaches(
  client: Client,
  filter: { label: string; state: "RETRY" | "DELIVERED" },
  count: number,
) {
  const countNow = async () => {
    let found = 0;
    let cursor: string | undefined;
    do {
      const page = await client.logs({ filter, ...(cursor === undefined ? {} : { cursor }) });
      found += page.logs.length;
      cursor = page.cursor;
    } while (cursor !== undefined);
    return found >= count ? found : undefined;
  };
  return until(`${count} times ${filter.state}`, countNow, COUNT_PATIENCE_MS);
}
