/** What breaks a client, schema by schema. */
import { describe, it } from "vitest";
import { type Direction, type JsonSchema, schemaBreaks } from "../../dev/api/schema-breaks.ts";

const text = { type: "string" };
const whole = { type: "integer" };
const nothing = { type: "null" };
const object = (properties: Record<string, JsonSchema>, required: string[] = [], more: JsonSchema = {}) => ({
  type: "object",
  properties,
  required,
  ...more,
});
const closed = { additionalProperties: false };
const frame = (type: string, more: Record<string, JsonSchema> = {}) =>
  object({ type: { type: "string", const: type }, ...more }, ["type", ...Object.keys(more)]);

/** Both schemas as they are, in one direction; where that is not said the older one may become the newer one in both. */
type Case = [name: string, older: JsonSchema, newer: JsonSchema, breaks?: string[]];

function breaks(direction: Direction, older: JsonSchema, newer: JsonSchema): string[] {
  return schemaBreaks({ schema: older, schemas: {} }, { schema: newer, schemas: {} }, direction, "x");
}

describe("a schema of a request", () => {
  it.for<Case>([
    ["nothing", object({ a: text }, ["a"]), object({ a: text }, ["a"])],
    ["a new optional field", object({ a: text }, [], closed), object({ a: text, b: text }, [], closed)],
    ["a field that may be left out now", object({ a: text }, ["a"]), object({ a: text })],
    ["another type beside", text, { type: ["string", "null"] }],
    ["another alternative", { anyOf: [text, whole] }, { anyOf: [text, whole, nothing] }],
    ["any number instead of whole ones", whole, { type: "number" }],
    ["anything instead of text", text, {}],
    ["another value", { type: "string", enum: ["a"] }, { type: "string", enum: ["b", "a"] }],
    ["any value", { type: "string", enum: ["a"] }, text],
    ["wider bounds", { ...whole, minimum: 1, maximum: 5 }, { ...whole, minimum: 0 }],
    ["the same bound in other words", { ...whole, exclusiveMinimum: 0 }, { ...whole, minimum: 1 }],
    ["no pattern any more", { ...text, pattern: "^a$" }, text],
    ["other fields", object({}, [], closed), object({}, [], { additionalProperties: true })],
    [
      "another kind of a tagged union",
      { oneOf: [frame("a"), frame("b")] },
      { oneOf: [frame("a"), frame("b"), frame("c")] },
    ],
    [
      "another description, title, example",
      { ...text, description: "x" },
      { ...text, title: "y", example: "z" },
    ],
    ["a default where there was none", text, { ...text, default: "a" }],
    [
      "wider items",
      { type: "array", items: whole },
      { type: "array", items: { type: ["integer", "string"] } },
    ],
  ])("may get %s", ([, older, newer], { expect }) => {
    expect(breaks("request", older, newer)).toEqual([]);
  });

  it.for<Case>([
    ["a field is removed", object({ a: text }), object({}), ["x.a: removed"]],
    ["a new field is required", object({}), object({ a: text }, ["a"]), ["x.a: new and required"]],
    ["a field becomes required", object({ a: text }), object({ a: text }, ["a"]), ["x.a: required now"]],
    ["a type changes", text, whole, ["x: no longer takes string"]],
    ["a type goes", { type: ["string", "null"] }, text, ["x: no longer takes null"]],
    ["an alternative goes", { anyOf: [text, nothing] }, text, ["x: no longer takes null"]],
    ["only whole numbers are left", { type: "number" }, whole, ["x: no longer takes number"]],
    ["anything becomes text", {}, text, ["x: no longer takes anything"]],
    ["a value goes", { ...text, enum: ["a", "b"] }, { ...text, enum: ["b"] }, ['x: no longer takes "a"']],
    ["only some values are left", text, { ...text, enum: ["a"] }, ['x: takes only "a" now']],
    ["a constant changes", { const: "a" }, { const: "b" }, ['x: no longer takes "a"']],
    ["a bound comes", whole, { ...whole, maximum: 5 }, ["x: maximum has changed"]],
    ["a bound rises", { ...whole, minimum: 1 }, { ...whole, minimum: 2 }, ["x: minimum has changed"]],
    [
      "texts must be shorter",
      { ...text, maxLength: 9 },
      { ...text, maxLength: 8 },
      ["x: maxLength has changed"],
    ],
    ["texts must be longer", text, { ...text, minLength: 1 }, ["x: minLength has changed"]],
    ["a pattern comes", text, { ...text, pattern: "^a$" }, ['x: pattern was nothing, is "^a$"']],
    [
      "a pattern changes",
      { ...text, pattern: "a" },
      { ...text, pattern: "b" },
      ['x: pattern was "a", is "b"'],
    ],
    ["a form comes", text, { ...text, format: "date" }, ['x: format was nothing, is "date"']],
    ["other fields are refused", object({}), object({}, [], closed), ["x: refuses other fields now"]],
    [
      "other fields have a type",
      object({}),
      object({}, [], { additionalProperties: text }),
      ["x: refuses other fields now"],
    ],
    [
      "a default changes",
      { ...text, default: "a" },
      { ...text, default: "b" },
      ['x: default was "a", is "b"'],
    ],
    [
      "items have a type",
      { type: "array" },
      { type: "array", items: text },
      ['x: items was nothing, is {"type":"string"}'],
    ],
    [
      "items change",
      { type: "array", items: text },
      { type: "array", items: whole },
      ["x[]: no longer takes string"],
    ],
    [
      "a kind of a tagged union goes",
      { oneOf: [frame("a"), frame("b")] },
      { oneOf: [frame("a")] },
      ["x<b>: removed"],
    ],
    [
      "a keyword comes that nobody here knows",
      text,
      { ...text, contentEncoding: "base64" },
      ['x: contentEncoding was nothing, is "base64"'],
    ],
  ])("breaks when %s", ([, older, newer, expected], { expect }) => {
    expect(breaks("request", older, newer)).toEqual(expected);
  });
});

