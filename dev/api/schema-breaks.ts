/**
 * Whether a schema breaks those who know its older version. In a request the newer one must take all that the older one
 * took; in a response it must give nothing that the older one did not announce, apart from new fields and new kinds of
 * a tagged union, which clients pass over.
 * @module
 */
import type { Json } from "./documents.ts";

export type Direction = "request" | "response";
export type JsonSchema = { [keyword: string]: Json };
/** A schema with those that it may refer to. */
export type Described = { schema: JsonSchema; schemas: Record<string, JsonSchema> };

/** Keywords that say nothing about values. Extensions (`x-…`) do not either. */
const ANNOTATIONS = [
  "title",
  "description",
  "example",
  "examples",
  "deprecated",
  "discriminator",
  "$comment",
];
const LOWER_BOUNDS = ["minimum", "minLength", "minItems", "minProperties"];
const UPPER_BOUNDS = ["maximum", "maxLength", "maxItems", "maxProperties"];
/** Keywords that are compared one by one; any other has to stay as it is. */
const COMPARED = new Set(
  [
    ...ANNOTATIONS,
    ...LOWER_BOUNDS,
    ...UPPER_BOUNDS,
    "type enum const pattern format properties required additionalProperties items default".split(" "),
  ].flat(),
);

/**
 * Set on an enum of a response, whose values may grow: clients must know what to do with one that they do not know.
 */
const OPEN_ENUM = "x-open-enum";

/**
 * @param at where it stands; what is wrong with a named schema is told under its name, wherever it is used
 * @returns each way in which the newer schema breaks; empty when it does not
 */
export function schemaBreaks(older: Described, newer: Described, direction: Direction, at: string): string[] {
  const { $ref } = older.schema;
  if (typeof $ref !== "string" || $ref !== newer.schema["$ref"]) {
    return unfoldedBreaks(older, newer, direction, at);
  }
  const known = knownBreaks(older.schemas, newer.schemas);
  const name = `${nameOf($ref)} (${direction})`;
  let breaks = known.get(name);
  if (!breaks) {
    // A schema that refers to itself meets this.
    known.set(name, []);
    breaks = unfoldedBreaks(older, newer, direction, name);
    known.set(name, breaks);
  }
  return breaks;
}

/** What was found of named schemas, so that each is compared once for two documents. */
const found = new WeakMap<object, WeakMap<object, Map<string, string[]>>>();

function knownBreaks(older: object, newer: object): Map<string, string[]> {
  const ofOlder = found.get(older) ?? new WeakMap<object, Map<string, string[]>>();
  found.set(older, ofOlder);
  const known = ofOlder.get(newer) ?? new Map<string, string[]>();
  ofOlder.set(newer, known);
  return known;
}

function unfoldedBreaks(older: Described, newer: Described, direction: Direction, at: string): string[] {
  const [before, after] = [alternatives(older), alternatives(newer)];
  const tag = tagOf([...before, ...after]);
  if (tag !== undefined && before.length + after.length > 2) {
    return before.flatMap((shape) => {
      const value = tagValue(shape, tag);
      const match = after.find((other) => tagValue(other, tag) === value);
      return match ? shapeBreaks(shape, match, direction, `${at}<${value}>`) : [`${at}<${value}>: removed`];
    });
  }
  // Each of the narrower alternatives has to fit into one of the wider ones.
  const narrow = direction === "request" ? before : after;
  const wide = direction === "request" ? after : before;
  return narrow.flatMap((shape) => {
    const candidates = wide
      .filter((other) => fitsType(shape.schema, other.schema))
      .map((other) =>
        direction === "request"
          ? shapeBreaks(shape, other, direction, at)
          : shapeBreaks(other, shape, direction, at),
      );
    const [closest] = candidates.sort((a, b) => a.length - b.length);
    if (closest) return closest;
    const { type = "anything" } = shape.schema as { type?: string };
    return [direction === "request" ? `${at}: no longer takes ${type}` : `${at}: may be ${type} now`];
  });
}

/** Two alternatives of types that fit. */
function shapeBreaks(older: Described, newer: Described, direction: Direction, at: string): string[] {
  const [narrow, wide] =
    direction === "request" ? [older.schema, newer.schema] : [newer.schema, older.schema];
  return [
    ...valueBreaks(older.schema, newer.schema, direction, at),
    ...boundBreaks(narrow, wide, at),
    ...["pattern", "format"]
      .filter((keyword) => wide[keyword] !== undefined && wide[keyword] !== narrow[keyword])
      .map((keyword) => changed(older.schema, newer.schema, keyword, at)),
    ...propertyBreaks(older, newer, direction, at),
    ...restBreaks(older, newer, direction, at),
    ...itemBreaks(older, newer, direction, at),
    ...otherBreaks(older.schema, newer.schema, direction, at),
  ];
}

