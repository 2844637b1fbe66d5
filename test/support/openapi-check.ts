/**
 * Holds observed responses against the OpenAPI document: a status that is not declared, a body that does not fit its
 * schema and a field that no schema knows are violations.
 * @module
 */

/** The part of JSON Schema (2020-12) that the document uses. */
export type Schema = {
  $ref?: string;
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  items?: Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  format?: string;
  example?: unknown;
};
/** The keywords that the check knows, and those that say nothing about values. */
export const KEYWORDS: readonly string[] = [
  "$ref type enum const properties required additionalProperties items anyOf oneOf allOf",
  "minimum maximum exclusiveMinimum minLength maxLength pattern format",
  "description example default discriminator x-open-enum",
].flatMap((line) => line.split(" "));
type Content = Record<string, { schema: Schema }>;
export type Operation = {
  summary?: string;
  tags?: string[];
  security?: Record<string, string[]>[];
  parameters?: { name: string; in: string; schema: Schema }[];
  requestBody?: { required: boolean; content: Content };
  responses: Record<string, { description: string; content?: Content }>;
};
export type OpenApiDocument = {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema>; securitySchemes: Record<string, unknown> };
};
/** A document that has schemas. */
type Described = { components: { schemas: Record<string, Schema> } };

/** A response as it was seen; `body` is parsed JSON, or text, or `""` where there was none. */
export type Exchange = {
  method: string;
  path: string;
  status: number;
  contentType: string | null;
  body: unknown;
};

const patterns = new Map<string, RegExp>();

function patternOf(template: string): RegExp {
  let pattern = patterns.get(template);
  if (!pattern) {
    pattern = new RegExp(`^${template.replaceAll(/\{[^}]+\}/g, "[^/]+")}$`);
    patterns.set(template, pattern);
  }
  return pattern;
}

/** The operation that a request reaches: a literal path before one with parameters. */
export function findOperation(
  document: OpenApiDocument,
  method: string,
  path: string,
): { operation: Operation; path: string } | undefined {
  const wanted = method === "HEAD" ? "get" : method.toLowerCase();
  const candidates = Object.keys(document.paths)
    .filter((template) => patternOf(template).test(path))
    .sort((a, b) => a.split("{").length - b.split("{").length);
  for (const candidate of candidates) {
    const operation = document.paths[candidate]?.[wanted];
    if (operation) return { operation, path: candidate };
  }
  return undefined;
}

/** @returns what is wrong with the response; empty when it is as documented */
export function violationsOf(document: OpenApiDocument, exchange: Exchange): string[] {
  const { method, path, status, contentType, body } = exchange;
  const problem = document.components.schemas["Problem"] ?? {};
  const found = findOperation(document, method, path);
  if (!found) {
    if (![400, 401, 404, 405, 413, 415, 429, 503].includes(status))
      return [`${status} from a route that is not documented`];
    return method === "HEAD" ? [] : schemaViolations(document, problem, body, "body");
  }
  const declared = found.operation.responses[String(status)];
  if (!declared) return [`status ${status} is not declared for ${method} ${found.path}`];
  // What follows are frames.
  if (status === 101) return [];
  if (method === "HEAD") return body === "" ? [] : ["a HEAD response has a body"];
  if (!declared.content) return body === "" ? [] : [`a body came with ${status}, none is declared`];
  const media = declared.content[(contentType ?? "").split(";")[0] ?? ""];
  if (!media) return [`content type ${contentType} is not declared for ${status} of ${method} ${found.path}`];
  return schemaViolations(document, media.schema, body, "body");
}

/** An object whose schema names properties has no others, unless `additionalProperties` lets them in. */
export function schemaViolations(document: Described, schema: Schema, value: unknown, at: string): string[] {
  if (schema.$ref !== undefined) {
    const name = schema.$ref.replace("#/components/schemas/", "");
    const target = document.components.schemas[name];
    return target ? schemaViolations(document, target, value, at) : [`${at}: no schema ${schema.$ref}`];
  }
  const check = (part: Schema) => schemaViolations(document, part, value, at);
  if (schema.allOf) return schema.allOf.flatMap(check);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) {
    return choices.some((choice) => check(choice).length === 0) ? [] : [`${at}: fits none of its schemas`];
  }
  const types = schema.type === undefined ? [] : [schema.type].flat();
  if (types.length > 0 && !types.some((type) => isOfType(value, type))) {
    return [`${at}: ${JSON.stringify(value)} is not ${types.join(" or ")}`];
  }
  if (schema.enum && !schema.enum.includes(value))
    return [`${at}: ${JSON.stringify(value)} is not in its enum`];
  if (schema.const !== undefined && schema.const !== value) {
    return [`${at}: ${JSON.stringify(value)} is not ${JSON.stringify(schema.const)}`];
  }
  if (typeof value === "string") return textViolations(schema, value, at);
  if (typeof value === "number") {
    const tooLow =
      (schema.minimum !== undefined && value < schema.minimum) ||
      (schema.exclusiveMinimum !== undefined && value <= schema.exclusiveMinimum);
    const tooHigh = schema.maximum !== undefined && value > schema.maximum;
    return tooLow || tooHigh ? [`${at}: ${value} is out of range`] : [];
  }
  if (Array.isArray(value)) {
    const { items } = schema;
    return items
      ? value.flatMap((item, index) => schemaViolations(document, items, item, `${at}[${index}]`))
      : [];
  }
  if (value !== null && typeof value === "object") return objectViolations(document, schema, value, at);
  return [];
}

function objectViolations(document: Described, schema: Schema, value: object, at: string): string[] {
  const fields = value as Record<string, unknown>;
  const missing = (schema.required ?? []).filter((name) => !Object.hasOwn(fields, name));
  return [
    ...missing.map((name) => `${at}.${name}: missing`),
    ...Object.entries(fields).flatMap(([name, field]) => {
      const property = Object.hasOwn(schema.properties ?? {}, name) ? schema.properties?.[name] : undefined;
      if (property) return schemaViolations(document, property, field, `${at}.${name}`);
      const rest = schema.additionalProperties ?? schema.properties === undefined;
      if (rest === false) return [`${at}.${name}: unknown field`];
      return rest === true ? [] : schemaViolations(document, rest, field, `${at}.${name}`);
    }),
  ];
}

function textViolations(schema: Schema, value: string, at: string): string[] {
  const { length } = Array.from(value);
  const violations: string[] = [];
  if (schema.minLength !== undefined && length < schema.minLength) violations.push(`${at}: too short`);
  if (schema.maxLength !== undefined && length > schema.maxLength) violations.push(`${at}: too long`);
  if (schema.pattern !== undefined && !new RegExp(schema.pattern, "u").test(value)) {
    violations.push(`${at}: ${JSON.stringify(value)} does not match ${schema.pattern}`);
  }
  if (schema.format === "date-time" && !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value)) {
    violations.push(`${at}: ${value} is not a time in UTC with milliseconds`);
  }
  return violations;
}

function isOfType(value: unknown, type: string): boolean {
  if (type === "null") return value === null;
  if (type === "array") return Array.isArray(value);
  if (type === "integer") return Number.isInteger(value);
  if (type === "object") return value !== null && typeof value === "object" && !Array.isArray(value);
  return typeof value === type;
}