describe("a schema of a response", () => {
  it.for<Case>([
    ["nothing", object({ a: text }, ["a"]), object({ a: text }, ["a"])],
    ["a new field", object({ a: text }, ["a"]), object({ a: text, b: text }, ["a", "b"])],
    ["a field that is always there now", object({ a: text }), object({ a: text }, ["a"])],
    ["a type less", { type: ["string", "null"] }, text],
    ["whole numbers alone", { type: "number" }, whole],
    ["a value less", { ...text, enum: ["a", "b"] }, { ...text, enum: ["a"] }],
    ["narrower bounds", { ...whole, minimum: 0 }, { ...whole, minimum: 1, maximum: 5 }],
    ["a pattern and a form", text, { ...text, pattern: "^a$", format: "date" }],
    [
      "another kind of a tagged union",
      { oneOf: [frame("a"), frame("b")] },
      { oneOf: [frame("a"), frame("b"), frame("c")] },
    ],
    ["a second kind beside the only one", frame("a"), { oneOf: [frame("a"), frame("b")] }],
    [
      "another value of an open enum",
      { ...text, enum: ["a"], "x-open-enum": true },
      { ...text, enum: ["a", "b"], "x-open-enum": true },
    ],
    ["another default", { ...text, default: "a" }, { ...text, default: "b" }],
  ])("may get %s", ([, older, newer], { expect }) => {
    expect(breaks("response", older, newer)).toEqual([]);
  });

  it.for<Case>([
    ["a field is removed", object({ a: text }), object({}), ["x.a: removed"]],
    ["a field may be missing", object({ a: text }, ["a"]), object({ a: text }), ["x.a: may be missing now"]],
    ["a type changes", whole, text, ["x: may be string now"]],
    ["null comes", text, { type: ["string", "null"] }, ["x: may be null now"]],
    ["null comes as an alternative", text, { anyOf: [text, nothing] }, ["x: may be null now"]],
    ["whole numbers need not be whole", whole, { type: "number" }, ["x: may be number now"]],
    ["text becomes anything", text, {}, ["x: may be anything now"]],
    ["a value comes", { ...text, enum: ["a"] }, { ...text, enum: ["a", "b"] }, ['x: may be "b" now']],
    ["any value may come", { ...text, enum: ["a"] }, text, ['x: may be other than "a" now']],
    [
      "any value of an open enum may come",
      { ...text, enum: ["a"], "x-open-enum": true },
      text,
      ['x: may be other than "a" now'],
    ],
    ["a bound goes", { ...whole, minimum: 0 }, whole, ["x: minimum has changed"]],
    ["texts get longer", { ...text, maxLength: 5 }, { ...text, maxLength: 6 }, ["x: maxLength has changed"]],
    ["a form goes", { ...text, format: "date" }, text, ['x: format was "date", is nothing']],
    ["a pattern goes", { ...text, pattern: "a" }, text, ['x: pattern was "a", is nothing']],
    [
      "a field comes where no others were announced",
      object({}, [], closed),
      object({ a: text }, [], closed),
      ["x.a: new, where no other fields were announced"],
    ],
    ["other fields come", object({}, [], closed), object({}), ["x: may have other fields now"]],
    [
      "other fields change",
      object({}, [], { additionalProperties: text }),
      object({}, [], { additionalProperties: whole }),
      ["x.*: may be integer now"],
    ],
    [
      "a kind of a tagged union goes",
      { oneOf: [frame("a"), frame("b")] },
      { oneOf: [frame("b")] },
      ["x<a>: removed"],
    ],
    [
      "a kind of a tagged union changes",
      { oneOf: [frame("a", { n: whole }), frame("b")] },
      { oneOf: [frame("b"), frame("a", { n: text })] },
      ["x<a>.n: may be string now"],
    ],
    [
      "items are anything",
      { type: "array", items: text },
      { type: "array" },
      ['x: items was {"type":"string"}, is nothing'],
    ],
    [
      "something further in breaks",
      object({ a: { type: "array", items: object({ b: text }, ["b"]) } }),
      object({ a: { type: "array", items: object({ b: whole }, ["b"]) } }),
      ["x.a[].b: may be integer now"],
    ],
  ])("breaks when %s", ([, older, newer, expected], { expect }) => {
    expect(breaks("response", older, newer)).toEqual(expected);
  });
});

