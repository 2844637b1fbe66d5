/**
 * JSON Schema as TypeScript: as much of it as zod writes.
 * @module
 */

export type JsonSchema = {
  $ref?: string;
  type?: string | string[];
  const?: unknown;
  enum?: unknown[];
  properties?: Record<string, JsonSchema>;
  required?: string[];
  additionalProperties?: boolean | JsonSchema;
  items?: JsonSchema;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  allOf?: JsonSchema[];
  description?: string;
  default?: unknown;
};

/** Whether the type is for what a client sends or for what it is answered: fields with a default may be left out of the former. */
export type Direction = "sent" | "answered";

const SCALARS: Record<string, string> = {
  string: "string",
  integer: "number",
  number: "number",
  boolean: "boolean",
  null: "null",
};

/** The type of a schema as text, indented by `indent`. @throws for a keyword that would change the type and is not known */
export function typeText(schema: JsonSchema, direction: Direction, indent = ""): string {
  if (schema.$ref !== undefined) return referredName(schema.$ref);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return choices.map((choice) => typeText(choice, direction, indent)).join(" | ");
  if (schema.allOf) return schema.allOf.map((part) => `(${typeText(part, direction, indent)})`).join(" & ");
  if (Array.isArray(schema.type)) {
    return schema.type.map((type) => typeText({ ...schema, type }, direction, indent)).join(" | ");
  }
  if (schema.type === "array") return `Array<${typeText(schema.items ?? {}, direction, indent)}>`;
  if (schema.type === "object") return objectText(schema, direction, indent);
  if (schema.type === undefined) return "unknown";
  const scalar = SCALARS[schema.type];
  if (scalar === undefined) throw new Error(`unknown type ${schema.type}`);
  return scalar;
}

function objectText(schema: JsonSchema, direction: Direction, indent: string): string {
  const fields = Object.entries(schema.properties ?? {});
  const { additionalProperties } = schema;
  if (fields.length === 0) {
    const open = typeof additionalProperties === "object";
    return `Record<string, ${open ? typeText(additionalProperties, direction, indent) : additionalProperties === false ? "never" : "unknown"}>`;
  }
  const inner = `${indent}  `;
  const lines = fields.map(([name, field]) => {
    const optional =
      !schema.required?.includes(name) || (direction === "sent" && field.default !== undefined);
    const type = typeText(field, direction, inner);
    return `${comment(field.description, inner)}${inner}${fieldText(name, type, optional, direction)}`;
  });
  return `{\n${lines.join("")}${indent}}`;
}

/** A doc comment of one line; nothing without a text. */
export function comment(text: string | undefined, indent = ""): string {
  if (!text) return "";
  return `${indent}/** ${text.replaceAll(/\s+/g, " ").replaceAll("*/", "*\\/")} */\n`;
}

/** A field of an object type. What is sent may name an optional field and leave it undefined. */
export function fieldText(name: string, type: string, optional: boolean, direction: Direction): string {
  const key = /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
  if (!optional) return `${key}: ${type};\n`;
  return `${key}?: ${type}${direction === "sent" ? " | undefined" : ""};\n`;
}

/** `#/components/schemas/Post` is `Post`. */
export function referredName($ref: string): string {
  const name = /^#\/components\/(?:schemas|messages)\/([A-Za-z_]\w*)$/.exec($ref)?.[1];
  if (name === undefined) throw new Error(`${$ref} is not a schema of the document`);
  return name;
}
