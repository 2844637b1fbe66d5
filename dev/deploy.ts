/**
 * `npm run deploy -- [--env <name>] [--check]`: see `USAGE`.
 * @module
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { migrate } from "./cloud/migrate.ts";
import { deploy } from "./deploy/deploy.ts";

const USAGE = `DATABASE_URL='mysql://user:password@host/database' npm run deploy -- [--env staging] [--check]

Checks that PUBLIC_URL and all secrets are set, runs the migrations on DATABASE_URL, then \`wrangler deploy\`.
When anything is missing it says so and changes nothing. --check stops after the checks.
`;

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        env: { type: "string", default: "" },
        check: { type: "boolean" },
        help: { type: "boolean" },
      },
    }).values;
  } catch (error) {
    console.error(`${(error as Error).message.split(". ")[0]}. Use it like this:\n\n${USAGE}`);
    return undefined;
  }
}

const flags = parse(process.argv.slice(2));
if (flags === undefined) process.exitCode = 1;
else if (flags.help === true) console.log(USAGE);
else {
  process.exitCode = await deploy({
    environment: flags.env,
    configFile: fileURLToPath(new URL("../wrangler.toml", import.meta.url)),
    databaseUrl: process.env.DATABASE_URL,
    wrangler: {
      command: process.execPath,
      args: [fileURLToPath(new URL("../node_modules/wrangler/bin/wrangler.js", import.meta.url))],
    },
    migrate,
    checkOnly: flags.check === true,
    print: (text) => console.log(text),
  });
}
