/**
 * How a request shows in the record of calls: command names with their first key.
 * @module
 */
import type { Command, Endpoint } from "./request.ts";

const KEY_LENGTH_LIMIT = 80;
const COMMAND_COUNT_LIMIT = 50;

/** Commands whose first key follows a subcommand, an operation or a number of keys. */
const KEY_IS_SECOND = new Set(
  `OBJECT MEMORY XINFO XGROUP BITOP ZUNION ZINTER ZDIFF ZINTERCARD SINTERCARD LMPOP ZMPOP`.split(" "),
);
/** Commands that name a script or a function, then the number of keys. */
const KEY_IS_THIRD = new Set("EVAL EVAL_RO EVALSHA EVALSHA_RO FCALL FCALL_RO".split(" "));

/** `GET a`, `pipeline: SET a; EVALSHA b`; keys over 80 characters and commands after the fiftieth are cut. */
export function labelOf(endpoint: Endpoint, commands: readonly Command[]): string {
  const batch = endpoint === "pipeline" || endpoint === "multi-exec" ? `${endpoint}: ` : "";
  const shown = commands.slice(0, COMMAND_COUNT_LIMIT).map(describe);
  if (commands.length > shown.length) shown.push(`… ${commands.length - shown.length} more`);
  return `${batch}${shown.join("; ")}`;
}

function describe(command: Command): string {
  const name = command[0]?.toString().toUpperCase() ?? "";
  const subject = command[subjectIndex(name, command)]?.toString();
  if (subject === undefined) return name;
  return `${name} ${subject.length > KEY_LENGTH_LIMIT ? `${subject.slice(0, KEY_LENGTH_LIMIT)}…` : subject}`;
}

function subjectIndex(name: string, command: Command): number {
  if (KEY_IS_THIRD.has(name)) return Number(command[2]) > 0 ? 3 : -1;
  if (KEY_IS_SECOND.has(name)) return 2;
  if (name === "XREAD" || name === "XREADGROUP") {
    const streams = command.findIndex((argument) => argument.toString().toUpperCase() === "STREAMS");
    return streams === -1 ? -1 : streams + 1;
  }
  return 1;
}
