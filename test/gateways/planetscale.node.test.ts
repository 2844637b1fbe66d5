/** The limits of the PlanetScale gateway: time, rows, bytes, connections. */
import { Client, connect } from "@planetscale/database";
import type { RowDataPacket } from "mysql2/promise";
import { describe, it } from "vitest";
import {
  countOf,
  direct,
  failureOf,
  insert,
  ownTable,
  running,
  startOwnGateway,
} from "../support/node/planetscale.ts";
import { waitFor } from "../support/patience.ts";

const table = ownTable();

const tenRows = `SELECT a.n FROM (SELECT 1 AS n UNION SELECT 2) AS a,
  (SELECT 1 AS n UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5) AS b`;

describe("a transaction that takes too long", () => {
  it("is rolled back, frees its locks, and fails from then on", async ({ expect }) => {
    const { url, connections } = await startOwnGateway({ transactionTimeoutMs: 3_000 });
    const key = crypto.randomUUID();
    await direct.query(insert(key));
    const connection = connect({ url });
    await connection.execute("BEGIN");
    await connection.execute(`UPDATE ${table} SET n = 1 WHERE k = '${key}'`);
    await waitFor(async () => expect(await connections()).toMatchObject({ transactions: 0 }));
    // Waits for the lock, if it is still there.
    await direct.query(`UPDATE ${table} SET n = 2 WHERE k = '${key}'`);
    for (const sql of [`UPDATE ${table} SET n = 3 WHERE k = '${key}'`, "COMMIT"]) {
      const failure = await failureOf(connection.execute(sql));
      expect(failure.code).toBe("ABORTED");
      expect(failure.message).toMatch(
        /code = Aborted desc = transaction \S+: ended at .* UTC \(exceeded timeout: 3s\)/,
      );
    }
    await connection.execute("ROLLBACK");
    const [rows] = await direct.query<RowDataPacket[]>(`SELECT n FROM ${table} WHERE k = '${key}'`);
    expect(rows).toEqual([{ n: 2 }]);
  });

  it("does not wait for the statement it is in", async ({ expect }) => {
    const { client } = await startOwnGateway({ transactionTimeoutMs: 3_000 });
    const [key, mark] = [crypto.randomUUID(), crypto.randomUUID()];
    const failure = await failureOf(
      client.transaction(async (tx) => {
        await tx.execute(insert(key));
        await tx.execute(`SELECT SLEEP(60) /* ${mark} */`);
      }),
    );
    expect(failure.code).toBe("ABORTED");
    expect(failure.message).toContain("(exceeded timeout: 3s)");
    await waitFor(async () => expect(await running(mark)).toBe(0));
    expect(await countOf(key)).toBe(0);
  });

  it("fails the statements that wait behind the one it is in", async ({ expect }) => {
    const { url } = await startOwnGateway({ transactionTimeoutMs: 3_000 });
    const key = crypto.randomUUID();
    const connection = connect({ url });
    await connection.execute("BEGIN");
    const attempts = ["SELECT SLEEP(60)", insert(key), "COMMIT"].map((sql) =>
      failureOf(connection.execute(sql)),
    );
    const failures = await Promise.all(attempts);
    expect(failures.map(({ code }) => code)).toEqual(["ABORTED", "ABORTED", "ABORTED"]);
    expect(await countOf(key)).toBe(0);
  });
});

