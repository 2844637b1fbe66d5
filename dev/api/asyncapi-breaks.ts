/**
 * How an AsyncAPI document breaks clients that were made for an older one. It may gain channels, operations, frames,
 * closing codes, fields of the server's frames and optional fields of the client's.
 * @module
 */
import type { Json } from "./documents.ts";
import { type Direction, type JsonSchema, schemaBreaks } from "./schema-breaks.ts";
import { securitySchemeBreaks } from "./security-schemes.ts";

type Reference = { $ref: string };
type Server = { protocol: string; host: string; pathname?: string; security?: Reference[] };
type Channel = {
  address: string;
  parameters?: Record<string, JsonSchema>;
  messages: Record<string, Reference>;
  bindings?: { ws?: { method?: string; query?: JsonSchema; headers?: JsonSchema } };
  "x-closing-codes"?: Record<string, string>;
};
type Operation = {
  action: "send" | "receive";
  channel: Reference;
  messages: Reference[];
  reply?: { channel?: Reference; messages: Reference[] };
  security?: Reference[];
};
type Message = { contentType?: string; headers?: JsonSchema; payload: JsonSchema };
type AsyncApi = {
  defaultContentType?: string;
  servers?: Record<string, Server>;
  channels: Record<string, Channel>;
  operations: Record<string, Operation>;
  components: {
    schemas: Record<string, JsonSchema>;
    messages: Record<string, Message>;
    securitySchemes?: Record<string, Json>;
  };
};

/** @returns each break with the channel or operation and the place in it */
export function asyncApiBreaks(olderDocument: Json, newerDocument: Json): string[] {
  // Trusted casts: both were made by the application.
  const [older, newer] = [olderDocument as AsyncApi, newerDocument as AsyncApi];
  const breaks = [
    ...gone(older.servers, newer.servers, "server"),
    ...Object.entries(older.servers ?? {}).flatMap(([name, was]) => {
      const is = newer.servers?.[name];
      return is ? serverBreaks(was, is, `server ${name}`) : [];
    }),
    ...securitySchemeBreaks(older.components.securitySchemes, newer.components.securitySchemes),
    ...gone(older.channels, newer.channels, "channel"),
    ...Object.entries(older.channels).flatMap(([name, was]) => {
      const is = newer.channels[name];
      return is ? channelBreaks(was, is, older, newer, `channel ${name}`) : [];
    }),
    ...gone(older.operations, newer.operations, "operation"),
    ...Object.entries(older.operations).flatMap(([name, was]) => {
      const is = newer.operations[name];
      return is ? operationBreaks(was, is, older, newer, name) : [];
    }),
  ];
  return [...new Set(breaks)];
}

function serverBreaks(was: Server, is: Server, name: string): string[] {
  const addressOf = ({ protocol, host, pathname = "" }: Server) => `${protocol}://${host}${pathname}`;
  return [
    ...(addressOf(was) === addressOf(is) ? [] : [`${name}: was ${addressOf(was)}, is ${addressOf(is)}`]),
    ...securityBreaks(was, is, name),
  ];
}

type Secured = { security?: Reference[] };

/** Each of the old ways in must still be enough. No way at all means that everybody may. */
function securityBreaks(
  { security: was = [] }: Secured,
  { security: is = [] }: Secured,
  at: string,
): string[] {
  if (was.length === 0) return is.length === 0 ? [] : [`${at}: anonymous is no longer enough`];
  return was
    .filter(({ $ref }) => !is.some((way) => way.$ref === $ref))
    .map(({ $ref }) => `${at}: ${nameIn($ref)} is no longer enough`);
}

