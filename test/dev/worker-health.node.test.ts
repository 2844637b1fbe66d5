/** When a Worker that was started is taken to serve. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { it, onTestFinished } from "vitest";
import { workerHealth } from "../../dev/cloud/worker.ts";

/** A Worker that gives this answer to everything, until the test ends. @returns its address */
async function workerAnswering(status: number, body: unknown): Promise<string> {
  const server = createServer((_, response) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const checks = { db: "ok", redis: "ok", qstash: "ok", effects: "ok" };

it.for([
  { title: "it is well", status: 200, body: { status: "ok", checks }, is: "ok" },
  {
    title: "the last run left work undone, which is for the cron triggers that fire later",
    status: 200,
    body: { status: "degraded", checks: { ...checks, effects: "late" } },
    is: "ok",
  },
  {
    title: "a part is away, which is named",
    status: 200,
    body: { status: "degraded", checks: { ...checks, redis: "down", effects: "late" } },
    is: "redis down",
  },
  {
    title: "the database is gone",
    status: 503,
    body: { status: 503, detail: "The database cannot be reached" },
    is: "503 The database cannot be reached",
  },
])("$title", async ({ status, body, is }, { expect }) => {
  expect(await workerHealth(await workerAnswering(status, body))).toBe(is);
});

it("nobody answers", async ({ expect }) => {
  expect(await workerHealth("http://127.0.0.1:1")).toBeUndefined();
});