describe("limits", () => {
  it("a statement that runs too long is killed", async ({ expect }) => {
    const { client } = await startOwnGateway({ statementTimeoutMs: 2_000 });
    const mark = crypto.randomUUID();
    const failure = await failureOf(client.execute(`SELECT SLEEP(60) /* ${mark} */`));
    expect(failure.code).toBe("DEADLINE_EXCEEDED");
    expect(failure.message).toMatch(/due to context deadline exceeded, .*\(errno 2013\) \(sqlstate HY000\)/);
    await waitFor(async () => expect(await running(mark)).toBe(0));
    expect((await client.execute("SELECT 'on' AS v")).rows).toEqual([{ v: "on" }]);
  });

  it("a result of more rows than allowed fails, and the connection stays usable", async ({ expect }) => {
    const { client } = await startOwnGateway({ maxRows: 9, maxConnections: 1 });
    const failure = await failureOf(client.execute(tenRows));
    expect(failure.code).toBe("ABORTED");
    expect(failure.message).toContain("code = Aborted desc = Row count exceeded 9 (errno 10001)");
    expect((await client.execute(`${tenRows} LIMIT 9`)).size).toBe(9);
  });

  it("a result that is too large fails", async ({ expect }) => {
    const { client } = await startOwnGateway({ maxResultBytes: 1_000 });
    expect((await failureOf(client.execute("SELECT REPEAT('x', 1001)"))).code).toBe("RESOURCE_EXHAUSTED");
    expect((await client.execute("SELECT REPEAT('x', 1000)")).size).toBe(1);
  });

  it("a result too large in a transaction ends it, as Vitess does", async ({ expect }) => {
    const { url, connections } = await startOwnGateway({ maxRows: 9 });
    const key = crypto.randomUUID();
    const connection = connect({ url });
    await connection.execute("BEGIN");
    await connection.execute(insert(key));
    expect((await failureOf(connection.execute(tenRows))).code).toBe("ABORTED");
    expect(await connections()).toMatchObject({ transactions: 0 });
    await connection.execute("COMMIT");
    expect(await countOf(key)).toBe(0);
  });

  it("with all connections in use, a statement waits for one, and not for ever", async ({ expect }) => {
    const { client, url } = await startOwnGateway({ maxConnections: 1, waitLimitMs: 2_000 });
    const connection = connect({ url });
    await connection.execute("BEGIN");
    const failure = await failureOf(client.execute("SELECT 1"));
    expect(failure.code).toBe("RESOURCE_EXHAUSTED");
    expect(failure.message).toContain("transaction pool connection limit exceeded");
    const waiting = client.execute("SELECT 'got it' AS v");
    await connection.execute("ROLLBACK");
    expect((await waiting).rows).toEqual([{ v: "got it" }]);
  });

  it("200 statements at once share few connections", async ({ expect }) => {
    const { client, connections } = await startOwnGateway({ maxConnections: 3 });
    const results = await Promise.all(
      Array.from({ length: 200 }, (_unused, index) => client.execute("SELECT ? AS v", [`v${index}`])),
    );
    expect(results.map(({ rows }) => rows[0])).toEqual(results.map((_unused, index) => ({ v: `v${index}` })));
    await waitFor(async () => expect(await connections()).toEqual({ open: 3, idle: 3, transactions: 0 }));
  });

  it("a statement whose client has left while it waited does not run", async ({ expect }) => {
    const { calls, url, client } = await startOwnGateway({ maxConnections: 1 });
    const key = crypto.randomUUID();
    const connection = connect({ url });
    await connection.execute("BEGIN");
    const leaving = new AbortController();
    const impatient = new Client({
      url,
      fetch: (input, init) => fetch(input, { ...init, signal: leaving.signal }),
    });
    const attempt = impatient.execute(insert(key));
    await waitFor(async () => expect(await calls(key)).toMatchObject([{ endedAt: null }]));
    leaving.abort();
    await expect(attempt).rejects.toThrow();
    await waitFor(async () =>
      expect(await calls(key)).toMatchObject([{ endedAt: expect.any(Number), status: null }]),
    );
    await connection.execute("COMMIT");
    await client.execute("SELECT 1");
    expect(await countOf(key)).toBe(0);
  });

  it("neither does one that waited for its turn in a transaction", async ({ expect }) => {
    const { calls, url } = await startOwnGateway();
    const key = crypto.randomUUID();
    const leaving = new AbortController();
    let signal: AbortSignal | null = null;
    const connection = connect({ url, fetch: (input, init) => fetch(input, { ...init, signal }) });
    await connection.execute("BEGIN");
    const first = connection.execute("SELECT SLEEP(0.3)");
    signal = leaving.signal;
    const second = connection.execute(insert(key));
    await waitFor(async () => expect(await calls(key)).toMatchObject([{ endedAt: null }]));
    leaving.abort();
    await expect(second).rejects.toThrow();
    signal = null;
    await first;
    await connection.execute("COMMIT");
    expect(await calls(key)).toMatchObject([{ status: null }]);
    expect(await countOf(key)).toBe(0);
  });
});
