import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "vitest";
import { findings } from "../../dev/deploy/checks.ts";
import { deploy, type DeployOptions } from "../../dev/deploy/deploy.ts";
import { readWorkerConfig, type SecretList } from "../../dev/deploy/wrangler.ts";
import { readConfig } from "../../src/env.ts";
import { run, scratchFolder } from "./programs.ts";

const DATABASE_URL = "mysql://user:geheim@aws.connect.psdb.cloud/liveforum";
const SECRETS = ["DATABASE_URL", "QSTASH_TOKEN", "JWT_KEYS"];

const WRANGLER_TOML = `
name = "forum"
main = "index.ts"
compatibility_date = "2026-10-01"
[vars]
PUBLIC_URL = "https://forum.test-community.org"
BCRYPT_COST = "10"
[secrets]
required = ${JSON.stringify(SECRETS)}
[env.staging]
name = "forum-staging"
[env.staging.vars]
PUBLIC_URL = "https://staging.test-community.org"
[env.staging.secrets]
required = ${JSON.stringify(SECRETS)}
`;

/** Notes its arguments; answers `secret list`, and ends `deploy`, as `answer.json` says. */
const FAKE_WRANGLER = `
const fs = require("node:fs");
const args = process.argv.slice(2);
fs.appendFileSync(__dirname + "/calls", args.filter((arg) => !arg.endsWith(".toml") && arg !== "--config").join(" ") + "\\n");
const answer = JSON.parse(fs.readFileSync(__dirname + "/answer.json", "utf8"));
if (args[0] === "secret") {
  if (answer.secrets) console.log(JSON.stringify(answer.secrets.map((name) => ({ name, type: "secret_text" })), null, 2));
  else { console.error(answer.error); process.exit(1); }
} else process.exit(answer.code ?? 0);
`;

type Answer = { secrets?: string[]; error?: string; code?: number };

/** A deployment with everything faked that lies outside of this machine. */
async function attempt(
  answer: Answer,
  change: Partial<DeployOptions> & { toml?: string } = {},
): Promise<{ code: number; printed: string; steps: string[] }> {
  const folder = scratchFolder({
    "wrangler.toml": change.toml ?? WRANGLER_TOML,
    "wrangler.cjs": FAKE_WRANGLER,
    "answer.json": JSON.stringify(answer),
  });
  const migrated: string[] = [];
  const lines: string[] = [];
  const calls = (): string[] =>
    existsSync(join(folder, "calls")) ? readFileSync(join(folder, "calls"), "utf8").trim().split("\n") : [];
  const code = await deploy({
    environment: "",
    configFile: join(folder, "wrangler.toml"),
    databaseUrl: DATABASE_URL,
    wrangler: { command: process.execPath, args: [join(folder, "wrangler.cjs")] },
    migrate: async (url) => void migrated.push(`migrate ${url} after ${calls().length} call`),
    checkOnly: false,
    print: (text) => lines.push(text),
    ...change,
  });
  return { code, printed: lines.join("\n"), steps: [...migrated, ...calls()] };
}

