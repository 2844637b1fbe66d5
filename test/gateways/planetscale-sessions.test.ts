/** Sessions and transactions of the PlanetScale gateway: the SDK where it can, raw requests where it cannot. */
import { DatabaseError, type Transaction } from "@planetscale/database";
import { describe, it } from "vitest";
import { begin, client, execute, failureOf, ownTable } from "./planetscale-api.ts";

const table = ownTable();
const insert = (key: string): string => `INSERT INTO ${table} (k) VALUES ('${key}')`;

async function countOf(key: string): Promise<number> {
  const { size } = await client.execute(`SELECT 1 FROM ${table} WHERE k = ?`, [key]);
  return size;
}

describe("state of a session", () => {
  // More requests at once than one, so that several connections are used again.
  const PARALLEL = 20;

  async function everywhere(sql: string): Promise<unknown[]> {
    const results = await Promise.all(Array.from({ length: PARALLEL }, () => client.execute(sql)));
    return results.map(({ rows }) => Object.values(rows[0] ?? {})[0]);
  }

  it.for([
    ["a variable", "SET @leak = 'x'", "SELECT @leak IS NULL", "1"],
    ["the SQL mode", "SET sql_mode = ''", "SELECT @@sql_mode LIKE '%STRICT_TRANS_TABLES%'", "1"],
    ["the time zone", "SET time_zone = '+09:00'", "SELECT @@time_zone = '+00:00'", "1"],
    ["the character set", "SET NAMES latin1", "SELECT @@character_set_client = 'utf8mb4'", "1"],
    ["the database", "/*!USE information_schema */", "SELECT DATABASE() <> 'information_schema'", "1"],
    ["autocommit", "SET autocommit = 0", "SELECT @@autocommit", "1"],
    ["the last id", `SELECT LAST_INSERT_ID(77)`, "SELECT LAST_INSERT_ID()", "0"],
  ] as const)(
    "%s set by one request is unknown to the next",
    async ([_what, set, read, fresh], { expect }) => {
      await everywhere(set);
      expect(new Set(await everywhere(read))).toEqual(new Set([fresh]));
    },
  );

  it("a temporary table ends with its request", async ({ expect }) => {
    await everywhere("CREATE TEMPORARY TABLE fleeting (n INT)");
    const failure = await failureOf(client.execute("SELECT * FROM fleeting"));
    expect(failure.body.code).toBe("NOT_FOUND");
  });

  it("variables last for a transaction", async ({ expect }) => {
    const seen = await client.transaction(async (tx) => {
      await tx.execute("SET @mine = 'kept'");
      return tx.execute("SELECT @mine AS v");
    });
    expect(seen.rows).toEqual([{ v: "kept" }]);
  });
});