function channelBreaks(was: Channel, is: Channel, older: AsyncApi, newer: AsyncApi, name: string): string[] {
  const compare = (before: JsonSchema = {}, after: JsonSchema = {}, direction: Direction, at: string) =>
    schemaBreaks(
      { schema: before, schemas: older.components.schemas },
      { schema: after, schemas: newer.components.schemas },
      direction,
      `${name} ${at}`,
    );
  const [ws, newWs] = [was.bindings?.ws ?? {}, is.bindings?.ws ?? {}];
  return [
    ...(ws.method === undefined || ws.method === newWs.method
      ? []
      : [`${name}: was opened by ${ws.method}, is by ${newWs.method}`]),
    ...Object.entries(was.parameters ?? {}).flatMap(([parameter, schema]) => {
      const left = is.parameters?.[parameter];
      return left ? compare(schema, left, "request", `parameter ${parameter}`) : [];
    }),
    ...compare(ws.query, newWs.query, "request", "query"),
    // The binding does not say whose headers it means: those of the request and of its answer.
    ...compare(ws.headers, newWs.headers, "request", "header"),
    ...compare(ws.headers, newWs.headers, "response", "header"),
    ...(was.address === is.address ? [] : [`${name}: was at ${was.address}, is at ${is.address}`]),
    ...gone(was.parameters, is.parameters, `${name} parameter`),
    ...gone(is.parameters, was.parameters, `${name} parameter`, "new"),
    ...gone(was.messages, is.messages, `${name} frame`),
    ...gone(was["x-closing-codes"], is["x-closing-codes"], `${name} closing code`),
  ];
}

function operationBreaks(
  was: Operation,
  is: Operation,
  older: AsyncApi,
  newer: AsyncApi,
  name: string,
): string[] {
  if (was.action !== is.action) return [`operation ${name}: was ${was.action}, is ${is.action}`];
  if (was.channel.$ref !== is.channel.$ref) return [`operation ${name}: is on another channel`];
  // What the application sends is a response to its clients.
  const [direction, opposite]: Direction[] =
    was.action === "send" ? ["response", "request"] : ["request", "response"];
  const frames = (before: Reference[], after: Reference[], direction: Direction = "response") =>
    before.flatMap(({ $ref }) => {
      const at = `${name} ${nameIn($ref)}`;
      const [sent, known] = [messageOf(older, $ref), messageOf(newer, $ref)];
      if (!after.some((reference) => reference.$ref === $ref) || !known) return [`${at}: removed`];
      const typeOf = ({ defaultContentType }: AsyncApi, message: Message | undefined) =>
        message?.contentType ?? defaultContentType;
      const [type, newType] = [typeOf(older, sent), typeOf(newer, known)];
      const compare = (schema: JsonSchema = {}, newSchema: JsonSchema = {}, place: string) =>
        schemaBreaks(
          { schema, schemas: older.components.schemas },
          { schema: newSchema, schemas: newer.components.schemas },
          direction,
          place,
        );
      return [
        ...(type === newType ? [] : [`${at}: was ${type}, is ${newType}`]),
        ...compare(sent?.headers, known.headers, `${at} header`),
        ...compare(sent?.payload, known.payload, at),
      ];
    });
  const [answer, newAnswer] = [was.reply?.channel?.$ref, is.reply?.channel?.$ref];
  return [
    ...securityBreaks(was, is, name),
    ...(is.reply && answer !== newAnswer ? [`${name}: is answered on another channel`] : []),
    ...frames(was.messages, is.messages, direction),
    ...frames(was.reply?.messages ?? [], is.reply?.messages ?? [], opposite),
  ];
}

/** The component behind a channel's message. */
function messageOf({ channels, components }: AsyncApi, reference: string) {
  const [, channel = "", message = ""] = /^#\/channels\/([^/]+)\/messages\/([^/]+)$/.exec(reference) ?? [];
  return components.messages[nameIn(channels[channel]?.messages[message]?.$ref ?? "")];
}

function nameIn(reference: string): string {
  return reference.split("/").at(-1) ?? reference;
}

function gone(was: object = {}, is: object = {}, what: string, verdict = "removed"): string[] {
  return Object.keys(was)
    .filter((name) => !(name in is))
    .map((name) => `${what} ${name}: ${verdict}`);
}