describe("named schemas", () => {
  const reference = { $ref: "#/components/schemas/A" };
  const compare = (older: JsonSchema, newer: JsonSchema, schema: JsonSchema = reference) =>
    schemaBreaks({ schema, schemas: { A: older } }, { schema, schemas: { A: newer } }, "response", "x");

  it("are told under their names", ({ expect }) => {
    expect(compare(object({ a: text }), object({}))).toEqual(["A (response).a: removed"]);
    expect(compare(object({}), object({ a: text }))).toEqual([]);
  });

  it("may refer to themselves", ({ expect }) => {
    const tree = (value: JsonSchema) => object({ value, children: { type: "array", items: reference } });
    expect(compare(tree(text), tree(text))).toEqual([]);
    expect(compare(tree(text), tree(whole))).toEqual(["A (response).value: may be integer now"]);
  });

  it("are compared by what they say, not by their names", ({ expect }) => {
    const older = { schema: reference, schemas: { A: object({ a: text }) } };
    const renamed = { schema: { $ref: "#/components/schemas/B" }, schemas: { B: object({ a: text }) } };
    expect(schemaBreaks(older, renamed, "request", "x")).toEqual([]);
    expect(schemaBreaks(older, { schema: object({ a: text }), schemas: {} }, "request", "x")).toEqual([]);
    expect(schemaBreaks(older, { schema: object({}), schemas: {} }, "request", "x")).toEqual([
      "x.a: removed",
    ]);
  });

  it("are taken with what stands beside the reference, and together where all apply", ({ expect }) => {
    const nullable = { anyOf: [reference, nothing] };
    expect(compare(object({ a: text }), object({ a: text }), nullable)).toEqual([]);
    const both = { allOf: [reference, object({ b: text }, ["b"])] };
    expect(compare(object({ a: text }), object({}), both)).toEqual(["x.a: removed"]);
  });

  it("have to exist", ({ expect }) => {
    const described = { schema: reference, schemas: {} };
    expect(() => schemaBreaks(described, described, "response", "x")).toThrow("there is no schema");
  });
});
