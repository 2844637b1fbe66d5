/**
 * The wrangler that deploys, as far as a deployment needs it.
 * @module
 */
import { spawn } from "node:child_process";
import { stripVTControlCharacters } from "node:util";
import { unstable_readConfig } from "wrangler";

/** How wrangler is started. */
export type WranglerProgram = { command: string; args: readonly string[] };

/** What `wrangler.toml` says about one environment. */
export type WorkerConfig = {
  /** Of the Worker. */
  name: string;
  vars: Record<string, unknown>;
  requiredSecrets: string[];
};

/** @param environment empty: the top level @throws when there is no such file or environment */
export function readWorkerConfig(configFile: string, environment: string): WorkerConfig {
  const config = unstable_readConfig({ config: configFile, env: environment }, { hideWarnings: true });
  return {
    name: config.name ?? "",
    vars: { ...config.vars },
    requiredSecrets: [...(config.secrets?.required ?? [])],
  };
}

/** The flag that names an environment to wrangler; for the top level it is given too, so that `CLOUDFLARE_ENV` does not choose. */
export function environmentFlag(environment: string): string {
  return `--env=${environment}`;
}

/** `missing`: the Worker does not exist yet. `failed`: wrangler could not tell, and said `output`. */
export type SecretList =
  | { kind: "listed"; names: string[] }
  | { kind: "missing" }
  | { kind: "failed"; output: string };

/** Asks Cloudflare which secrets the Worker has. Values cannot be read. */
export async function listSecrets(
  program: WranglerProgram,
  configFile: string,
  environment: string,
): Promise<SecretList> {
  const args = ["secret", "list", "--format=json", "--config", configFile, environmentFlag(environment)];
  const { code, stdout, stderr } = await capture(program, args);
  if (code === 0) {
    try {
      const json = stdout.slice(stdout.indexOf("["), stdout.lastIndexOf("]") + 1);
      const secrets = JSON.parse(json) as { name: string }[];
      return { kind: "listed", names: secrets.map(({ name }) => name) };
    } catch {
      return { kind: "failed", output: `not a list: ${stdout}` };
    }
  }
  const output = withoutDecoration(`${stdout}\n${stderr}`);
  return /Worker "[^"]*".* not found/.test(output) ? { kind: "missing" } : { kind: "failed", output };
}

/** Uploads the Worker, in sight of the user. @returns wrangler's exit code */
export async function deployWorker(
  program: WranglerProgram,
  configFile: string,
  environment: string,
): Promise<number> {
  const args = [...program.args, "deploy", "--config", configFile, environmentFlag(environment)];
  const child = spawn(program.command, args, { stdio: "inherit", windowsHide: true });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code ?? 1));
  });
}

/** What a program printed, without colours, empty lines and the hint where its log went. */
function withoutDecoration(output: string): string {
  return stripVTControlCharacters(output)
    .split("\n")
    .map((line) => line.trimEnd())
    .filter((line) => line !== "" && !line.includes("Logs were written to"))
    .join("\n");
}

async function capture(program: WranglerProgram, args: readonly string[]) {
  const child = spawn(program.command, [...program.args, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    windowsHide: true,
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const code = await new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (exitCode) => resolve(exitCode ?? 1));
  });
  return { code, stdout, stderr };
}
