/**
 * How an OpenAPI document breaks clients that were made for an older one. It may gain paths, methods, problem statuses,
 * media types, optional parameters and fields.
 * @module
 */
import type { Json } from "./documents.ts";
import { type Direction, type JsonSchema, schemaBreaks } from "./schema-breaks.ts";
import { securitySchemeBreaks } from "./security-schemes.ts";

type Content = Record<string, { schema: JsonSchema }>;
type Parameter = { name: string; in: string; required?: boolean; schema: JsonSchema };
type Header = { required?: boolean; schema?: JsonSchema };
type Operation = {
  security?: Record<string, string[]>[];
  parameters?: Parameter[];
  requestBody?: { required?: boolean; content: Content };
  responses: Record<string, { content?: Content; headers?: Record<string, Header> }>;
};
type OpenApi = {
  servers?: Json;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, JsonSchema>; securitySchemes?: Record<string, Json> };
};

/** @returns each break with the operation and the place in it */
export function openApiBreaks(olderDocument: Json, newerDocument: Json): string[] {
  // Trusted casts: both were made by the application.
  const [older, newer] = [olderDocument as OpenApi, newerDocument as OpenApi];
  const breaks = [
    ...(JSON.stringify(older.servers) === JSON.stringify(newer.servers) ? [] : ["servers: changed"]),
    ...securitySchemeBreaks(older.components.securitySchemes, newer.components.securitySchemes),
    ...Object.entries(older.paths).flatMap(([path, methods]) => {
      const [known, remaining] = pathLike(path, newer.paths) ?? [];
      if (!remaining) return [`${path}: removed`];
      return [
        // The same requests, but typed clients give parameters by their names.
        ...(known === path ? [] : [`${path}: is ${known} now`]),
        ...Object.entries(methods).flatMap(([method, was]) => {
          const name = `${method.toUpperCase()} ${path}`;
          const is = remaining[method];
          if (!is) return [`${name}: removed`];
          return operationBreaks(was, is, new Comparison(older, newer, name));
        }),
      ];
    }),
  ];
  return [...new Set(breaks)];
}

/** The path, or one that differs in nothing but the names of its parameters. */
function pathLike<Methods>(path: string, paths: Record<string, Methods>): [string, Methods] | undefined {
  const shapeOf = (text: string) => text.replaceAll(/\{[^}]*\}/g, "{}");
  const alike = Object.entries(paths).filter(([other]) => shapeOf(other) === shapeOf(path));
  return alike.find(([other]) => other === path) ?? alike[0];
}

/** Two documents at one operation. */
class Comparison {
  readonly #older: OpenApi;
  readonly #newer: OpenApi;
  readonly name: string;

  constructor(older: OpenApi, newer: OpenApi, name: string) {
    this.#older = older;
    this.#newer = newer;
    this.name = name;
  }

  schemas(was: JsonSchema, is: JsonSchema, direction: Direction, at: string): string[] {
    return schemaBreaks(
      { schema: was, schemas: this.#older.components.schemas },
      { schema: is, schemas: this.#newer.components.schemas },
      direction,
      `${this.name} ${at}`,
    );
  }

  /** Every media type of the older content is still there, and fits. */
  content(was: Content, is: Content, direction: Direction, at: string): string[] {
    return Object.entries(was).flatMap(([type, { schema }]) => {
      const match = is[type];
      return match
        ? this.schemas(schema, match.schema, direction, at)
        : [`${this.name} ${at}: no longer ${type}`];
    });
  }
}

function operationBreaks(was: Operation, is: Operation, comparison: Comparison): string[] {
  return [
    ...securityBreaks(was, is, comparison.name),
    ...parameterBreaks(was.parameters ?? [], is.parameters ?? [], comparison),
    ...bodyBreaks(was.requestBody, is.requestBody, comparison),
    ...responseBreaks(was.responses, is.responses, comparison),
  ];
}

/** Every old way in must still be enough. No way at all means that everybody may. */
function securityBreaks(was: Operation, is: Operation, name: string): string[] {
  const ways = ({ security = [] }: Operation) =>
    (security.length === 0 ? [{}] : security).map((way) => Object.keys(way));
  const after = ways(is);
  return ways(was)
    .filter((way) => !after.some((needed) => needed.every((scheme) => way.includes(scheme))))
    .map((way) => `${name}: ${way.length === 0 ? "anonymous" : way.join(" and ")} is no longer enough`);
}

function parameterBreaks(was: Parameter[], is: Parameter[], comparison: Comparison): string[] {
  const keyOf = ({ in: place, name }: Parameter) => `${place} ${name}`;
  const before = new Map(was.map((parameter) => [keyOf(parameter), parameter]));
  const after = new Map(is.map((parameter) => [keyOf(parameter), parameter]));
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((key) => {
    const [older, newer] = [before.get(key), after.get(key)];
    const at = `${comparison.name} ${key}`;
    if (!newer) return [`${at}: removed`];
    if (!older) return newer.required === true ? [`${at}: new and required`] : [];
    return [
      ...(newer.required === true && older.required !== true ? [`${at}: required now`] : []),
      ...comparison.schemas(older.schema, newer.schema, "request", key),
    ];
  });
}

function bodyBreaks(
  was: Operation["requestBody"],
  is: Operation["requestBody"],
  comparison: Comparison,
): string[] {
  const at = `${comparison.name} body`;
  if (!is) return was ? [`${at}: removed`] : [];
  if (!was) return is.required === true ? [`${at}: new and required`] : [];
  return [
    ...(is.required === true && was.required !== true ? [`${at}: required now`] : []),
    ...comparison.content(was.content, is.content, "request", "body"),
  ];
}

function responseBreaks(
  was: Operation["responses"],
  is: Operation["responses"],
  comparison: Comparison,
): string[] {
  const added = Object.keys(is).filter((status) => !(status in was) && Number(status) < 400);
  return [
    // Problems all have one form; another success is something that no client waits for.
    ...added.map((status) => `${comparison.name} ${status}: new`),
    ...Object.entries(was).flatMap(([status, { content = {}, headers = {} }]) => {
      const answer = is[status];
      if (!answer) return [`${comparison.name} ${status}: removed`];
      return [
        ...comparison.content(content, answer.content ?? {}, "response", status),
        ...Object.entries(headers).flatMap(([header, { required, schema = {} }]) => {
          const left = answer.headers?.[header];
          const at = `${status} ${header}`;
          if (!left) return [`${comparison.name} ${at}: removed`];
          return [
            ...(required === true && left.required !== true
              ? [`${comparison.name} ${at}: may be missing now`]
              : []),
            ...comparison.schemas(schema, left.schema ?? {}, "response", at),
          ];
        }),
      ];
    }),
  ];
}
