/**
 * `npm run admin -- <email> [--revoke]`: makes somebody an admin, or takes the role back, on the database that the
 * settings point to.
 * @module
 */
import { readFileSync } from "node:fs";
import { parseArgs, parseEnv } from "node:util";
import { eq } from "drizzle-orm";
import { ACCESS_TOKEN_SECONDS } from "../src/auth/tokens.ts";
import { createMeter } from "../src/common/meter.ts";
import { normaliseEmail } from "../src/common/text.ts";
import { createDb } from "../src/db/client.ts";
import { isDatabaseUnavailable } from "../src/db/errors.ts";
import { users } from "../src/db/schema/users.ts";
import { LOCAL_DATABASE } from "./cloud/mysql.ts";
import { PORT_SETTINGS } from "./cloud/ports.ts";
import { CloudProblem } from "./cloud/problem.ts";

const USAGE = `npm run admin -- <email> [--revoke]

Makes the account with this address an admin; --revoke makes it an ordinary user again.
The database is that of DATABASE_URL in the environment, else in .dev.vars, else the running local cloud's.
`;

type Database = { url: string; source: string };

/** @throws {CloudProblem} when there is no such account or the database cannot be used */
async function changeRole(email: string, role: "user" | "admin", database: Database): Promise<string> {
  const { host } = new URL(database.url);
  const db = createDb(database.url, createMeter());
  const [account] = await db
    .select({ id: users.id, username: users.username, role: users.role })
    .from(users)
    .where(eq(users.email, normaliseEmail(email)))
    .limit(1);
  const where = `${host} (${database.source})`;
  if (!account) {
    throw new CloudProblem(`${email} not found on ${where}`, "Create the account first");
  }
  const who = `${account.username} <${email}>`;
  const roleText = role === "admin" ? "an admin" : "an ordinary user";
  if (account.role === role) return `${who} is ${roleText} already on ${where}.`;
  await db.update(users).set({ role }).where(eq(users.id, account.id));
  return (
    `${who} is ${roleText} now on ${where}.\n` +
    `Sessions that are open take it up when they are refreshed or signed in anew: access tokens live ${ACCESS_TOKEN_SECONDS / 60} minutes.`
  );
}

/** The environment wins over `.dev.vars` in the working folder; without both it is the local cloud. */
function findDatabase(env: NodeJS.Dict<string>): Database {
  const named = [
    { url: env.DATABASE_URL, source: "DATABASE_URL" },
    { url: devVars().DATABASE_URL, source: ".dev.vars" },
  ].find(({ url }) => url !== undefined && url !== "");
  const port = env[PORT_SETTINGS.planetscale.variable] ?? PORT_SETTINGS.planetscale.fallback;
  const local = {
    url: `http://${LOCAL_DATABASE.user}:${LOCAL_DATABASE.password}@127.0.0.1:${port}`,
    source: "the local cloud",
  };
  const { url = local.url, source } = named ?? local;
  const parsed = URL.parse(url);
  if (!parsed || !/^(mysql|https?):$/.test(parsed.protocol) || parsed.username === "") {
    throw new CloudProblem(
      `DATABASE_URL (from ${source === ".dev.vars" ? source : "the environment"}) is not of the form mysql://user:password@host/database`,
      "Correct it",
    );
  }
  return { url, source };
}

function devVars(): NodeJS.Dict<string> {
  try {
    return parseEnv(readFileSync(".dev.vars", "utf8"));
  } catch {
    return {};
  }
}

function explain(error: unknown, { url, source }: Database): CloudProblem {
  const { host } = new URL(url);
  if (isDatabaseUnavailable(error)) {
    return new CloudProblem(
      `The database at ${host} (${source}) cannot be reached`,
      source === "the local cloud"
        ? "Start `npm run dev` first, or set DATABASE_URL"
        : "Correct DATABASE_URL",
    );
  }
  let cause = error;
  while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause;
  const text = cause instanceof Error ? cause.message : String(cause);
  return new CloudProblem(`The database at ${host} (${source}) refuses: ${text}`, "Correct DATABASE_URL");
}

async function main(args: string[]): Promise<void> {
  let parsed;
  try {
    parsed = parseArgs({
      args,
      options: { revoke: { type: "boolean" }, help: { type: "boolean" } },
      allowPositionals: true,
    });
  } catch (error) {
    throw new CloudProblem(
      (error as Error).message.split(". ")[0] ?? "",
      "npm run admin -- <email> [--revoke]",
    );
  }
  const { values, positionals } = parsed;
  const [email, ...rest] = positionals;
  if (values.help === true) {
    console.log(USAGE);
    return;
  }
  if (email === undefined || rest.length > 0 || !email.includes("@")) {
    throw new CloudProblem("Name one email address", "Use npm run admin -- <email> [--revoke]");
  }
  const database = findDatabase(process.env);
  try {
    console.log(await changeRole(email, values.revoke === true ? "user" : "admin", database));
  } catch (error) {
    throw error instanceof CloudProblem ? error : explain(error, database);
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof CloudProblem)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
