/**
 * How a command ends: what it prints and with which code.
 * @module
 */
import { CloudProblem } from "./problem.ts";
import { Stopped } from "./stop-signal.ts";

/** What a shell says of a program that Ctrl-C has ended: 128 and the number of SIGINT. */
const INTERRUPTED = 130;

type Command = {
  /** Stands in front of its lines. */
  name: string;
  /** Resolves with whether all went well. Rejects with `Stopped` when it was stopped before its end. */
  main: () => Promise<boolean>;
  /** It has no end of its own: being stopped is how it ends well. */
  endless?: boolean;
};

/**
 * Runs a command and ends the process: 0 when all went well, 1 when not, or with a problem, which is printed; when it
 * was stopped, 0 if that is how it ends, else 130, since what it was to do is not done.
 * @throws what is no problem of the user's, with its stack
 */
export async function runCommand({ name, main, endless = false }: Command): Promise<never> {
  try {
    process.exit((await main()) ? 0 : 1);
  } catch (error) {
    if (error instanceof Stopped) process.exit(endless ? 0 : INTERRUPTED);
    if (!(error instanceof CloudProblem)) throw error;
    for (const line of error.logLines) console.error(`  | ${line}`);
    console.error(`[${name}] ${error.message}`);
    process.exit(1);
  }
}
