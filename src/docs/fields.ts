/**
 * The fields of a schema as lines of a table.
 * @module
 */

type JsonSchema = { [keyword: string]: unknown };
export type Field = {
  /** From the top: `data.author.username`, `items[].id`. */
  path: string;
  /** In words: `integer`, `"fresh" or "replayed"`. */
  type: string;
  required: boolean;
  description: string;
};

/** @param schemas what the schema may refer to; none of them may contain itself */
export function fieldsOf(schema: JsonSchema, schemas: Record<string, JsonSchema>, within = ""): Field[] {
  const { properties, required = [] } = resolved(schema, schemas) as {
    properties?: Record<string, JsonSchema>;
    required?: string[];
  };
  return Object.entries(properties ?? {}).flatMap(([name, property]) => {
    const path = `${within}${name}`;
    const shape = resolved(property, schemas);
    const choices = ((shape["anyOf"] ?? [shape]) as JsonSchema[]).map((choice) => resolved(choice, schemas));
    const field: Field = {
      path,
      type: [...new Set(choices.map(typeOf))].join(" or "),
      required: required.includes(name),
      description: (property["description"] ?? shape["description"] ?? "") as string,
    };
    const parts = choices.flatMap((choice) => fieldsOf(choice, schemas, `${path}.`));
    return [field, ...new Map(parts.map((part) => [part.path, part])).values()];
  });
}

function typeOf(schema: JsonSchema): string {
  const values =
    schema["const"] === undefined ? (schema["enum"] as unknown[] | undefined) : [schema["const"]];
  if (values) return values.map((value) => JSON.stringify(value)).join(" or ");
  if (schema["format"] === "date-time") return "time";
  if (schema["type"] === "array") return `array of ${typeOf((schema["items"] ?? {}) as JsonSchema)}`;
  const { type = "any" } = schema as { type?: string | string[] };
  return [type].flat().join(" or ");
}

function resolved(schema: JsonSchema, schemas: Record<string, JsonSchema>): JsonSchema {
  const { $ref } = schema;
  if (typeof $ref !== "string") return schema;
  return schemas[$ref.replace("#/components/schemas/", "")] ?? {};
}
