/** What the PlanetScale gateway reads in a statement's text, and how it words a failure. */
import * as fc from "fast-check";
import { describe, it } from "vitest";
import { codeOfErrno, SqlFailure, toWireError } from "../../dev/gateways/planetscale/errors.ts";
import { treatmentOf } from "../../dev/gateways/planetscale/sql.ts";

describe("treatment of a statement", () => {
  it.for([
    "ROLLBACK",
    "rollback;",
    "  Rollback Work ; \n",
    "/* a */ -- b\n# c\nROLLBACK",
    "ROLLBACK AND NO CHAIN NO RELEASE",
  ])("%s is a rollback", (sql, { expect }) => {
    expect(treatmentOf(sql, "db")).toEqual({ kind: "rollback" });
  });

  it.for([
    "ROLLBACK TO SAVEPOINT sp1",
    "rollback to sp1",
    "ROLLBACK AND CHAIN",
    "/*!ROLLBACK*/",
    "-- ROLLBACK",
    "COMMIT",
    "",
    "SET @x = 1",
    "SET workload = 'olap', sql_mode = ''",
    "SET workloads = 1",
    "CREATE TEMPORARY TABLE t (id INT)",
    "CREATE TABLE events (id INT)",
    "DROP TABLE trigger_log",
    "SELECT 'USE other'",
    "UPDATE t SET v = 'CALL x' WHERE 1",
  ])("%s is left to the server", (sql, { expect }) => {
    expect(treatmentOf(sql, "db")).toEqual({ kind: "run" });
  });

  it.for([
    "USE db",
    "use `db`;",
    "USE other@replica",
    "use `other@primary`",
    "USE @rdonly",
    "SET @@session.workload='olap'",
  ])("%s is ignored", (sql, { expect }) => {
    expect(treatmentOf(sql, "db")).toEqual({ kind: "ignore" });
  });

  it.for([
    ["USE other", 1049],
    ["create schema x", 1235],
    ["/* c */ DROP DATABASE IF EXISTS db", 1235],
    ["CREATE OR REPLACE DEFINER=`a`@`%` PROCEDURE p() SELECT 1", 1235],
    [`CREATE TRIGGER t BEFORE INSERT ON x FOR EACH ROW SET NEW.v = '${"x".repeat(1_000)}'`, 1235],
    ["CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1", 1235],
    ["CALL p()", 1235],
    ["LOCK TABLES t WRITE", 1235],
    ["UNLOCK TABLES", 1235],
  ] as const)("%s is refused", ([sql, errno], { expect }) => {
    expect(treatmentOf(sql, "db")).toMatchObject({ kind: "refuse", errno });
  });

  it("a value never changes it, whatever it says", ({ expect }) => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (value) => {
        expect(treatmentOf(`INSERT INTO t VALUES (${JSON.stringify(value)})`, "db")).toEqual({ kind: "run" });
      }),
    );
  });

  it("takes no time for long runs of blanks and open comments", ({ expect }) => {
    for (const noise of [
      " ".repeat(1_000_000),
      "/*".repeat(500_000),
      "-- \n".repeat(250_000),
      "/**/ ".repeat(200_000),
    ]) {
      expect(treatmentOf(`${noise}SELECT 1${noise}`, "db")).toEqual({ kind: "run" });
    }
  });
});

describe("wording of a failure", () => {
  const context = { database: "db", user: "me", sql: "SELECT 1" };

  it("an error of the server has number, state and statement", ({ expect }) => {
    const failure = new SqlFailure("ALREADY_EXISTS", "Duplicate entry 'x' for key 't.u'", 1062, "23000");
    expect(toWireError(failure, context)).toEqual({
      code: "ALREADY_EXISTS",
      message:
        "target: db.-.primary: vttablet: rpc error: code = AlreadyExists desc = Duplicate entry 'x' for key 't.u' " +
        '(errno 1062) (sqlstate 23000) (CallerID: me): Sql: "SELECT 1", BindVars: {}',
    });
  });

  it("a long statement is cut", ({ expect }) => {
    const failure = new SqlFailure("UNKNOWN", "text", 1105);
    const { message } = toWireError(failure, { ...context, sql: "x".repeat(5_000) });
    expect(message).toContain(`Sql: "${"x".repeat(1_000)} [TRUNCATED]"`);
  });

  it.for([
    [1062, "ALREADY_EXISTS"],
    [1146, "NOT_FOUND"],
    [1213, "ABORTED"],
    [1205, "DEADLINE_EXCEEDED"],
    [1064, "INVALID_ARGUMENT"],
    [1452, "FAILED_PRECONDITION"],
    [1045, "PERMISSION_DENIED"],
    [1040, "RESOURCE_EXHAUSTED"],
    [2006, "UNAVAILABLE"],
    [1235, "UNIMPLEMENTED"],
    [2013, "CANCELED"],
    [1364, "UNKNOWN"],
  ] as const)("errno %d is %s", ([errno, code], { expect }) => {
    expect(codeOfErrno(errno)).toBe(code);
  });
});
