/**
 * `npm run api -- [--check | --release]`: see `USAGE`.
 * @module
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Documents, generateDocuments, textOf } from "./api/documents.ts";
import { gateProblems, releaseProblems, type Texts } from "./api/gate.ts";

const USAGE = `npm run api -- [--check | --release]

Writes the published documents, api/openapi.json and api/asyncapi.json, as the code makes them.
--check    writes nothing; fails when they differ from the code, or break clients of the last release
           without a version that says so.
--release  also keeps them as the last release, in api/released. Raise API_VERSION (src/docs/document.ts) first.
`;

const KEPT = fileURLToPath(new URL("../api/", import.meta.url));
const RELEASED = `${KEPT}released/`;

function read(folder: string): Texts {
  const text = (name: string) => {
    const file = `${folder}${name}.json`;
    return existsSync(file) ? readFileSync(file, "utf8") : undefined;
  };
  return { openapi: text("openapi"), asyncapi: text("asyncapi") };
}

function write(folder: string, documents: Documents): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, document] of Object.entries(documents)) {
    writeFileSync(`${folder}${name}.json`, textOf(document));
  }
}

function refuse(problems: string[]): boolean {
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
  return problems.length > 0;
}

const { values: flags } = parseArgs({
  options: { check: { type: "boolean" }, release: { type: "boolean" }, help: { type: "boolean" } },
});
if (flags.help === true) console.log(USAGE);
else {
  const generated = await generateDocuments();
  const released = read(RELEASED);
  if (flags.check === true) refuse(gateProblems(generated, read(KEPT), released));
  else {
    write(KEPT, generated);
    const problems = (flags.release === true ? releaseProblems : gateProblems)(
      generated,
      read(KEPT),
      released,
    );
    if (!refuse(problems) && flags.release === true) write(RELEASED, generated);
  }
}