function valueBreaks(older: JsonSchema, newer: JsonSchema, direction: Direction, at: string): string[] {
  const [before, after] = [valuesOf(older), valuesOf(newer)];
  const texts = (values: Json[]) => values.map((value) => JSON.stringify(value)).join(", ");
  if (direction === "request") {
    if (!after) return [];
    if (!before) return [`${at}: takes only ${texts(after)} now`];
    const lost = before.filter((value) => !after.includes(value));
    return lost.length > 0 ? [`${at}: no longer takes ${texts(lost)}`] : [];
  }
  if (!before || (older[OPEN_ENUM] === true && after)) return [];
  if (!after) return [`${at}: may be other than ${texts(before)} now`];
  const gained = after.filter((value) => !before.includes(value));
  return gained.length > 0 ? [`${at}: may be ${texts(gained)} now`] : [];
}

function boundBreaks(narrow: JsonSchema, wide: JsonSchema, at: string): string[] {
  const beyond = (keyword: string, isBeyond: (value: number, bound: number) => boolean): string[] => {
    const [value, bound] = [narrow[keyword], wide[keyword]];
    if (typeof bound !== "number") return [];
    return typeof value !== "number" || isBeyond(value, bound) ? [`${at}: ${keyword} has changed`] : [];
  };
  return [
    ...LOWER_BOUNDS.flatMap((keyword) => beyond(keyword, (value, bound) => value < bound)),
    ...UPPER_BOUNDS.flatMap((keyword) => beyond(keyword, (value, bound) => value > bound)),
  ];
}

function propertyBreaks(older: Described, newer: Described, direction: Direction, at: string): string[] {
  const [before, after] = [propertiesOf(older.schema), propertiesOf(newer.schema)];
  const closed = older.schema["additionalProperties"] === false;
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((name) => {
    const [was, is] = [before.get(name), after.get(name)];
    const path = `${at}.${name}`;
    if (!is) return [`${path}: removed`];
    if (!was) {
      if (direction === "request") return is.required ? [`${path}: new and required`] : [];
      return closed ? [`${path}: new, where no other fields were announced`] : [];
    }
    const optional = direction === "response" && was.required && !is.required;
    const required = direction === "request" && is.required && !was.required;
    return [
      ...(optional ? [`${path}: may be missing now`] : []),
      ...(required ? [`${path}: required now`] : []),
      ...schemaBreaks({ ...older, schema: was.schema }, { ...newer, schema: is.schema }, direction, path),
    ];
  });
}

/** What is said about fields that are not named. */
function restBreaks(older: Described, newer: Described, direction: Direction, at: string): string[] {
  const rest = ({ schema }: Described) => schema["additionalProperties"] ?? true;
  const [was, is] = [rest(older), rest(newer)];
  const [narrow, wide] = direction === "request" ? [was, is] : [is, was];
  if (wide === true || narrow === false) return [];
  const text = direction === "request" ? "refuses other fields now" : "may have other fields now";
  if (wide === false || narrow === true) return [`${at}: ${text}`];
  return schemaBreaks(
    { ...older, schema: was as JsonSchema },
    { ...newer, schema: is as JsonSchema },
    direction,
    `${at}.*`,
  );
}

function itemBreaks(older: Described, newer: Described, direction: Direction, at: string): string[] {
  const [was, is] = [older.schema["items"], newer.schema["items"]];
  const [narrow, wide] = direction === "request" ? [was, is] : [is, was];
  if (wide === undefined) return [];
  if (narrow === undefined) return [changed(older.schema, newer.schema, "items", at)];
  return schemaBreaks(
    { ...older, schema: was as JsonSchema },
    { ...newer, schema: is as JsonSchema },
    direction,
    `${at}[]`,
  );
}

/** A default that has changed is another request; a keyword that is not known here has to stay as it is. */
function otherBreaks(older: JsonSchema, newer: JsonSchema, direction: Direction, at: string): string[] {
  const unknown = [...new Set([...Object.keys(older), ...Object.keys(newer)])].filter(
    (keyword) => !COMPARED.has(keyword) && !keyword.startsWith("x-"),
  );
  const watched =
    direction === "request" && older["default"] !== undefined ? [...unknown, "default"] : unknown;
  return watched
    .filter((keyword) => JSON.stringify(older[keyword]) !== JSON.stringify(newer[keyword]))
    .map((keyword) => changed(older, newer, keyword, at));
}

