/**
 * What a request asks for: the token and the commands, from a JSON body or from the path.
 * @module
 */
import type { GatewayRequest } from "../server.ts";

/** A command as Redis gets it: the name, then the arguments. Never empty. */
export type Command = (string | Buffer)[];

/** A stream of events, by the first segment of its path. */
export type StreamKind = "subscribe" | "psubscribe" | "monitor";

export type Endpoint = "command" | "pipeline" | "multi-exec" | StreamKind;

/** A request that is not, or not wholly, carried out: answered with status 400 and `message`, an error reply's text. */
export class BadRequest extends Error {}

/** The token of the `Authorization` header, else that of the query, else an empty string. */
export function tokenOf({ headers, target }: GatewayRequest): string {
  const bearer = /^bearer +(.+)$/i.exec(headers.authorization ?? "")?.[1];
  return bearer ?? queryOf(target).get("_token") ?? "";
}

/** What a path asks for: one of the fixed endpoints, a stream, or a command in the body of `/` or in the path. */
export function endpointOf(target: string): Endpoint {
  const path = pathOf(target);
  if (path === "/pipeline") return "pipeline";
  if (path === "/multi-exec") return "multi-exec";
  const name = path.split("/", 2)[1]?.toLowerCase() ?? "";
  return isStream(name) ? name : "command";
}

/** The commands of a request in order: one, unless it is a batch. @throws {BadRequest} */
export function commandsOf({ target, body }: GatewayRequest): Command[] {
  const endpoint = endpointOf(target);
  if (endpoint === "pipeline" || endpoint === "multi-exec") return batchIn(body);
  if (pathOf(target) === "/") return [named(argumentsOf(parseJson(body)))];
  // The SDK sends the body `[]` with a subscription.
  return [commandInPath(target, isStream(endpoint) ? Buffer.alloc(0) : body)];
}

function isStream(name: string): name is StreamKind {
  return name === "subscribe" || name === "psubscribe" || name === "monitor";
}

/**
 * The path's segments, percent-decoded after the split, then the body when there is one, then the query without the
 * token: `/set/k?EX=100` with body `v` is `SET k v EX 100`; an option without a value, `?NX`, is one argument.
 */
function commandInPath(target: string, body: Buffer): Command {
  const command: Command = pathOf(target).slice(1).split("/").map(percentDecode);
  if (body.length > 0) command.push(body);
  for (const [name, value] of queryOf(target)) {
    if (name === "_token") continue;
    command.push(name);
    if (value !== "") command.push(value);
  }
  return named(command);
}

function batchIn(body: Buffer): Command[] {
  const parsed = parseJson(body);
  if (!Array.isArray(parsed)) throw new BadRequest("ERR the body must be a JSON array of commands");
  if (parsed.length === 0) throw new BadRequest("ERR empty pipeline request");
  return parsed.map((item) => named(argumentsOf(item)));
}

function named(command: Command): Command {
  if (!command[0] || command[0].length === 0) throw new BadRequest("ERR empty command");
  return command;
}

function argumentsOf(value: unknown): Command {
  if (!Array.isArray(value)) throw new BadRequest("ERR a command must be a JSON array");
  return value.map((argument: unknown) => {
    if (typeof argument === "string") return argument;
    if (typeof argument === "boolean") return String(argument);
    // The SDK stringifies null itself; a null that arrives was `undefined`.
    if (argument === null) return "";
    throw new BadRequest("ERR an argument must be a string, a number, a boolean or null");
  });
}

/** Parsed JSON in which every number is the text it was written as: 2^53 + 1 and 1.0 reach Redis unchanged. */
function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"), (_key, value: unknown, context?: { source?: string }) =>
      typeof value === "number" ? (context?.source ?? String(value)) : value,
    );
  } catch {
    throw new BadRequest("ERR the body is not valid JSON");
  }
}

function pathOf(target: string): string {
  return target.split("?", 1)[0] || "/";
}

function queryOf(target: string): URLSearchParams {
  const start = target.indexOf("?");
  return new URLSearchParams(start === -1 ? "" : target.slice(start + 1));
}

function percentDecode(segment: string): Buffer {
  if (/%(?![\da-f]{2})/i.test(segment)) throw new BadRequest("ERR invalid percent-encoding in the path");
  const parts = segment.split(/(%[\da-f]{2})/i);
  return Buffer.concat(
    parts.map((part, index) => (index % 2 === 1 ? Buffer.from(part.slice(1), "hex") : Buffer.from(part))),
  );
}
