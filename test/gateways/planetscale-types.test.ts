/** Every MySQL column type, and expressions, through @planetscale/database against the gateway. */
import { Client, type ExecutedQuery } from "@planetscale/database";
import * as fc from "fast-check";
import { afterAll, describe, inject, it } from "vitest";

const client = new Client({ url: inject("cloud").settings.DATABASE_URL ?? "" });
const tables: string[] = [];

afterAll(async () => {
  for (const table of tables) await client.execute(`DROP TABLE ${table}`);
});

async function createTable(columns: string): Promise<string> {
  const table = `types_${crypto.randomUUID().replaceAll("-", "")}`;
  await client.execute(`CREATE TABLE ${table} (${columns})`);
  tables.push(table);
  return table;
}

/** The first row as an array. */
async function firstRow(sql: string, args: unknown[] = []): Promise<unknown[]> {
  const { rows } = await client.execute(sql, args, { as: "array" });
  return rows[0] as unknown[];
}

/** What a statement did, as the SDK reports it. */
async function effect(sql: string): Promise<Pick<ExecutedQuery, "rowsAffected" | "insertId">> {
  const { rowsAffected, insertId } = await client.execute(sql);
  return { rowsAffected, insertId };
}

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const text = "é한글😀";

/** Column type, what is inserted, the type PlanetScale names, and what its SDK gives. */
const columns: [definition: string, inserted: unknown, type: string, value: unknown][] = [
  ["TINYINT", -128, "INT8", -128],
  ["TINYINT UNSIGNED", 255, "UINT8", 255],
  ["BOOLEAN", true, "INT8", 1],
  ["SMALLINT", -32_768, "INT16", -32_768],
  ["SMALLINT UNSIGNED", 65_535, "UINT16", 65_535],
  ["MEDIUMINT", -8_388_608, "INT24", -8_388_608],
  ["MEDIUMINT UNSIGNED", 16_777_215, "UINT24", 16_777_215],
  ["INT", -2_147_483_648, "INT32", -2_147_483_648],
  ["INT UNSIGNED", 4_294_967_295, "UINT32", 4_294_967_295],
  ["BIGINT", "-9223372036854775808", "INT64", "-9223372036854775808"],
  ["BIGINT UNSIGNED", "18446744073709551615", "UINT64", "18446744073709551615"],
  ["FLOAT", 1.5, "FLOAT32", 1.5],
  ["DOUBLE", -1.7976931348623157e308, "FLOAT64", -1.7976931348623157e308],
  ["DECIMAL(30,10)", "12345678901234567890.1234567891", "DECIMAL", "12345678901234567890.1234567891"],
  ["DECIMAL(5,0) UNSIGNED", "7", "DECIMAL", "7"],
  ["DATE", "2024-02-29", "DATE", "2024-02-29"],
  ["TIME(3)", "-838:59:58.123", "TIME", "-838:59:58.123"],
  ["DATETIME", "2024-01-02 03:04:05", "DATETIME", "2024-01-02 03:04:05"],
  ["DATETIME(6)", "2024-01-02 03:04:05.678901", "DATETIME", "2024-01-02 03:04:05.678901"],
  ["TIMESTAMP(3) NULL", new Date("2024-01-02T03:04:05.678Z"), "TIMESTAMP", "2024-01-02 03:04:05.678"],
  ["YEAR", 2024, "YEAR", 2024],
  ["CHAR(8)", text, "CHAR", text],
  ["VARCHAR(100)", text, "VARCHAR", text],
  ["VARCHAR(100) COLLATE utf8mb4_bin", text, "VARBINARY", text],
  ["BINARY(4)", bytes(0, 1), "BINARY", bytes(0, 1, 0, 0)],
  ["VARBINARY(10)", bytes(0, 127, 128, 255), "VARBINARY", bytes(0, 127, 128, 255)],
  ["TINYTEXT", text, "TEXT", text],
  ["TEXT", text, "TEXT", text],
  ["MEDIUMTEXT", text, "TEXT", text],
  ["LONGTEXT", text, "TEXT", text],
  ["TEXT COLLATE utf8mb4_bin", text, "BLOB", text],
  ["TINYBLOB", bytes(255, 0), "BLOB", bytes(255, 0)],
  ["BLOB", bytes(255, 0), "BLOB", bytes(255, 0)],
  ["MEDIUMBLOB", bytes(255, 0), "BLOB", bytes(255, 0)],
  ["LONGBLOB", bytes(255, 0), "BLOB", bytes(255, 0)],
  ["ENUM('small','큰')", "큰", "ENUM", "큰"],
  ["SET('a','b','c')", "a,c", "SET", "a,c"],
  ["BIT(1)", 1, "BIT", bytes(1)],
  ["BIT(12)", 2_049, "BIT", bytes(8, 1)],
  [
    "JSON",
    JSON.stringify({ 이름: "😀", list: [1, "two", null], none: null }),
    "JSON",
    { 이름: "😀", list: [1, "two", null], none: null },
  ],
];