function changed(older: JsonSchema, newer: JsonSchema, keyword: string, at: string): string {
  const text = (value: Json | undefined) => (value === undefined ? "nothing" : JSON.stringify(value));
  return `${at}: ${keyword} was ${text(older[keyword])}, is ${text(newer[keyword])}`;
}

/** The schema as alternatives without references, unions or several types at once. */
function alternatives({ schema, schemas }: Described): Described[] {
  const { $ref, anyOf, oneOf, allOf, ...own } = schema;
  const unfold = (other: JsonSchema) => alternatives({ schema: other, schemas });
  if (typeof $ref === "string") {
    const target = schemas[nameOf($ref)];
    if (!target) throw new Error(`there is no schema ${$ref}`);
    return unfold({ ...target, ...own });
  }
  const choices = (anyOf ?? oneOf) as JsonSchema[] | undefined;
  if (choices) return choices.flatMap(unfold);
  if (allOf) return unfold(merged([...(allOf as JsonSchema[]), own].flatMap(unfold)));
  const { type } = own;
  const types = Array.isArray(type) ? type : [type];
  return types.map((one) => ({ schemas, schema: ofOneType(own, one as string | undefined) }));
}

function nameOf(reference: string): string {
  return reference.replace("#/components/schemas/", "");
}

/** Objects that apply together, as one. */
function merged(parts: Described[]): JsonSchema {
  return parts.reduce<JsonSchema>((all, { schema }) => {
    const properties = { ...(all["properties"] as JsonSchema), ...(schema["properties"] as JsonSchema) };
    const required = [...((all["required"] as string[]) ?? []), ...((schema["required"] as string[]) ?? [])];
    return { ...all, ...schema, properties, required };
  }, {});
}

function ofOneType(schema: JsonSchema, type: string | undefined): JsonSchema {
  if (type === undefined) return schema;
  const { exclusiveMinimum, exclusiveMaximum, ...rest } = schema;
  const shape: JsonSchema = { ...rest, type };
  if (Array.isArray(shape["enum"])) {
    shape["enum"] = shape["enum"].filter((value) => (value === null) === (type === "null"));
  }
  if (type !== "integer") return { ...schema, ...shape };
  // Whole numbers: one way to say it.
  if (typeof exclusiveMinimum === "number") shape["minimum"] = exclusiveMinimum + 1;
  if (typeof exclusiveMaximum === "number") shape["maximum"] = exclusiveMaximum - 1;
  return shape;
}

function valuesOf(schema: JsonSchema): Json[] | undefined {
  if (schema["const"] !== undefined) return [schema["const"]];
  return schema["enum"] as Json[] | undefined;
}

function fitsType(narrow: JsonSchema, wide: JsonSchema): boolean {
  const [inner, outer] = [narrow["type"], wide["type"]];
  return outer === undefined || inner === outer || (inner === "integer" && outer === "number");
}

function propertiesOf(schema: JsonSchema): Map<string, { schema: JsonSchema; required: boolean }> {
  const properties = (schema["properties"] ?? {}) as Record<string, JsonSchema>;
  const required = new Set((schema["required"] ?? []) as string[]);
  // What is required without being described may be anything, except where nothing else is let in.
  const undescribed = schema["additionalProperties"] === false ? [] : required;
  return new Map(
    [...new Set([...Object.keys(properties), ...undescribed])].map((name) => [
      name,
      { schema: properties[name] ?? {}, required: required.has(name) },
    ]),
  );
}

/** The property by whose one value alternatives are told apart. */
function tagOf(shapes: Described[]): string | undefined {
  const [first, ...others] = shapes.map(({ schema }) =>
    Object.keys((schema["properties"] ?? {}) as object).filter((name) => tagValue({ schema }, name)),
  );
  return first?.find((name) => others.every((names) => names.includes(name)));
}

function tagValue({ schema }: Pick<Described, "schema">, name: string): string | undefined {
  const property = (schema["properties"] as Record<string, JsonSchema> | undefined)?.[name] ?? {};
  const [value, ...more] = valuesOf(property) ?? [];
  return typeof value === "string" && more.length === 0 ? value : undefined;
}
