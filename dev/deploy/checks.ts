/**
 * What must be in place before a deployment changes anything.
 * @module
 */
import { readConfig } from "../../src/env.ts";
import type { SecretList, WorkerConfig } from "./wrangler.ts";

/** One thing that is missing or wrong, and the commands that put it right. */
export type Finding = { problem: string; commands: string[] };

/** Looks at the variables of `wrangler.toml`, at the secrets of the Worker and at the database to migrate. */
export function findings(
  config: WorkerConfig,
  environment: string,
  secrets: SecretList,
  databaseUrl: string | undefined,
): Finding[] {
  return [
    ...variableFindings(config, environment),
    ...databaseFindings(environment, databaseUrl),
    ...secretFindings(config, environment, secrets),
  ];
}

function variableFindings({ vars }: WorkerConfig, environment: string): Finding[] {
  const table = environment === "" ? "[vars]" : `[env.${environment}.vars]`;
  const settings = readConfig(vars);
  // Secrets are not among the variables: what is said about them here is of no interest.
  const wrong = settings.ok ? [] : Object.entries(settings.problems).filter(([name]) => name in vars);
  const found = wrong.map(([name, reason]) => ({
    problem: `${name} in ${table} of wrangler.toml is wrong: ${String(reason)}`,
    commands: [],
  }));
  const publicUrl = typeof vars["PUBLIC_URL"] === "string" ? URL.parse(vars["PUBLIC_URL"]) : null;
  const isExample = /(^|\.)example\.(workers\.dev|com|org|net)$/.test(publicUrl?.hostname ?? "");
  if (!publicUrl || isExample || publicUrl.protocol !== "https:") {
    found.push({
      problem: `PUBLIC_URL in ${table} of wrangler.toml is ${isExample ? "still the example's" : "not an https:// address"}: set it to where clients will reach the Worker`,
      commands: [],
    });
  }
  return found;
}

function databaseFindings(environment: string, databaseUrl: string | undefined): Finding[] {
  const command = `DATABASE_URL='mysql://user:password@host/database' ${deployCommand(environment)}`;
  if (databaseUrl === undefined || databaseUrl === "") {
    return [
      {
        problem:
          "DATABASE_URL is not in the environment: the migrations run from here, and the Worker's own secret cannot be read back",
        commands: [command],
      },
    ];
  }
  const url = URL.parse(databaseUrl);
  if (!url || !/^(mysql|https?):$/.test(url.protocol) || url.username === "" || url.password === "") {
    return [
      { problem: "DATABASE_URL is not of the form mysql://user:password@host/database", commands: [command] },
    ];
  }
  if (/^(localhost|127\.|\[::1\])/.test(url.hostname)) {
    return [
      {
        problem: `DATABASE_URL names ${url.host}, which is on this machine: a deployed Worker cannot reach it`,
        commands: [command],
      },
    ];
  }
  return [];
}

function secretFindings(config: WorkerConfig, environment: string, secrets: SecretList): Finding[] {
  if (secrets.kind === "failed") {
    return [
      {
        problem: `Cloudflare could not be asked for the secrets of ${config.name}. Sign in as below, or set CLOUDFLARE_API_TOKEN. wrangler says:\n${secrets.output}`,
        commands: ["npx wrangler login"],
      },
    ];
  }
  const present = secrets.kind === "listed" ? secrets.names : [];
  const missing = config.requiredSecrets.filter((name) => !present.includes(name));
  if (missing.length === 0) return [];
  const cause =
    secrets.kind === "missing"
      ? `The Worker ${config.name} does not exist yet; the first of these commands creates it`
      : `${config.name} lacks ${missing.length === 1 ? "a secret" : `${missing.length} secrets`}`;
  return [
    { problem: cause, commands: missing.map((name) => wranglerCommand(`secret put ${name}`, environment)) },
  ];
}

/** How the user runs wrangler for an environment. */
export function wranglerCommand(command: string, environment: string): string {
  return `npx wrangler ${command}${environment === "" ? "" : ` --env ${environment}`}`;
}

/** How the user deploys to an environment. */
export function deployCommand(environment: string): string {
  return `npm run deploy${environment === "" ? "" : ` -- --env ${environment}`}`;
}
