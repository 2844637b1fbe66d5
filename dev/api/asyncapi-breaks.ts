/**
 * How an AsyncAPI document breaks clients that were made for an older one. It may gain channels, operations, frames,
 * closing codes, fields of the server's frames and optional fields of the client's.
 * @module
 */
import type { Json } from "./documents.ts";
import { type Direction, type JsonSchema, schemaBreaks } from "./schema-breaks.ts";

type Reference = { $ref: string };
type Channel = {
  address: string;
  parameters?: Record<string, Json>;
  messages: Record<string, Reference>;
  bindings?: { ws?: { query?: JsonSchema } };
  "x-closing-codes"?: Record<string, string>;
};
type Operation = {
  action: "send" | "receive";
  channel: Reference;
  messages: Reference[];
  reply?: { messages: Reference[] };
};
type AsyncApi = {
  servers?: Record<string, { security?: Reference[] }>;
  channels: Record<string, Channel>;
  operations: Record<string, Operation>;
  components: {
    schemas: Record<string, JsonSchema>;
    messages: Record<string, { name: string; payload: JsonSchema }>;
  };
};

/** @returns each break with the channel or operation and the place in it */
export function asyncApiBreaks(olderDocument: Json, newerDocument: Json): string[] {
  // Trusted casts: both were made by the application.
  const [older, newer] = [olderDocument as AsyncApi, newerDocument as AsyncApi];
  const breaks = [
    ...gone(older.servers, newer.servers, "server"),
    ...Object.entries(older.servers ?? {}).flatMap(([name, { security = [] }]) => {
      const left = newer.servers?.[name]?.security?.map(({ $ref }) => $ref) ?? [];
      return security
        .filter(({ $ref }) => !left.includes($ref))
        .map(({ $ref }) => `server ${name}: ${nameIn($ref)} is no longer enough`);
    }),
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

function channelBreaks(was: Channel, is: Channel, older: AsyncApi, newer: AsyncApi, name: string): string[] {
  const [query, newQuery] = [was.bindings?.ws?.query ?? {}, is.bindings?.ws?.query ?? {}];
  return [
    ...(was.address === is.address ? [] : [`${name}: was at ${was.address}, is at ${is.address}`]),
    ...gone(was.parameters, is.parameters, `${name} parameter`),
    ...gone(is.parameters, was.parameters, `${name} parameter`, "new"),
    ...gone(was.messages, is.messages, `${name} frame`),
    ...gone(was["x-closing-codes"], is["x-closing-codes"], `${name} closing code`),
    ...schemaBreaks(
      { schema: query, schemas: older.components.schemas },
      { schema: newQuery, schemas: newer.components.schemas },
      "request",
      `${name} query`,
    ),
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
      return schemaBreaks(
        { schema: sent?.payload ?? {}, schemas: older.components.schemas },
        { schema: known.payload, schemas: newer.components.schemas },
        direction,
        at,
      );
    });
  return [
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
