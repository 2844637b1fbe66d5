import { describe, it } from "vitest";
import { run, scratchFolder } from "./programs.ts";
import { scratchDatabase } from "./scratch.ts";

const MINA =
  "insert into users (email, username, username_key, created_at) values ('mina@example.com', 'mina', 'k', now())";
const ROLE = "select role from users where email = 'mina@example.com'";

describe("npm run admin", () => {
  it("makes an account an admin and takes the role back, whatever the case of the address", async ({
    expect,
  }) => {
    const { databaseUrl, rows } = await scratchDatabase();
    await rows(MINA);
    const env = { DATABASE_URL: databaseUrl };

    const made = await run("admin.ts", ["Mina@Example.com"], { env });
    expect(made).toEqual({ code: 0, output: expect.stringContaining("is an admin now") });
    expect(made.output).toContain("access tokens live 15 minutes");
    expect(await rows(ROLE)).toEqual([{ role: "admin" }]);

    const again = await run("admin.ts", ["mina@example.com"], { env });
    expect(again).toEqual({ code: 0, output: expect.stringContaining("is an admin already") });

    const revoked = await run("admin.ts", ["mina@example.com", "--revoke"], { env });
    expect(revoked).toEqual({ code: 0, output: expect.stringContaining("is an ordinary user now") });
    expect(await rows(ROLE)).toEqual([{ role: "user" }]);
  });

  it("fails when there is no such account", async ({ expect }) => {
    const { databaseUrl } = await scratchDatabase();
    const outcome = await run("admin.ts", ["nobody@example.com"], { env: { DATABASE_URL: databaseUrl } });
    expect(outcome).toEqual({ code: 1, output: expect.stringContaining("nobody@example.com not found") });
  });

  it("takes the database from the environment, else from .dev.vars, else the local cloud's", async ({
    expect,
  }) => {
    const { databaseUrl, rows } = await scratchDatabase();
    await rows(MINA);
    const withVars = scratchFolder({ ".dev.vars": `# local\nDATABASE_URL="${databaseUrl}"\n` });
    const fromFile = await run("admin.ts", ["mina@example.com"], { cwd: withVars });
    expect(fromFile).toEqual({ code: 0, output: expect.stringContaining("(.dev.vars)") });

    const closed = "http://user:secret@127.0.0.1:1";
    const fromEnvironment = await run("admin.ts", ["mina@example.com"], {
      cwd: withVars,
      env: { DATABASE_URL: closed },
    });
    expect(fromEnvironment.code).toBe(1);
    expect(fromEnvironment.output).toContain("127.0.0.1:1 (DATABASE_URL) cannot be reached");

    const local = await run("admin.ts", ["mina@example.com"], {
      cwd: scratchFolder({}),
      env: { LIVEFORUM_PLANETSCALE_PORT: "1" },
    });
    expect(local.code).toBe(1);
    expect(local.output).toContain("127.0.0.1:1 (the local cloud) cannot be reached");
    expect(local.output).toContain("npm run dev");
  });

  it("says what is wrong in one line that shows no password", async ({ expect }) => {
    const { databaseUrl } = await scratchDatabase({ migrated: false });
    const wrongPassword = databaseUrl.replace("scratch:scratch@", "scratch:geheim@");
    for (const [args, env, message] of [
      [["mina@example.com"], { DATABASE_URL: wrongPassword }, "invalid authorization credentials"],
      [["mina@example.com"], { DATABASE_URL: databaseUrl }, "users"],
      [["mina@example.com"], { DATABASE_URL: "postgres://user:geheim@db/x" }, "not of the form mysql://"],
      [["a@example.com", "b@example.com"], {}, "Name one email address"],
      [["a@example.com", "--admin"], {}, "Unknown option '--admin'"],
    ] as const) {
      const { code, output } = await run("admin.ts", args, { env: { ...env } });
      expect({ code, lines: output.trim().split("\n").length }, output).toEqual({ code: 1, lines: 1 });
      expect(output).toContain(message);
      expect(output).not.toContain("geheim");
    }
  });
});
