/**
 * A deployment: check, migrate, upload. Nothing is changed before everything has been checked.
 * @module
 */
import { deployCommand, findings, wranglerCommand } from "./checks.ts";
import { deployWorker, listSecrets, readWorkerConfig, type WranglerProgram } from "./wrangler.ts";

export type DeployOptions = {
  /** A name from `wrangler.toml`; empty: production. */
  environment: string;
  /** Path of `wrangler.toml`. */
  configFile: string;
  /** The database to migrate, from the environment. */
  databaseUrl: string | undefined;
  wrangler: WranglerProgram;
  /** Brings the database up to date; doing it again changes nothing. */
  migrate: (databaseUrl: string) => Promise<void>;
  /** Stop after the checks. */
  checkOnly: boolean;
  print: (text: string) => void;
};

/** @returns the exit code: 0 when all went well; what went wrong has been printed */
export async function deploy(options: DeployOptions): Promise<number> {
  const { environment, configFile, databaseUrl, wrangler, migrate, checkOnly, print } = options;
  let config;
  try {
    config = readWorkerConfig(configFile, environment);
  } catch (error) {
    print(`wrangler.toml cannot be used: ${messageOf(error)}`);
    return 1;
  }
  print(`Checking ${config.name}`);
  const found = findings(
    config,
    environment,
    await listSecrets(wrangler, configFile, environment),
    databaseUrl,
  );
  if (found.length > 0 || databaseUrl === undefined) {
    for (const { problem, commands } of found) {
      print(`\n- ${problem}`);
      for (const command of commands) print(`    ${command}`);
    }
    print("\nNothing was changed.");
    return 1;
  }
  const { host, pathname } = new URL(databaseUrl);
  print(
    `Settings and ${config.requiredSecrets.length} secrets are in place; the database is ${host}${pathname}.`,
  );
  if (checkOnly) return 0;

  try {
    await migrate(databaseUrl);
  } catch (error) {
    print(`The migrations failed: ${messageOf(error)}`);
    print(`Nothing was deployed. Put the cause right and run ${deployCommand(environment)} again.`);
    return 1;
  }
  print("The migrations are in.");

  const code = await deployWorker(wrangler, configFile, environment);
  if (code !== 0) {
    print(`wrangler failed (exit code ${code}). The version that runs goes on, on the migrated database.`);
    return code;
  }
  print(
    `\nDeployed ${config.name}. See whether it is well: curl ${String(config.vars["PUBLIC_URL"])}/api/health`,
  );
  print(
    `To go back to the version before: ${wranglerCommand("rollback", environment)} (the migrations stay)`,
  );
  return 0;
}

/** The innermost cause's message: drivers wrap it in the whole statement. */
function messageOf(error: unknown): string {
  let cause = error;
  while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause;
  return cause instanceof Error ? cause.message : String(cause);
}
