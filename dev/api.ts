/**
 * `npm run api`: writes the published documents into `api/`.
 * @module
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { generateDocuments, textOf } from "./api/documents.ts";

const FOLDER = fileURLToPath(new URL("../api/", import.meta.url));

mkdirSync(FOLDER, { recursive: true });
for (const [name, document] of Object.entries(await generateDocuments())) {
  writeFileSync(`${FOLDER}${name}.json`, textOf(document));
}
