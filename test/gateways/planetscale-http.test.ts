/** Answers and refusals of the PlanetScale gateway: the SDK where it can, raw requests where it cannot. */
import { Client, connect } from "@planetscale/database";
import { describe, inject, it } from "vitest";
import { client, execute, failureOf, ownTable, password, request, url, username } from "./planetscale-api.ts";

const cloud = inject("cloud");
const table = ownTable();
const insert = (key: string): string => `INSERT INTO ${table} (k) VALUES ('${key}')`;

describe("answers", () => {
  it("leave out what is zero or empty", async ({ expect }) => {
    expect((await execute(`SELECT k FROM ${table} WHERE k = 'none'`)).result).toEqual({
      fields: [expect.objectContaining({ name: "k", type: "VARCHAR" })],
    });
    expect((await execute(`UPDATE ${table} SET n = 1 WHERE k = 'none'`)).result).toEqual({});
    expect((await execute(`ALTER TABLE ${table} COMMENT 'x'`)).result).toEqual({});
    expect((await execute(insert(crypto.randomUUID()))).result).toEqual({
      rowsAffected: "1",
      insertId: expect.stringMatching(/^\d+$/),
    });
  });

  it("pack a row into lengths and base64", async ({ expect }) => {
    const { result } = await execute("SELECT 'é' AS a, NULL AS b, '' AS c, 42 AS d");
    expect(result?.rows).toEqual([{ lengths: ["2", "-1", "0", "2"], values: btoa("\u00c3\u00a942") }]);
    expect((await execute("SELECT NULL AS a, '' AS b")).result?.rows).toEqual([{ lengths: ["-1", "0"] }]);
  });

  it("carry a session and the time taken, failed ones too", async ({ expect }) => {
    for (const query of ["SELECT 1", "SELEC 1"]) {
      const answer = await execute(query);
      expect(answer.session.vitessSession.SessionUUID).toMatch(/^[\da-f-]{36}$/);
      expect(answer.session.vitessSession.inTransaction).toBeUndefined();
      expect(answer.timing).toBeGreaterThan(0);
    }
  });

  it("CreateSession gives a session that works", async ({ expect }) => {
    const connection = connect({ url });
    await connection.refresh();
    expect((await connection.execute("SELECT 'a' AS v")).rows).toEqual([{ v: "a" }]);
  });
});

describe("refusals of the API", () => {
  it.for([
    ["a wrong password", `${username}:wrong`],
    ["a blank password", `${username}:`],
    ["a wrong user", `nobody:${password}`],
    ["nothing", ":"],
  ] as const)("%s is unauthenticated", async ([_what, credentials], { expect }) => {
    const other = new Client({ url: url.replace(`${username}:${password}`, credentials) });
    const failure = await failureOf(other.execute("SELECT 1"));
    expect(failure.status).toBe(401);
    expect(failure.body.code).toBe("unauthenticated");
    expect((await request("CreateSession", { method: "POST", body: "{}" }, credentials)).status).toBe(401);
  });

  it.for([
    ["an unknown method", "Explode", { method: "POST", body: "{}" }, 404],
    ["another verb", "Execute", { method: "PUT", body: "{}" }, 405],
    ["a body that is no JSON", "Execute", { method: "POST", body: "{" }, 400],
    ["a body that is no object", "Execute", { method: "POST", body: "[]" }, 400],
    ["a query that is no text", "Execute", { method: "POST", body: '{"query":1}' }, 400],
  ] as const)("%s is refused with a JSON error", async ([_what, method, init, status], { expect }) => {
    const response = await request(method, init);
    expect(response.status).toBe(status);
    expect(await response.json()).toEqual({
      error: { code: expect.any(String), message: expect.any(String) },
    });
  });
});

describe("SQL errors", () => {
  it.for([
    [
      "a duplicate key",
      `INSERT INTO ${table} (id, k) VALUES (1, 'dup'), (1, 'dup2')`,
      "ALREADY_EXISTS",
      1062,
      "23000",
    ],
    ["a syntax error", "SELEC 1", "INVALID_ARGUMENT", 1064, "42000"],
    ["an empty statement", "", "INVALID_ARGUMENT", 1065, "42000"],
    ["two statements", "SELECT 1; SELECT 2", "INVALID_ARGUMENT", 1064, "42000"],
    ["a missing table", "SELECT * FROM nowhere", "NOT_FOUND", 1146, "42S02"],
    ["a missing column", `SELECT nothing FROM ${table}`, "NOT_FOUND", 1054, "42S22"],
    ["a text too long", insert("x".repeat(41)), "INVALID_ARGUMENT", 1406, "22001"],
    [
      "a number too big",
      `UPDATE ${table} SET n = 1 WHERE id = 18446744073709551615 + 1`,
      "INVALID_ARGUMENT",
      1690,
      "22003",
    ],
    [
      "grouping that is not full",
      `SELECT k, MAX(n) FROM ${table} GROUP BY n`,
      "INVALID_ARGUMENT",
      1055,
      "42000",
    ],
    ["another database", "USE mysql", "INVALID_ARGUMENT", 1049, "42000"],
    [
      "a trigger",
      `CREATE TRIGGER t BEFORE INSERT ON ${table} FOR EACH ROW SET NEW.n = 1`,
      "UNIMPLEMENTED",
      1235,
      "42000",
    ],
    ["CREATE DATABASE", "/* mine */ create database other", "UNIMPLEMENTED", 1235, "42000"],
  ] as const)("%s has its code, number and state", async ([_what, sql, code, errno, state], { expect }) => {
    const failure = await failureOf(client.execute(sql));
    expect(failure.status).toBe(400);
    expect(failure.body).toEqual({ code, message: failure.message });
    expect(failure.message).toMatch(/^target: \w+\.-\.primary: vttablet: rpc error: code = [A-Z]\w+ desc = /);
    expect(failure.message).toContain(
      ` (errno ${errno}) (sqlstate ${state}) (CallerID: ${username}): Sql: "`,
    );
  });

  it.for([
    "SET @@boost_cached_queries = true",
    "set workload = 'olap';",
    "USE somewhere@replica",
    "USE `db`@primary",
  ])("%s succeeds without effect", async (sql, { expect }) => {
    expect((await execute(sql)).result).toEqual({});
  });
});

describe("the record of calls", () => {
  it("shows each statement, so that a test can count them", async ({ expect }) => {
    const mark = crypto.randomUUID();
    await client.transaction(async (tx) => {
      await tx.execute(`SELECT 1 /* ${mark} */`);
      await tx.execute(`SELECT 2 /* ${mark} */ ${" ".repeat(1_000)}`);
    });
    const response = await fetch(`${cloud.planetscale}/_local/calls`);
    const { calls } = await response.json<{
      calls: { label: string; status: number; startedAt: number }[];
    }>();
    const mine = calls.filter(({ label }) => label.includes(mark));
    expect(mine.map(({ status }) => status)).toEqual([200, 200]);
    expect(mine.map(({ label }) => label.length)).toEqual([`SELECT 1 /* ${mark} */`.length, 500]);
  });
});