describe("transactions", () => {
  it.for([
    "BEGIN",
    "START TRANSACTION",
    "/* why */ start transaction with consistent snapshot",
    "-- x\nbegin work",
  ])("%s opens one, and COMMIT closes it", async (opening, { expect }) => {
    const key = crypto.randomUUID();
    const opened = await execute(opening);
    expect(opened.session.vitessSession.inTransaction).toBe(true);
    const written = await execute(insert(key), opened.session);
    expect(await countOf(key)).toBe(0);
    const closed = await execute("COMMIT", written.session);
    expect(closed.session.vitessSession.inTransaction).toBeUndefined();
    expect(await countOf(key)).toBe(1);
  });

  it("DDL commits it, and COMMIT after that succeeds", async ({ expect }) => {
    const key = crypto.randomUUID();
    const connection = await begin();
    await connection.execute(insert(key));
    await connection.execute(`ALTER TABLE ${table} COMMENT 'y'`);
    expect(await countOf(key)).toBe(1);
    await connection.execute("COMMIT");
  });

  it("a statement that commits and answers with rows ends it", async ({ expect }) => {
    const key = crypto.randomUUID();
    const opened = await execute("BEGIN");
    const written = await execute(insert(key), opened.session);
    const analyzed = await execute(`ANALYZE TABLE ${table}`, written.session);
    expect(analyzed.session.vitessSession.inTransaction).toBeUndefined();
    expect(await countOf(key)).toBe(1);
  });

  it("DDL that fails commits it all the same", async ({ expect }) => {
    const key = crypto.randomUUID();
    const opened = await execute("BEGIN");
    const written = await execute(insert(key), opened.session);
    const failed = await execute(`CREATE TABLE ${table} (id INT)`, written.session);
    expect(failed.error?.code).toBe("ALREADY_EXISTS");
    expect(failed.session.vitessSession.inTransaction).toBeUndefined();
    expect(await countOf(key)).toBe(1);
  });

  it("two that begin from the same session are two", async ({ expect }) => {
    const { session } = await execute("SELECT 1");
    const [first, second] = await Promise.all([execute("BEGIN", session), execute("BEGIN", session)]);
    const key = crypto.randomUUID();
    await execute(insert(key), first.session);
    await execute("COMMIT", second.session);
    expect(await countOf(key)).toBe(0);
    await execute("ROLLBACK", first.session);
    expect(await countOf(key)).toBe(0);
  });

  it("a failed statement leaves it open", async ({ expect }) => {
    const key = crypto.randomUUID();
    await client.transaction(async (tx) => {
      await tx.execute(insert(key));
      expect((await failureOf(tx.execute(insert(key)))).body.code).toBe("ALREADY_EXISTS");
    });
    expect(await countOf(key)).toBe(1);
  });

  it("a deadlock ends one of two, which can then be run again", async ({ expect }) => {
    const [first, second] = [crypto.randomUUID(), crypto.randomUUID()];
    await client.execute(`INSERT INTO ${table} (k) VALUES (?), (?)`, [first, second]);
    const bothHoldOne = Promise.withResolvers<void>();
    let holding = 0;
    const failures: DatabaseError[] = [];

    async function lockBoth(one: string, other: string): Promise<void> {
      const update = `UPDATE ${table} SET n = COALESCE(n, 0) + 1 WHERE k = ?`;
      const work = async (tx: Transaction): Promise<void> => {
        await tx.execute(update, [one]);
        holding += 1;
        if (holding === 2) bothHoldOne.resolve();
        await bothHoldOne.promise;
        await tx.execute(update, [other]);
      };
      try {
        await client.transaction(work);
      } catch (error) {
        failures.push(error as DatabaseError);
        await client.transaction(work);
      }
    }

    await Promise.all([lockBoth(first, second), lockBoth(second, first)]);
    expect(failures).toHaveLength(1);
    expect(failures[0]?.body.code).toBe("ABORTED");
    expect(failures[0]?.message).toContain("(errno 1213) (sqlstate 40001)");
    const { rows } = await client.execute(`SELECT n FROM ${table} WHERE k IN (?)`, [[first, second]]);
    expect(rows).toEqual([{ n: 2 }, { n: 2 }]);
  });

  it("after a deadlock the session is in no transaction, and what was sent before it learned so fails", async ({
    expect,
  }) => {
    const [first, second, late] = [crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID()];
    await client.execute(`INSERT INTO ${table} (k) VALUES (?), (?)`, [first, second]);
    const update = (key: string): string => `UPDATE ${table} SET n = 1 WHERE k = '${key}'`;
    // Where the server chooses its victim is up to it: the first of the two that fails is looked at.
    const [a, b] = await Promise.all([execute("BEGIN"), execute("BEGIN")]);
    await Promise.all([execute(update(first), a.session), execute(update(second), b.session)]);
    const crossing = [
      { answers: [execute(update(second), a.session), execute(insert(late), a.session)] },
      { answers: [execute(update(first), b.session), execute(insert(late), b.session)] },
    ];
    const settled = await Promise.all(crossing.map(({ answers }) => Promise.all(answers)));
    const victim = settled.find(([crossed]) => crossed?.error);
    expect(victim?.[0]?.error?.message).toContain("errno 1213");
    expect(victim?.[0]?.session.vitessSession.inTransaction).toBeUndefined();
    expect(victim?.[1]?.error?.code).toBe("ABORTED");
    await Promise.all([execute("ROLLBACK", a.session), execute("ROLLBACK", b.session)]);
    expect(await countOf(late)).toBe(0);
  });

  it("one whose connection was killed fails until it is rolled back, and never runs in autocommit", async ({
    expect,
  }) => {
    const [before, after] = [crypto.randomUUID(), crypto.randomUUID()];
    const connection = await begin();
    await connection.execute(insert(before));
    const { rows } = await connection.execute("SELECT CONNECTION_ID() AS id");
    await client.execute(`KILL ${(rows[0] as { id: string }).id}`);
    for (const sql of [insert(after), "ROLLBACK TO SAVEPOINT sp1", insert(after), "COMMIT", insert(after)]) {
      const failure = await failureOf(connection.execute(sql));
      expect(["ABORTED", "UNAVAILABLE", "CANCELED"]).toContain(failure.body.code);
    }
    await connection.execute("ROLLBACK");
    expect([await countOf(before), await countOf(after)]).toEqual([0, 0]);
    await connection.execute(insert(after));
    expect(await countOf(after)).toBe(1);
  });

  it("a session that the gateway does not know cannot write or commit, but can roll back", async ({
    expect,
  }) => {
    const key = crypto.randomUUID();
    const { session } = await execute("BEGIN");
    await execute("ROLLBACK", session);
    const unknown = { vitessSession: { ...session.vitessSession, SessionUUID: crypto.randomUUID() } };
    for (const lost of [session, unknown]) {
      for (const sql of [insert(key), "SELECT 1", "COMMIT", "BEGIN"]) {
        const { error, session: kept } = await execute(sql, lost);
        expect(error?.code).toBe("ABORTED");
        expect(error?.message).toMatch(/desc = transaction [\da-f-]{36}: (ended at|not found)/);
        expect(kept.vitessSession.inTransaction).toBe(true);
      }
      const { error, session: rolledBack } = await execute("ROLLBACK", lost);
      expect(error).toBeUndefined();
      expect(rolledBack.vitessSession.inTransaction).toBeUndefined();
    }
    expect(await countOf(key)).toBe(0);
  });

  it("an error in it is not hidden by the rollback after it", async ({ expect }) => {
    const failure = await failureOf(
      client.transaction(async (tx) => {
        const { rows } = await tx.execute("SELECT CONNECTION_ID() AS id");
        await client.execute(`KILL ${(rows[0] as { id: string }).id}`);
        throw new DatabaseError("mine", 418, { message: "mine", code: "MINE" });
      }),
    );
    expect(failure.status).toBe(418);
  });
});
