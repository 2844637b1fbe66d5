/**
 * A refusal the user can act on. Commands print it as one line and exit 1, without a stack (`runCommand`).
 * @module
 */
export class CloudProblem extends Error {
  override name = "CloudProblem";
  /** The last lines of the log of the part that failed, oldest first; empty when no part is to blame. */
  readonly logLines: readonly string[];

  /** `cause` says what is wrong, `remedy` what to do about it; both without a final full stop. */
  constructor(cause: string, remedy: string, logLines: readonly string[] = []) {
    super(`${cause}. ${remedy}.`);
    this.logLines = logLines;
  }
}
