/**
 * `npm run client:types`: the client's types from the kept documents in `api/`. `--check` only tells whether they are up
 * to date.
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type AsyncApi, frameTypes } from "./client-types/frame-types.ts";
import { type OpenApi, restTypes } from "./client-types/rest-types.ts";

const root = new URL("..", import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), "utf8");

// Trusted casts: the documents are made by the application itself.
const openapi = JSON.parse(read("api/openapi.json")) as OpenApi;
const asyncapi = JSON.parse(read("api/asyncapi.json")) as AsyncApi;
const made: [path: string, text: string][] = [
  ["client/src/generated/rest.ts", restTypes(openapi, Object.keys(asyncapi.components.schemas))],
  ["client/src/generated/frames.ts", frameTypes(asyncapi)],
];
const stale = made.filter(([path, text]) => current(path) !== text);

if (process.argv.includes("--check")) {
  for (const [path] of stale)
    console.error(`${path} is out of date: run \`npm run client:types\` and commit it.`);
  process.exitCode = stale.length > 0 ? 1 : 0;
} else {
  for (const [path, text] of stale) {
    writeFileSync(fileURLToPath(new URL(path, root)), text);
    console.log(`wrote ${path}`);
  }
}

function current(path: string): string | undefined {
  try {
    return read(path);
  } catch {
    return undefined;
  }
}
