/** Delay, faults and the record of calls on a PlanetScale gateway, as a test of the Worker would use them. */
import { Client } from "@planetscale/database";
import { describe, it } from "vitest";
import { countOf, failureOf, insert, ownTable, startOwnGateway } from "../support/node/planetscale.ts";
import { waitFor } from "../support/patience.ts";

ownTable();

describe("faults", () => {
  it.for([
    ["before", 0],
    ["after", 1],
  ] as const)(
    "drop %s the effect: the connection is cut, and %d rows are written",
    async ([phase, rows], { expect }) => {
      const { client, control, calls } = await startOwnGateway();
      const key = crypto.randomUUID();
      await control("fault", { fault: { mode: "drop", phase, match: key } });
      await expect(client.execute(insert(key))).rejects.toThrow("fetch failed");
      expect(await countOf(key)).toBe(rows);
      expect(await calls(key)).toMatchObject([{ endedAt: expect.any(Number), status: null }]);
    },
  );

  it.for([
    ["before", 0],
    ["after", 1],
  ] as const)(
    "status %s the effect: the SDK's own error, and %d rows are written",
    async ([phase, rows], { expect }) => {
      const { client, control, calls } = await startOwnGateway();
      const key = crypto.randomUUID();
      await control("fault", { fault: { mode: "status", phase, status: 503, match: key } });
      const failure = await failureOf(client.execute(insert(key)));
      expect(failure).toEqual({ status: 503, code: "unavailable", message: "injected fault" });
      expect(await countOf(key)).toBe(rows);
      expect(await calls(key)).toMatchObject([{ endedAt: expect.any(Number), status: 503 }]);
    },
  );

  it.for([
    ["before", 0],
    ["after", 1],
  ] as const)(
    "hang %s the effect: no answer comes, and %d rows are written",
    async ([phase, rows], { expect }) => {
      const { url, control, calls } = await startOwnGateway();
      const key = crypto.randomUUID();
      const leaving = new AbortController();
      const client = new Client({
        url,
        fetch: (input, init) => fetch(input, { ...init, signal: leaving.signal }),
      });
      await control("fault", { fault: { mode: "hang", phase, match: key } });
      const attempt = client.execute(insert(key));
      await waitFor(async () => expect(await calls(key)).toMatchObject([{ endedAt: null, status: null }]));
      await waitFor(async () => expect(await countOf(key)).toBe(rows));
      leaving.abort();
      await expect(attempt).rejects.toThrow();
      await waitFor(async () =>
        expect(await calls(key)).toMatchObject([{ endedAt: expect.any(Number), status: null }]),
      );
    },
  );

  it("hits as many matching calls as it says, and no other", async ({ expect }) => {
    const { client, control } = await startOwnGateway();
    const key = crypto.randomUUID();
    await control("fault", { fault: { mode: "status", phase: "before", remaining: 2, match: "INSERT" } });
    await client.execute("SELECT 1");
    const codes = [];
    for (let attempt = 0; attempt < 3; attempt += 1) {
      codes.push(
        await failureOf(client.execute(insert(key))).then(
          ({ status }) => status,
          () => "written",
        ),
      );
    }
    expect(codes).toEqual([500, 500, "written"]);
    expect(await countOf(key)).toBe(1);
  });

  it("one that loses the answer of a COMMIT leaves it committed", async ({ expect }) => {
    const { client, control } = await startOwnGateway();
    const key = crypto.randomUUID();
    await control("fault", { fault: { mode: "drop", phase: "after", match: "COMMIT" } });
    await expect(client.transaction((tx) => tx.execute(insert(key)))).rejects.toThrow("fetch failed");
    expect(await countOf(key)).toBe(1);
  });

  it("null ends it", async ({ expect }) => {
    const { client, control } = await startOwnGateway();
    await control("fault", { fault: { mode: "drop", phase: "before" } });
    await expect(client.execute("SELECT 1")).rejects.toThrow("fetch failed");
    await control("fault", { fault: null });
    expect((await client.execute("SELECT 'v' AS v")).rows).toEqual([{ v: "v" }]);
  });
});

describe("delay", () => {
  it("holds every call back, and 0 ends it", async ({ expect }) => {
    const { client, control, calls } = await startOwnGateway();
    await control("delay", { ms: 50 });
    await client.execute("SELECT 'slow'");
    await control("delay", { ms: 0 });
    await client.execute("SELECT 'quick'");
    const [slow] = await calls("slow");
    // Timers are whole milliseconds, the record is not.
    expect((slow?.endedAt ?? 0) - (slow?.startedAt ?? 0)).toBeGreaterThan(49);
    expect(await calls("quick")).toMatchObject([{ status: 200 }]);
  });
});

describe("the record of calls", () => {
  it("lists statements in the order they came, and can be emptied", async ({ expect }) => {
    const { gateway, client, calls } = await startOwnGateway();
    await client.execute("SELECT 'forgotten'");
    await fetch(`${gateway.url}/_local/calls`, { method: "DELETE" });
    await client.transaction(async (tx) => {
      await tx.execute("SELECT ?", ["filled in"]);
    });
    await failureOf(client.execute("SELEC 1"));
    const all = await calls("");
    expect(all.map(({ label }) => label)).toEqual(["BEGIN", "SELECT 'filled in'", "COMMIT", "SELEC 1"]);
    expect(all.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(all.map(({ target }) => target)).toEqual(all.map(() => "/psdb.v1alpha1.Database/Execute"));
  });

  it("does not list the control surface itself", async ({ expect }) => {
    const { calls, control } = await startOwnGateway();
    await control("delay", { ms: 0 });
    expect(await calls("")).toEqual([]);
  });
});
