/**
 * The client's types of rooms' frames, from the AsyncAPI document.
 * @module
 */
import { comment, type JsonSchema, typeText } from "./type-text.ts";

export type AsyncApi = { components: { schemas: Record<string, JsonSchema> } };

const HEAD = "// Made from api/asyncapi.json by `npm run client:types`. Do not edit.\n";
/** What clients send: fields with a default may be left out. */
const SENT = /^Client/;

/** The text of `client/src/generated/frames.ts`. */
export function frameTypes({ components }: AsyncApi): string {
  const schemas = Object.entries(components.schemas).map(
    ([name, schema]) =>
      `${comment(schema.description)}export type ${name} = ${typeText(schema, SENT.test(name) ? "sent" : "answered")};\n`,
  );
  return [
    HEAD,
    ...schemas,
    "/** Whatever a room sends. */\nexport type ServerFrame = PostRoomFrame | UserRoomFrame;\n",
  ].join("\n");
}
