/** The AsyncAPI document against the specification's own JSON Schema. */
import specifications from "@asyncapi/specs";
import { Ajv } from "ajv";
import { describe, it } from "vitest";
import { asyncApiDocument } from "../src/docs/asyncapi.ts";

// The specification brings draft 7 along; formats are told, not checked.
const isAsyncApi = new Ajv({ meta: false, strict: false, validateFormats: false }).compile(
  specifications.schemas["3.0.0"] as object,
);

describe("the AsyncAPI document", () => {
  it("is valid AsyncAPI 3.0", ({ expect }) => {
    expect(isAsyncApi(asyncApiDocument()), JSON.stringify(isAsyncApi.errors)).toBe(true);
  });

  it.for([
    [
      "a field that no channel has",
      (document) => Object.assign(document.channels["postRoom"] ?? {}, { x: 1 }),
    ],
    [
      "a direction that there is not",
      (document) => Object.assign(document.operations["postRoomPing"] ?? {}, { action: "say" }),
    ],
    ["no version", (document) => Reflect.deleteProperty(document.info, "version")],
  ] as [string, (document: ReturnType<typeof asyncApiDocument>) => unknown][])(
    "would not be with %s",
    ([, change], { expect }) => {
      const document = asyncApiDocument();
      change(document);
      expect(isAsyncApi(document)).toBe(false);
    },
  );
});