describe("npm run deploy", () => {
  it("checks the secrets, then migrates, then deploys", async ({ expect }) => {
    const { code, printed, steps } = await attempt({ secrets: SECRETS });
    expect(code, printed).toBe(0);
    expect(steps).toEqual([
      `migrate ${DATABASE_URL} after 1 call`,
      "secret list --format=json --env=",
      "deploy --env=",
    ]);
    expect(printed).toContain("the database is aws.connect.psdb.cloud/liveforum");
    expect(printed).toContain("curl https://forum.test-community.org/api/health");
    expect(printed).toContain("npx wrangler rollback ");
    expect(printed).not.toContain("geheim");
  });

  it("names the environment to wrangler and in every command it prints", async ({ expect }) => {
    const good = await attempt({ secrets: SECRETS }, { environment: "staging" });
    expect(good.code, good.printed).toBe(0);
    expect(good.steps.slice(1)).toEqual(["secret list --format=json --env=staging", "deploy --env=staging"]);
    expect(good.printed).toContain("npx wrangler rollback --env staging");
    const bad = await attempt({ secrets: ["JWT_KEYS"] }, { environment: "staging", databaseUrl: undefined });
    expect(bad.printed).toContain("npx wrangler secret put QSTASH_TOKEN --env staging");
    expect(bad.printed).toContain("npm run deploy -- --env staging");
  });

  it("lists the command for each missing secret and changes nothing", async ({ expect }) => {
    const { code, printed, steps } = await attempt({ secrets: ["QSTASH_TOKEN", "SOMETHING_ELSE"] });
    expect(code).toBe(1);
    expect(steps).toEqual(["secret list --format=json --env="]);
    expect(printed.match(/npx wrangler secret put \w+/g)).toEqual([
      "npx wrangler secret put DATABASE_URL",
      "npx wrangler secret put JWT_KEYS",
    ]);
    expect(printed).toContain("Nothing was changed");
  });

  it("asks for all secrets of a Worker that does not exist yet", async ({ expect }) => {
    const { code, printed, steps } = await attempt({
      error:
        'X [ERROR] Worker "forum" not found.\n\nIf this is a new Worker, run `wrangler deploy` first to create it.',
    });
    expect(code).toBe(1);
    expect(steps).toHaveLength(1);
    expect(printed).toContain("does not exist yet");
    expect(printed.match(/secret put \w+/g)).toHaveLength(SECRETS.length);
  });

  it("passes on what wrangler says when it cannot ask", async ({ expect }) => {
    const { code, printed, steps } = await attempt({
      error: "set a CLOUDFLARE_API_TOKEN environment variable",
    });
    expect(code).toBe(1);
    expect(steps).toHaveLength(1);
    expect(printed).toContain("set a CLOUDFLARE_API_TOKEN");
    expect(printed).toContain("npx wrangler login");
    expect(printed).not.toContain("secret put");
  });

  it.for([
    ["https://liveforum.example.workers.dev", /PUBLIC_URL in \[vars\].*still the example's/],
    ["https://example.com", /still the example's/],
    ["http://forum.test-community.org", /not an https/],
    ["forum", /not an https/],
  ] as const)("refuses the PUBLIC_URL %s", async ([publicUrl, message], { expect }) => {
    const toml = WRANGLER_TOML.replace("https://forum.test-community.org", publicUrl);
    const { code, printed, steps } = await attempt({ secrets: SECRETS }, { toml });
    expect(code).toBe(1);
    expect(printed).toMatch(message);
    expect(steps).toHaveLength(1);
  });

  it("refuses a variable that the Worker would refuse", async ({ expect }) => {
    const toml = WRANGLER_TOML.replace('BCRYPT_COST = "10"', 'BCRYPT_COST = "99"');
    const { code, printed } = await attempt({ secrets: SECRETS }, { toml });
    expect(code).toBe(1);
    expect(printed).toContain("BCRYPT_COST in [vars] of wrangler.toml is wrong");
  });

  it.for([
    [undefined, /DATABASE_URL is not in the environment/],
    ["", /DATABASE_URL is not in the environment/],
    ["geheim", /DATABASE_URL is not of the form/],
    ["mysql://host/db", /DATABASE_URL is not of the form/],
    ["http://user:geheim@127.0.0.1:3900", /on this machine/],
    ["http://user:geheim@localhost:3900", /on this machine/],
  ] as const)("refuses the database %s", async ([databaseUrl, message], { expect }) => {
    const { code, printed, steps } = await attempt({ secrets: SECRETS }, { databaseUrl });
    expect(code).toBe(1);
    expect(printed).toMatch(message);
    expect(printed).not.toContain("geheim");
    expect(steps).toHaveLength(1);
  });

  it("tells of everything that is missing at once", async ({ expect }) => {
    const toml = WRANGLER_TOML.replace(
      "https://forum.test-community.org",
      "https://liveforum.example.workers.dev",
    );
    const { printed } = await attempt({ secrets: [] }, { toml, databaseUrl: undefined });
    expect(printed.match(/^- /gm)).toHaveLength(3);
  });

  it("does not deploy when a migration fails", async ({ expect }) => {
    const failure = new Error("Failed query", { cause: new Error("Table 'posts' is gone") });
    const { code, printed, steps } = await attempt(
      { secrets: SECRETS },
      { migrate: () => Promise.reject(failure) },
    );
    expect(code).toBe(1);
    expect(steps).toEqual(["secret list --format=json --env="]);
    expect(printed).toContain("Table 'posts' is gone");
    expect(printed).toContain("Nothing was deployed");
  });

  it("fails as wrangler fails", async ({ expect }) => {
    const { code, printed } = await attempt({ secrets: SECRETS, code: 7 });
    expect(code).toBe(7);
    expect(printed).toContain("The version that runs goes on");
    expect(printed).not.toContain("Deployed");
  });

  it("changes nothing when it is only to check", async ({ expect }) => {
    const { code, steps } = await attempt({ secrets: SECRETS }, { checkOnly: true });
    expect(code).toBe(0);
    expect(steps).toEqual(["secret list --format=json --env="]);
  });

  it("refuses an environment that wrangler.toml does not have", async ({ expect }) => {
    const { code, printed, steps } = await attempt({ secrets: SECRETS }, { environment: "production" });
    expect(code).toBe(1);
    expect(printed).toContain("staging");
    expect(steps).toEqual([]);
  });

  it.for(["", "staging"])(
    "finds everything but PUBLIC_URL in the repository's own wrangler.toml, environment '%s'",
    (environment, { expect }) => {
      const config = readWorkerConfig("wrangler.toml", environment);
      const secrets: SecretList = { kind: "listed", names: config.requiredSecrets };
      const problems = findings(config, environment, secrets, DATABASE_URL).map(({ problem }) => problem);
      expect(problems).toEqual([expect.stringMatching(/^PUBLIC_URL .*still the example's/)]);
      const values = Object.fromEntries(
        config.requiredSecrets.map((name) => [name, "https://user:secret@host"]),
      );
      const settings = { ...config.vars, ...values, JWT_KEYS: `k1:${"s".repeat(32)}` };
      expect(readConfig(settings)).toMatchObject({ ok: true });
    },
  );

  it("refuses flags it does not know", async ({ expect }) => {
    const { code, output } = await run("deploy.ts", ["--environment", "staging"]);
    expect(code).toBe(1);
    expect(output).toContain("Unknown option '--environment'");
  });
});
