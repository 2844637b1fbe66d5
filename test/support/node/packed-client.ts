/**
 * The client as its users get it: built, packed by npm, and installed into an empty project.
 * @module
 */
import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const CLIENT = join(ROOT, "client");
const BIN = join(ROOT, "node_modules/.bin");
/** The compiler comes from the repository, for the package's own build and for projects that use it. */
const ENV = { ...process.env, PATH: `${BIN}${delimiter}${process.env["PATH"]}` };

export type Project = {
  path: string;
  file: (...parts: string[]) => string;
  /** Runs the compiler over the project. @returns what it complains about; empty when it does not */
  typeCheck: () => Promise<string>;
  remove: () => void;
};

/**
 * A project that has the package and nothing else. No network is used.
 * @param generated other texts for files in `client/src/generated`, as if the server's documents had changed
 */
export async function projectWithClient(generated: Record<string, string> = {}): Promise<Project> {
  const scratch = mkdtempSync(join(tmpdir(), "liveforum-package-"));
  const source = join(scratch, "client");
  const path = join(scratch, "project");
  cpSync(CLIENT, source, {
    recursive: true,
    filter: (file) => !/\/(?:dist|examples|node_modules)$/.test(file),
  });
  for (const [name, text] of Object.entries(generated)) {
    writeFileSync(join(source, "src/generated", name), text);
  }
  await run("npm", ["pack", "--silent"], source);
  const tarball = readdirSync(source).find((name) => name.endsWith(".tgz")) ?? "";
  cpSync(join(source, tarball), join(path, tarball), { recursive: true });
  writeFileSync(join(path, "package.json"), JSON.stringify({ name: "empty", private: true, type: "module" }));
  await run("npm", ["install", "--offline", "--no-audit", "--no-fund", `./${tarball}`], path);
  return {
    path,
    file: (...parts) => join(path, ...parts),
    typeCheck: () => complaints("tsc", ["-p", path]),
    remove: () => rmSync(scratch, { recursive: true, force: true }),
  };
}

const start = promisify(execFile);

/** @throws what it says when it fails */
async function run(command: string, args: string[], cwd: string): Promise<void> {
  await start(command, args, { cwd, env: ENV });
}

async function complaints(command: string, args: string[]): Promise<string> {
  try {
    await start(command, args, { env: ENV });
    return "";
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}
