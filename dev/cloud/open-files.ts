/**
 * How many files a part may have open: each socket costs the Worker's runtime one or two, and it dies when it has none
 * left.
 * @module
 */
import { spawnSync } from "node:child_process";

/** Enough for some 10,000 sockets. */
const WANTED = 16_384;

/**
 * A command that starts `command` with enough files, as far as the system lets it. Node has raised its own soft limit to
 * the hard one, which its children inherit; only a hard limit below what is wanted needs the right to raise it.
 * @param warn is told when it stays too low
 */
export function withOpenFiles(
  command: readonly [string, ...string[]],
  warn: (line: string) => void,
  hardLimit = openFilesLimit(),
): readonly [string, ...string[]] {
  if (process.platform === "win32" || hardLimit >= WANTED) return command;
  const raise = `ulimit -n ${WANTED}`;
  if (spawnSync("sh", ["-c", raise], { stdio: "ignore" }).status === 0) {
    return ["sh", "-c", `${raise} && exec "$0" "$@"`, ...command];
  }
  warn(
    `this shell allows ${hardLimit} open files (ulimit -Hn), with which the Worker's runtime dies at about ${Math.floor(hardLimit / 2)} sockets; for a load test start from one that allows ${WANTED}`,
  );
  return command;
}

/** The hard limit of this process. */
function openFilesLimit(): number {
  const report = process.report.getReport() as { userLimits?: { open_files?: { hard?: unknown } } };
  const hard = report.userLimits?.open_files?.hard;
  return typeof hard === "number" ? hard : Infinity;
}
