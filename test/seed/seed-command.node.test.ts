import { describe, it } from "vitest";
import { run } from "./programs.ts";
import { scratchDatabase, wrongCounters } from "./scratch.ts";

describe("npm run seed", () => {
  it("fills the database and tells rows per second", async ({ expect }) => {
    const database = await scratchDatabase();
    const { code, output } = await run(
      "seed/bulk.ts",
      ["--users", "5", "--posts", "20", "--comments", "100", "--mysql", database.mysqlUrl],
      {},
    );
    expect(code, output).toBe(0);
    for (const table of ["users", "posts", "comments", "likes", "total"]) {
      expect(output).toMatch(new RegExp(`^${table} +\\d+ rows in +[\\d.]+ s, +[\\d,]+ rows a second$`, "m"));
    }
    expect(await wrongCounters(database)).toEqual([]);
  });

  it("fails with one line when it cannot", async ({ expect }) => {
    const refusals = [
      await run("seed/bulk.ts", ["--posts", "lots"]),
      await run("seed/bulk.ts", ["--mysql", "mysql://user:geheim@127.0.0.1:1/liveforum"]),
    ];
    expect(refusals.map(({ code }) => code)).toEqual([1, 1]);
    expect(refusals[0]?.output.trim().split("\n")).toEqual([
      "--posts lots makes no sense. Use a whole number from 0 to 10000000.",
    ]);
    expect(refusals[1]?.output).toContain("The database at 127.0.0.1:1 cannot be reached (ECONNREFUSED)");
    expect(refusals[1]?.output).not.toContain("geheim");
  });

  it("explains its flags", async ({ expect }) => {
    const { code, output } = await run("seed/bulk.ts", ["--help"]);
    expect(code).toBe(0);
    for (const flag of [
      "--users",
      "--posts",
      "--comments",
      "--likes",
      "--seed",
      "--connections",
      "--mysql",
    ]) {
      expect(output).toContain(flag);
    }
  });
});
