/**
 * Requests that something is wrong with, made from the OpenAPI document: for each route a good request is spoilt in its
 * path, query, headers or body.
 * @module
 */
import * as fc from "fast-check";
import type { Wanted } from "../matrix.ts";
import { unique } from "../factories.ts";
import { type OpenApiDocument, type Operation, type Schema, schemaViolations } from "../openapi-check.ts";
import {
  AUTHORIZATIONS,
  BROKEN_BYTES,
  CONTENT_ENCODINGS,
  IDEMPOTENCY_KEYS,
  IF_MATCHES,
  INERT_HEADERS,
  JSON_TEXTS,
  KEYS,
  MEDIA_TYPES,
  TEXTS,
} from "./values.ts";

export type HostileRequest = {
  method: string;
  path: string;
  headers: Record<string, string>;
  body?: string | Uint8Array<ArrayBuffer>;
  /** Nothing about it can be right: it must be refused, and change nothing. */
  refused: boolean;
  /** What was spoilt. */
  what: string;
};

/** Spoils a good request of the route that it was made for. */
export type Spoiler = (wanted: Wanted) => HostileRequest;

/** What is changed of a good request. */
type Change = Omit<Partial<HostileRequest>, "what" | "path"> & { path?: (good: string) => string };

/** Deeper JSON is refused whatever it says. */
const DEPTH_MAX = 32;

const text = fc.oneof(
  fc.constantFrom(...TEXTS),
  fc.string({ maxLength: 40 }),
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.string({ unit: "grapheme", maxLength: 60 }),
);

/** A JSON value, spelt. */
const jsonText = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...JSON_TEXTS) },
  { weight: 3, arbitrary: text.map((value) => JSON.stringify(value)) },
  { weight: 1, arbitrary: fc.json({ maxDepth: 4 }) },
  { weight: 1, arbitrary: fc.double().map((value) => JSON.stringify(value)) },
);

const key = fc.oneof(fc.constantFrom(...KEYS), fc.string({ maxLength: 20 }));

/** Spoilers for a route. @param name as in the document: `PATCH /api/posts/{id}` */
export function spoilersOf(
  document: OpenApiDocument,
  name: string,
  operation: Operation,
): fc.Arbitrary<Spoiler> {
  const [method = ""] = name.split(" ");
  const reads = method === "GET";
  const schema = operation.requestBody?.content["application/json"]?.schema;
  const parameters = operation.parameters ?? [];
  const inQuery = parameters.filter((parameter) => parameter.in === "query");

  const spoil =
    (what: string, change: Change): Spoiler =>
    ({ path, json }) => {
      const good = json === undefined ? {} : { body: JSON.stringify(json) };
      const type: Record<string, string> = json === undefined ? {} : { "content-type": "application/json" };
      return {
        refused: false,
        ...good,
        ...change,
        method,
        path: change.path?.(path) ?? path,
        headers: { ...type, ...change.headers },
        what,
      };
    };

  const kinds: fc.WeightedArbitrary<Spoiler>[] = [
    {
      weight: 1,
      arbitrary: fc
        .constantFrom(...AUTHORIZATIONS)
        .map((authorization) => spoil("token", { headers: { authorization }, refused: !IGNORING.has(name) })),
    },
  ];
  if (!reads) kinds.push({ weight: schema ? 2 : 6, arbitrary: unreadableBody(spoil) });
  if (schema) kinds.push({ weight: 12, arbitrary: spoiltBody(document, schema, spoil) });
  if (parameters.some((parameter) => parameter.in === "path")) {
    kinds.push({
      weight: 4,
      arbitrary: pathSegment.map((segment) =>
        spoil("path", {
          path: (good) => good.replace(/(?<=\/)(?:\w+:)?\d+(?=\/|\?|$)/, () => segment),
          refused: true,
        }),
      ),
    });
  }
  if (inQuery.length > 0) {
    kinds.push({
      weight: 10,
      arbitrary: spoiltQuery(document, inQuery).map(({ query, refused }) =>
        spoil("query", { path: (good) => `${good}${good.includes("?") ? "&" : "?"}${query}`, refused }),
      ),
    });
  }
  if (reads)
    kinds.push({ weight: 3, arbitrary: inertHeaders.map((headers) => spoil("headers", { headers })) });
  for (const [header, values] of Object.entries({
    "if-match": IF_MATCHES,
    "idempotency-key": IDEMPOTENCY_KEYS,
  })) {
    if (!parameters.some((parameter) => parameter.name === header)) continue;
    kinds.push({
      weight: 2,
      arbitrary: fc
        .constantFrom(...values)
        .map((value) => spoil(header, { headers: { [header]: value }, refused: true })),
    });
  }
  return fc.oneof(...kinds);
}

