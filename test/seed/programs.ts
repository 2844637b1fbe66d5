/**
 * Runs the command-line programs of `dev/` as a user does.
 * @module
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

/** What a program printed, both streams, and its exit code. */
export type Outcome = { code: number | null; output: string };

/**
 * Runs `node dev/<script>` to its end.
 * @param env what is set besides the necessary: settings of the caller do not reach it
 */
export async function run(
  script: string,
  args: readonly string[],
  { env = {}, cwd }: { env?: Record<string, string>; cwd?: string } = {},
): Promise<Outcome> {
  const path = fileURLToPath(new URL(`../../dev/${script}`, import.meta.url));
  const { PATH = "", HOME = "" } = process.env;
  const child = spawn(process.execPath, [path, ...args], {
    env: Object.assign(Object.create(null) as NodeJS.ProcessEnv, { PATH, HOME, ...env }),
    cwd,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  return { code, output };
}

/** A folder with these files that goes when the test ends. Call it inside a test. @returns its path */
export function scratchFolder(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), "liveforum-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  return folder;
}
