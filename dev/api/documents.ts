/**
 * The published documents, as the code makes them: no Worker and no server is needed.
 * @module
 */
import { asyncApiDocument } from "../../src/docs/asyncapi.ts";
import { documentInfo } from "../../src/docs/document.ts";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
/** A document, by the name of its file without `.json`. */
export type Documents = { openapi: Json; asyncapi: Json };

/** What `/api/openapi.json` and `/api/asyncapi.json` answer. A second or two, most of it to load the code. */
export async function generateDocuments(): Promise<Documents> {
  // Not known to the compiler here: src/ is typed for workerd, dev/ for Node.
  const app = (await import(new URL("../../src/app.ts", import.meta.url).href)) as {
    createApp: () => { getOpenAPI31Document: (info: typeof documentInfo) => unknown };
  };
  return {
    openapi: asJson(app.createApp().getOpenAPI31Document(documentInfo)),
    asyncapi: asJson(asyncApiDocument()),
  };
}

/** The text that is kept: in the order in which the code makes it, which is the same at every run. */
export function textOf(document: Json): string {
  return `${JSON.stringify(document, null, 2)}\n`;
}

function asJson(value: unknown): Json {
  return JSON.parse(JSON.stringify(value)) as Json;
}