type Spoil = (what: string, change: Change) => Spoiler;

/** Routes to which it does not matter which access token comes along. */
const IGNORING = new Set(["register", "login", "refresh"].map((end) => `POST /api/auth/${end}`)).add(
  "POST /api/jobs",
);

const inertHeaders = fc
  .array(fc.constantFrom(...INERT_HEADERS), { minLength: 1, maxLength: 4 })
  .map((entries) => Object.fromEntries(entries) as Record<string, string>);

/** A path segment that names nothing. Dots and slashes are spelt so that the segment stays one. */
const pathSegment = fc
  .oneof(
    fc.constantFrom(
      "0",
      "-1",
      "1.5",
      "1e3",
      "0x1",
      "01",
      "+1",
      "1;a=b",
      "1,2",
      "1%00",
      "%00",
      "%0a",
      "%20",
      "1%20",
      "%",
      "%zz",
      "%c0%ae",
      "%ff",
      "..%2f..%2fetc%2fpasswd",
      "%2e%2e%2f",
      "..;",
      "%252e%252e",
      "%5c..%5c",
      "1%2f2",
      "1%3fa=b",
      "１",
      "{id}",
      ":id",
      "*",
      "9007199254740991",
      "9007199254740992",
      "18446744073709551616",
      "99999999999999999999999999999999",
      "post:0",
      "post:-1",
      "post:1e3",
      "post:01",
      "post:9007199254740991",
      "post:9007199254740992",
      "user:9007199254740991",
      "room:1",
      "user:",
      ":1",
      "post:1:2",
      "post%3A0",
      "me%00",
      "x".repeat(3_000),
    ),
    text.map((value) => encodeURIComponent(value.toWellFormed()).replaceAll(".", "%252e")),
  )
  // What is left of nothing is another path; a number would be somebody's id.
  .filter((segment) => segment !== "" && !/^(?:\w+:)?[1-9]\d{0,14}$/.test(segment) && segment !== "me");

/** A query with one parameter spoilt, repeated or unknown. */
function spoiltQuery(
  document: OpenApiDocument,
  parameters: { name: string; schema: Schema }[],
): fc.Arbitrary<{ query: string; refused: boolean }> {
  const percent = (value: string) => encodeURIComponent(value.toWellFormed());
  const value = fc.oneof(text, fc.integer().map(String), fc.constantFrom("1", "latest", "true", "UTC"));
  const one = fc.tuple(fc.constantFrom(...parameters), value).map(([{ name, schema }, given]) => ({
    query: `${name}=${percent(given)}`,
    refused: !mayStandFor(document, schema, given.toWellFormed()),
  }));
  return fc.oneof(
    { weight: 6, arbitrary: one },
    {
      weight: 2,
      arbitrary: fc.tuple(one, value).map(([{ query, refused }, second]) => ({
        query: `${query}&${query.split("=")[0]}=${percent(second)}`,
        refused,
      })),
    },
    {
      weight: 2,
      arbitrary: fc.tuple(key, text).map(([name, given]) => ({
        query: `${percent(name)}=${percent(given)}&x[]=1&x[y]=2`,
        refused: false,
      })),
    },
    {
      weight: 1,
      arbitrary: fc
        .constantFrom(
          "&&&",
          "=",
          "?",
          "%",
          "limit=%ff",
          "cursor=%zz",
          "%00=%00",
          "a".repeat(8_000),
          ";limit=x",
        )
        .map((query) => ({ query, refused: false })),
    },
  );
}

/** Whether a parameter's text may be good. Nothing may stand for none, and rooms read numbers in any spelling. */
function mayStandFor(document: OpenApiDocument, schema: Schema, given: string): boolean {
  if (given === "") return true;
  const value = schema.type === "integer" ? Number(given) : given;
  return schemaViolations(document, schema, value, "").length === 0;
}

