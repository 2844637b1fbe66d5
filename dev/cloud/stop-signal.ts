/**
 * How the user ends the program.
 * @module
 */

/** The reason of a stop that was asked for. */
export class Stopped extends Error {}

/** One Ctrl-C arrives twice under npm: from the terminal, and passed on by npm. */
const SAME_KEY_MS = 500;

/**
 * Ctrl-C, SIGTERM, a closed terminal and a reader of the output that went away ask to stop; the signal is aborted
 * with a `Stopped`. Asking again ends the program at once; its watchdog ends the parts.
 */
export function stopSignal(log: (line: string) => void): AbortSignal {
  const controller = new AbortController();
  let askedAt = 0;
  const ask = (): void => {
    if (!controller.signal.aborted) {
      askedAt = performance.now();
      controller.abort(new Stopped());
      log("stopping (again to force)");
    } else if (performance.now() - askedAt > SAME_KEY_MS) {
      process.exit(130);
    }
  };
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, ask);
  for (const output of [process.stdout, process.stderr]) {
    output.on("error", () => {
      if (!controller.signal.aborted) controller.abort(new Stopped());
    });
  }
  return controller.signal;
}