describe("column types", () => {
  it.for(columns)("%s gives %o as %s", async ([definition, inserted, type, value], { expect }) => {
    const table = await createTable(`v ${definition}`);
    await client.execute(`INSERT INTO ${table} VALUES (?)`, [inserted]);
    const result = await client.execute(`SELECT v FROM ${table}`);
    expect(result.rows).toEqual([{ v: value }]);
    expect(result.types).toEqual({ v: type });
  });

  it.for(columns)("%s gives null for NULL, and keeps its type", async ([definition, , type], { expect }) => {
    const table = await createTable(`v ${definition.replace(" NULL", "")} NULL`);
    await client.execute(`INSERT INTO ${table} VALUES (NULL)`);
    const result = await client.execute(`SELECT v FROM ${table}`);
    expect(result.rows).toEqual([{ v: null }]);
    expect(result.types).toEqual({ v: type });
  });

  it("GEOMETRY gives bytes: the SRID and the well-known binary", async ({ expect }) => {
    const table = await createTable("v POINT");
    await client.execute(`INSERT INTO ${table} VALUES (POINT(1, 2))`);
    const result = await client.execute(`SELECT v FROM ${table}`);
    expect(result.types).toEqual({ v: "GEOMETRY" });
    const [row] = result.rows as { v: Uint8Array }[];
    expect(row?.v).toHaveLength(25);
  });

  it("tells empty strings, zeros and NULL apart in one row", async ({ expect }) => {
    const table = await createTable("a VARCHAR(5), b BLOB, c INT, d VARCHAR(5), e JSON, f TEXT");
    await client.execute(`INSERT INTO ${table} VALUES ('', x'', 0, NULL, '""', 'end')`);
    expect(await firstRow(`SELECT * FROM ${table}`)).toEqual(["", bytes(), 0, null, "", "end"]);
  });

  it("gives back any text that was sent as a parameter", async ({ expect }) => {
    const table = await createTable("v TEXT");
    const nasty = `quote ' double " back \\ percent % under _ zero \0 line \r\n sub \x1a ? :name ${text}`;
    await client.execute(`INSERT INTO ${table} VALUES (?)`, [nasty]);
    expect(await firstRow(`SELECT v FROM ${table} WHERE v = ?`, [nasty])).toEqual([nasty]);
  });

  it("gives back any text and any bytes", async ({ expect }) => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary" }), fc.uint8Array(), async (anyText, anyBytes) => {
        const [textBack, bytesBack] = await firstRow("SELECT CONCAT(?, '') AS a, ? AS b", [
          anyText,
          anyBytes,
        ]);
        expect({ textBack, bytesBack }).toEqual({ textBack: anyText, bytesBack: anyBytes });
      }),
      { numRuns: 100 },
    );
  });

  it("rounds fractional seconds as MySQL does", async ({ expect }) => {
    const table = await createTable("v DATETIME(0)");
    await client.execute(`INSERT INTO ${table} VALUES ('2024-01-02 03:04:05.6')`);
    expect(await firstRow(`SELECT v FROM ${table}`)).toEqual(["2024-01-02 03:04:06"]);
  });

  it("carries a value of 8 MiB", async ({ expect }) => {
    const length = 8 * 1024 * 1024;
    const [value] = await firstRow("SELECT REPEAT('é', ?) AS v", [length / 2]);
    expect((value as string).length).toBe(length / 2);
  });
});

describe("expressions", () => {
  // MySQL 8 computes integers as BIGINT, which the SDK leaves as text; MariaDB alone would give numbers for these.
  it.for([
    "1",
    "TRUE",
    "1 = 1",
    "EXISTS (SELECT 1)",
    "LENGTH('ab') - 1",
    "NOT 0",
    "SIGN(5)",
    "YEAR('0001-01-01')",
  ])("%s is the text '1'", async (expression, { expect }) => {
    const result = await client.execute(`SELECT ${expression} AS n`);
    expect(result.rows).toEqual([{ n: "1" }]);
    expect(result.types).toEqual({ n: "INT64" });
  });

  it("counts, sums and averages are texts", async ({ expect }) => {
    const table = await createTable("n INT");
    await client.execute(`INSERT INTO ${table} VALUES (1), (2)`);
    const result = await client.execute(`SELECT COUNT(*) AS c, SUM(n) AS s, AVG(n) AS a FROM ${table}`);
    expect(result.rows).toEqual([{ c: "2", s: "3", a: "1.5000" }]);
    expect(result.types).toEqual({ c: "INT64", s: "DECIMAL", a: "DECIMAL" });
    expect(await firstRow(`SELECT ROW_NUMBER() OVER (ORDER BY n) FROM ${table}`)).toEqual(["1"]);
  });

  it("texts compare by the rules of the database, where emoji differ", async ({ expect }) => {
    expect(await firstRow("SELECT 'a' = 'A', 'e' = 'é', '😀' = '😎', 'a' = 'a '")).toEqual([
      "1",
      "1",
      "0",
      "0",
    ]);
  });

  it("an integer column stays a number through a derived table", async ({ expect }) => {
    const table = await createTable("n INT");
    await client.execute(`INSERT INTO ${table} VALUES (7)`);
    const sql = `SELECT d.n, d.one FROM (SELECT n, 1 AS one FROM ${table} LIMIT 1) AS d`;
    expect(await firstRow(sql)).toEqual([7, "1"]);
  });

  it.for([
    "COALESCE(v, JSON_OBJECT())",
    "JSON_EXTRACT(v, '$')",
    "JSON_OBJECT('a', 1)",
    "JSON_SET(v, '$.a', 1)",
    "MAX(v)",
  ])("%s is parsed JSON", async (expression, { expect }) => {
    const table = await createTable("v JSON");
    await client.execute(`INSERT INTO ${table} VALUES ('{"a":1}')`);
    expect(await firstRow(`SELECT ${expression} FROM ${table}`)).toEqual([{ a: 1 }]);
  });

  it("NULL has the type NULL", async ({ expect }) => {
    const result = await client.execute("SELECT NULL AS n");
    expect(result.rows).toEqual([{ n: null }]);
    expect(result.types).toEqual({ n: "NULL" });
  });
});