/** A body that no route may take, whatever it would say. */
function unreadableBody(spoil: Spoil): fc.Arbitrary<Spoiler> {
  const bytes = (value: string) => new TextEncoder().encode(value);
  const json = { "content-type": "application/json" };
  return fc.oneof(
    fc
      .constantFrom(...MEDIA_TYPES)
      .map((type) =>
        spoil("media type", { headers: { "content-type": type }, body: '{"a":1}', refused: true }),
      ),
    fc.constantFrom(...CONTENT_ENCODINGS).map((encoding) =>
      spoil("content encoding", {
        headers: { ...json, "content-encoding": encoding },
        body: "{}",
        refused: true,
      }),
    ),
    fc.tuple(fc.constantFrom(...BROKEN_BYTES), fc.nat(20)).map(([broken, at]) => {
      const before = bytes('{"content":"안녕하세요"'.slice(0, at));
      return spoil("bytes", { headers: json, body: new Uint8Array([...before, ...broken]), refused: true });
    }),
    fc
      .constantFrom("[", '{"a":')
      .map((open) => spoil("depth", { headers: json, body: open.repeat(DEPTH_MAX + 1), refused: true })),
    fc.constant(
      spoil("gzip", { headers: json, body: new Uint8Array([0x1f, 0x8b, 8, 0, 0, 0, 0, 0]), refused: true }),
    ),
  );
}

/** A body with a field spoilt, left out, repeated or too many, or that is another thing altogether. */
function spoiltBody(document: OpenApiDocument, schema: Schema, spoil: Spoil): fc.Arbitrary<Spoiler> {
  const names = Object.keys(resolve(document, schema).properties ?? {});
  const name = names.length > 0 ? fc.constantFrom(...names) : key;
  const spell = (pairs: [string, string][]) =>
    `{${pairs.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(",")}}`;

  const body: fc.Arbitrary<(fields: [string, string][]) => string> = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.tuple(name, jsonText).map(
        ([spoilt, value]) =>
          (fields: [string, string][]) =>
            spell([...fields.filter(([other]) => other !== spoilt), [spoilt, value]]),
      ),
    },
    {
      weight: 2,
      arbitrary: name.map(
        (missing) => (fields: [string, string][]) => spell(fields.filter(([other]) => other !== missing)),
      ),
    },
    {
      weight: 6,
      arbitrary: fc
        .tuple(fc.oneof({ weight: 2, arbitrary: key }, { weight: 1, arbitrary: name }), jsonText)
        .map((added) => (fields: [string, string][]) => spell([...fields, added])),
    },
    { weight: 2, arbitrary: jsonText.map((value) => () => value) },
    {
      weight: 1,
      arbitrary: fc.nat(30).map((at) => (fields: [string, string][]) => spell(fields).slice(0, at)),
    },
    {
      weight: 2,
      arbitrary: fc.tuple(text, fc.boolean()).map(
        ([garbage, before]) =>
          (fields: [string, string][]) =>
            before ? garbage + spell(fields) : spell(fields) + garbage,
      ),
    },
  );
  return body.map((spell) => (wanted) => {
    const fields = Object.entries(wanted.json ?? {}).map(([name, value]): [string, string] => [
      name,
      JSON.stringify(fresh(name, value, wanted.json)),
    ]);
    const sent = spell(fields).toWellFormed();
    return spoil("body", {
      headers: { "content-type": "application/json" },
      body: sent,
      refused: !mayBeTaken(document, schema, sent),
    })(wanted);
  });
}

/** What must be unique is made anew for each request, so that a good one is not refused for the one before. */
function fresh(name: string, value: unknown, json: unknown): unknown {
  if (name === "slug" || name === "username") return unique("s-");
  const signsUp = name === "email" && typeof json === "object" && json !== null && "username" in json;
  return signsUp ? `${unique("s-")}@example.com` : value;
}

/** Whether the document lets such a body through; the house may still know better. */
function mayBeTaken(document: OpenApiDocument, schema: Schema, body: string): boolean {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    // An empty one is none, where none is needed.
    return body === "" && (resolve(document, schema).required ?? []).length === 0;
  }
  return depthOf(body) <= DEPTH_MAX && schemaViolations(document, schema, value, "body").length === 0;
}

function resolve(document: OpenApiDocument, schema: Schema): Schema {
  if (schema.$ref === undefined) return schema;
  return document.components.schemas[schema.$ref.replace("#/components/schemas/", "")] ?? schema;
}

/** Deepest nesting of brackets outside strings. */
function depthOf(json: string): number {
  let depth = 0;
  let deepest = 0;
  for (const [bracket] of json.replaceAll(/"(?:[^"\\]|\\.)*"/gs, "").matchAll(/[[\]{}]/g)) {
    depth += bracket === "[" || bracket === "{" ? 1 : -1;
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}
