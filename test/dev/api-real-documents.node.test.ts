/** Every single removal and addition in the real documents. */
import { beforeAll, describe, it } from "vitest";
import { asyncApiBreaks } from "../../dev/api/asyncapi-breaks.ts";
import { type Documents, generateDocuments, type Json } from "../../dev/api/documents.ts";
import { openApiBreaks } from "../../dev/api/openapi-breaks.ts";
import { edited, type Node, type Path } from "./edited.ts";

describe("the real documents", () => {
  let documents: Documents;
  beforeAll(async () => {
    documents = await generateDocuments();
  });

  /** Paths of all objects under a key, at any depth. */
  function* placesOf(node: Json, wanted: string, at: Path = []): Generator<Path> {
    if (node === null || typeof node !== "object") return;
    for (const [key, child] of Object.entries(node)) {
      if (key === wanted) yield [...at, key];
      yield* placesOf(child, wanted, [...at, key]);
    }
  }
  const at = (document: Json, path: Path) =>
    path.reduce<Json>((node, key) => (node as Node)[key] ?? null, document);
  const breaks = { openapi: openApiBreaks, asyncapi: asyncApiBreaks };
  const names = ["openapi", "asyncapi"] as const;

  it.for(names)("do not break themselves: %s", (name, { expect }) => {
    expect(breaks[name](documents[name], structuredClone(documents[name]))).toEqual([]);
  });

  it.for(names)("break with the loss of any field, anywhere: %s", (name, { expect }) => {
    const unseen: string[] = [];
    let tried = 0;
    for (const place of placesOf(documents[name], "properties")) {
      for (const field of Object.keys(at(documents[name], place) as Node)) {
        const newer = edited(documents[name], [...place, field]);
        const schema = at(newer, place.slice(0, -1)) as { required?: string[] };
        if (schema.required) schema.required = schema.required.filter((other) => other !== field);
        tried += 1;
        if (breaks[name](documents[name], newer).length === 0) unseen.push([...place, field].join("/"));
      }
    }
    expect(tried).toBeGreaterThan(50);
    expect(unseen).toEqual([]);
  });

  it.for(names)("do not break with a new field, anywhere but in what is closed: %s", (name, { expect }) => {
    for (const place of placesOf(documents[name], "properties")) {
      const newer = edited(documents[name], [...place, "somethingNew"], { type: "string" });
      expect(breaks[name](documents[name], newer), place.join("/")).toEqual([]);
    }
  });

  it.for(names)(
    "break when any value of an enum goes from a request, or comes into a response: %s",
    (name, { expect }) => {
      const unseen: string[] = [];
      for (const place of placesOf(documents[name], "enum")) {
        const values = at(documents[name], place) as Json[];
        if (!Array.isArray(values)) continue;
        const more = breaks[name](
          documents[name],
          edited(documents[name], place, [...values, "somethingNew"]),
        );
        const fewer = breaks[name](documents[name], edited(documents[name], place, values.slice(1)));
        const open = (at(documents[name], place.slice(0, -1)) as Node)["x-open-enum"] === true;
        if (more.length + fewer.length === 0 && !open) unseen.push(place.join("/"));
      }
      expect(unseen).toEqual([]);
    },
  );

  it("break with the loss of any path, method and status", ({ expect }) => {
    const { paths } = documents.openapi as { paths: Record<string, Record<string, { responses: object }>> };
    for (const [path, methods] of Object.entries(paths)) {
      expect(openApiBreaks(documents.openapi, edited(documents.openapi, ["paths", path]))).toEqual([
        `${path}: removed`,
      ]);
      for (const [method, { responses }] of Object.entries(methods)) {
        const name = `${method.toUpperCase()} ${path}`;
        expect(openApiBreaks(documents.openapi, edited(documents.openapi, ["paths", path, method]))).toEqual([
          `${name}: removed`,
        ]);
        for (const status of Object.keys(responses)) {
          const newer = edited(documents.openapi, ["paths", path, method, "responses", status]);
          expect(openApiBreaks(documents.openapi, newer)).toEqual([`${name} ${status}: removed`]);
        }
      }
    }
  });
});
