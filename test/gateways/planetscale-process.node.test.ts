/** The PlanetScale gateway as a process, and drizzle's migrator, which reads files, on it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { connect } from "@planetscale/database";
import { drizzle } from "drizzle-orm/planetscale-serverless";
import { migrate } from "drizzle-orm/planetscale-serverless/migrator";
import { afterAll, describe, it, onTestFinished } from "vitest";
import { database, direct, startOwnGateway } from "../support/node/planetscale.ts";

afterAll(() => direct.end());

describe("drizzle's migrator", () => {
  it("runs each migration once", async ({ expect }) => {
    const { client } = await startOwnGateway();
    const folder = mkdtempSync(join(tmpdir(), "planetscale-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const created = `migrated_${crypto.randomUUID().replaceAll("-", "")}`;
    const migrationsTable = `${created}_journal`;
    onTestFinished(async () => {
      await direct.query(`DROP TABLE ${created}, ${migrationsTable}`);
    });
    mkdirSync(join(folder, "meta"));
    writeFileSync(
      join(folder, "0000_first.sql"),
      `CREATE TABLE ${created} (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, v VARCHAR(10));
--> statement-breakpoint
CREATE INDEX v_index ON ${created} (v);
--> statement-breakpoint
INSERT INTO ${created} (v) VALUES ('once');`,
    );
    const entry = { idx: 0, version: "5", when: 1_700_000_000_000, tag: "0000_first", breakpoints: true };
    writeFileSync(
      join(folder, "meta", "_journal.json"),
      JSON.stringify({ version: "7", dialect: "mysql", entries: [entry] }),
    );
    const db = drizzle({ client });
    await migrate(db, { migrationsFolder: folder, migrationsTable });
    await migrate(db, { migrationsFolder: folder, migrationsTable });
    expect((await client.execute(`SELECT v FROM ${created}`)).rows).toEqual([{ v: "once" }]);
  });
});

describe("main.ts", () => {
  const script = fileURLToPath(new URL("../../dev/gateways/planetscale/main.ts", import.meta.url));
  const flags = [
    `--mysql-host=${database.host}`,
    `--mysql-port=${database.port}`,
    `--mysql-user=${database.user}`,
    `--mysql-password=${database.password}`,
    `--mysql-database=${database.database}`,
    "--username=user",
  ];

  function run(args: string[], env: Record<string, string> = {}): ReturnType<typeof spawn> {
    const child = spawn(process.execPath, [script, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NODE_OPTIONS: "", ...env },
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    return child;
  }

  it.for(["SIGTERM", "SIGINT"] as const)(
    "serves when it says so, and ends cleanly on %s",
    async (signal, { expect }) => {
      const child = run(flags, { PLANETSCALE_PASSWORD: "secret" });
      const [line] = (await once(createInterface({ input: child.stdout ?? process.stdin }), "line")) as [
        string,
      ];
      expect(line).toMatch(/^planetscale listening http:\/\/127\.0\.0\.1:\d+$/);
      const url = line.replace("planetscale listening http://", "http://user:secret@");
      const connection = connect({ url });
      await connection.execute("BEGIN");
      child.kill(signal);
      expect(await once(child, "exit")).toEqual([0, null]);
    },
  );

  it.for([
    ["no password", flags, "password"],
    ["no database", flags.filter((flag) => !flag.includes("database")), "--mysql-database is missing"],
    ["a port that is none", [...flags, "--port=x"], "--port is not a whole number"],
    ["an unknown flag", ["--nonsense"], "--nonsense"],
  ] as const)("with %s it says so and exits with 1", async ([_what, args, message], { expect }) => {
    const child = run([...args]);
    let output = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    const [code] = (await once(child, "close")) as [number];
    expect(code).toBe(1);
    expect(output).toMatch(/^planetscale: /);
    expect(output).toContain(message);
  });
});
