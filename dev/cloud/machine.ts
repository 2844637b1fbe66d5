/**
 * The machine that this program runs on, as far as finding and installing servers needs it.
 * @module
 */
import { spawn } from "node:child_process";
import { type FoundServers, findServers, searchFolders } from "./find-servers.ts";

/** What can be asked of a machine. */
export type Machine = {
  platform: NodeJS.Platform;
  isRoot: boolean;
  /** The servers that are installed now. */
  findServers: () => FoundServers;
  /**
   * Runs a command to its end, never rejects: `ok` is false when it is missing, fails or exceeds `timeoutMs`
   * (default 15,000). With `show` what it prints is shown instead of returned.
   */
  run: (
    command: string,
    args: readonly string[],
    options?: { show?: boolean; timeoutMs?: number },
  ) => Promise<{ ok: boolean; output: string }>;
  log: (line: string) => void;
};

/** The real one. */
export function thisMachine(log: (line: string) => void): Machine {
  return {
    platform: process.platform,
    isRoot: process.getuid?.() === 0,
    findServers: () => findServers(searchFolders(process.env)),
    run: (command, args, { show = false, timeoutMs = 15_000 } = {}) =>
      new Promise((resolve) => {
        const child = spawn(command, args, {
          stdio: ["ignore", show ? "inherit" : "pipe", show ? "inherit" : "ignore"],
          timeout: timeoutMs,
          windowsHide: true,
        });
        let output = "";
        child.stdout?.setEncoding("utf8").on("data", (text: string) => (output += text));
        child.once("error", () => resolve({ ok: false, output }));
        child.once("close", (code) => resolve({ ok: code === 0, output }));
      }),
    log,
  };
}