describe("results", () => {
  it("a write reports matched rows and the first id, as with found rows on", async ({ expect }) => {
    const table = await createTable("id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, k INT UNIQUE, n INT");
    expect(await effect(`INSERT INTO ${table} (k, n) VALUES (1, 1), (2, 2)`)).toEqual({
      rowsAffected: 2,
      insertId: "1",
    });
    expect(await effect(`UPDATE ${table} SET n = 1 WHERE k = 1`)).toEqual({ rowsAffected: 1, insertId: "0" });
    expect(await effect(`UPDATE ${table} SET n = 1 WHERE k = 9`)).toEqual({ rowsAffected: 0, insertId: "0" });
    const upsert = `INSERT INTO ${table} (k, n) VALUES (2, 3) ON DUPLICATE KEY UPDATE n = VALUES(n)`;
    expect((await effect(upsert)).rowsAffected).toBe(2);
    expect((await effect(upsert)).rowsAffected).toBe(1);
    expect((await effect(`DELETE FROM ${table}`)).rowsAffected).toBe(2);
  });

  it("an id beyond 2^63 keeps its digits", async ({ expect }) => {
    const table = await createTable("id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, n INT");
    await client.execute(`ALTER TABLE ${table} AUTO_INCREMENT = 18446744073709551000`);
    expect((await effect(`INSERT INTO ${table} (n) VALUES (1)`)).insertId).toBe("18446744073709551000");
  });

  it("an empty result still names its columns", async ({ expect }) => {
    const table = await createTable("id INT, name VARCHAR(5)");
    const result = await client.execute(`SELECT * FROM ${table}`);
    expect(result.headers).toEqual(["id", "name"]);
    expect(result.types).toEqual({ id: "INT32", name: "VARCHAR" });
    expect(result.rows).toEqual([]);
  });

  it("a column says where it comes from", async ({ expect }) => {
    const table = await createTable("id INT NOT NULL PRIMARY KEY");
    const { fields } = await client.execute(`SELECT x.id AS renamed FROM ${table} AS x`);
    expect(fields).toMatchObject([
      {
        name: "renamed",
        type: "INT32",
        table: "x",
        orgTable: table,
        orgName: "id",
        columnLength: 11,
        charset: 63,
      },
    ]);
  });

  it("a JSON column has the character set of production", async ({ expect }) => {
    const table = await createTable("v JSON");
    const { fields } = await client.execute(`SELECT v FROM ${table}`);
    expect(fields).toMatchObject([{ type: "JSON", charset: 63 }]);
  });

  it("columns of one name are all there in array rows", async ({ expect }) => {
    expect(await firstRow("SELECT 'a' AS v, 'b' AS v, 'c' AS v")).toEqual(["a", "b", "c"]);
  });

  it("50,000 rows arrive complete and in order", async ({ expect }) => {
    const digits = "(SELECT 0 AS d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4)";
    const sql = `WITH d AS ${digits}, t AS (SELECT a.d * 5 + b.d AS n FROM d AS a, d AS b)
      SELECT a.n * 2000 + b.n * 80 + c.d * 16 + e.d * 3 + f.d AS n
      FROM t AS a, t AS b, d AS c, d AS e, d AS f ORDER BY n LIMIT 50000`;
    const { rows, size } = await client.execute(sql);
    expect(size).toBe(50_000);
    const numbers = (rows as { n: string }[]).map(({ n }) => Number(n));
    expect(numbers).toEqual(numbers.toSorted((left, right) => left - right));
  });
});
