/**
 * A reporter that keeps what is logged during the tests, the Worker's lines among it, for the last look at the run.
 * @module
 */
import { appendFileSync } from "node:fs";
import type { UserConsoleLog } from "vitest";
import type { Reporter } from "vitest/node";

/** The environment variable that names the file. */
export const TEST_LOG = "LIVEFORUM_TEST_LOG";

export class LogKeeper implements Reporter {
  onUserConsoleLog({ content }: UserConsoleLog): void {
    const file = process.env[TEST_LOG];
    if (file !== undefined)
      appendFileSync(file, content.endsWith("\n") ? content : `${content}\n`, { mode: 0o600 });
  }
}
