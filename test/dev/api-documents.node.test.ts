/** What breaks a client, document by document; and every single removal and addition in the real documents. */
import { beforeAll, describe, it } from "vitest";
import { asyncApiBreaks } from "../../dev/api/asyncapi-breaks.ts";
import { type Documents, generateDocuments, type Json } from "../../dev/api/documents.ts";
import { openApiBreaks } from "../../dev/api/openapi-breaks.ts";

type Path = (string | number)[];
type Node = Record<string | number, Json>;

/** A copy of the document with another value at the path, or without it. */
function edited(document: Json, path: Path, value?: Json): Json {
  // Not structuredClone(): it keeps parts that are shared shared.
  const copy = JSON.parse(JSON.stringify(document)) as Json;
  const parent = path.slice(0, -1).reduce<Json>((node, key) => (node as Node)[key] ?? null, copy) as Node;
  const key = path.at(-1) ?? "";
  if (value !== undefined) parent[key] = value;
  else if (Array.isArray(parent)) parent.splice(Number(key), 1);
  else delete parent[key];
  return copy;
}

const json = (schema: Json) => ({ "application/json": { schema } });
const thing = { $ref: "#/components/schemas/Thing" };

describe("an OpenAPI document", () => {
  const document = {
    servers: [{ url: "/" }],
    components: {
      schemas: { Thing: { type: "object", properties: { a: { type: "string" } }, required: ["a"] } },
      securitySchemes: { bearer: { type: "http", scheme: "bearer", description: "a token" } },
    },
    paths: {
      "/things": {
        get: {
          security: [{}, { bearer: [] }],
          parameters: [{ name: "q", in: "query", required: false, schema: { type: "string" } }],
          responses: {
            "200": { content: json(thing), headers: { etag: {} } },
            "404": { content: json({ type: "object" }) },
          },
        },
        post: {
          security: [{ bearer: [] }],
          requestBody: { required: true, content: json(thing) },
          responses: { "201": { content: json(thing) } },
        },
        delete: { responses: { "204": {} } },
      },
    },
  };
  const [GET, POST, DELETE] = ["get", "post", "delete"].map((method) => ["paths", "/things", method]) as [
    Path,
    Path,
    Path,
  ];
  const THING = ["components", "schemas", "Thing"];
  const parameter = { name: "r", in: "query", schema: {} };

  it.for<[string, Path, Json?]>([
    ["a path", ["paths", "/more"], { get: { responses: {} } }],
    ["a method", ["paths", "/things", "put"], { responses: {} }],
    ["a problem status", [...GET, "responses", "409"], { content: json({}) }],
    ["an optional parameter", [...GET, "parameters", 1], parameter],
    ["an optional body", [...DELETE, "requestBody"], { content: json({}) }],
    ["another media type", [...GET, "responses", "200", "content", "text/csv"], { schema: {} }],
    ["a header", [...GET, "responses", "404", "headers"], { etag: {} }],
    ["an optional field", [...THING, "properties", "b"], { type: "string" }],
    ["another way to sign in", [...POST, "security", 1], { cookie: [] }],
    ["anonymous readers", [...POST, "security"]],
    ["another description", ["components", "securitySchemes", "bearer", "description"], "x"],
  ])("may get %s", ([, path, value], { expect }) => {
    const newer = edited(document, path, value);
    expect(newer).not.toEqual(document);
    expect(openApiBreaks(document, newer)).toEqual([]);
  });

  it.for<[string, string[], Path, Json?]>([
    ["a path is removed", ["/things: removed"], ["paths", "/things"]],
    ["a method is removed", ["DELETE /things: removed"], DELETE],
    ["a status is removed", ["GET /things 404: removed"], [...GET, "responses", "404"]],
    ["another success comes", ["GET /things 202: new"], [...GET, "responses", "202"], {}],
    [
      "a media type of an answer is removed",
      ["GET /things 404: no longer application/json"],
      [...GET, "responses", "404", "content"],
    ],
    ["a header is removed", ["GET /things 200 etag: removed"], [...GET, "responses", "200", "headers"]],
    [
      "a field is removed",
      ["Thing (request).a: removed", "Thing (response).a: removed"],
      THING,
      { type: "object" },
    ],
    ["a field is needed", ["Thing (request).b: new and required"], [...THING, "required", 1], "b"],
    ["a parameter is removed", ["GET /things query q: removed"], [...GET, "parameters", 0]],
    [
      "a parameter is needed",
      ["GET /things query q: required now"],
      [...GET, "parameters", 0, "required"],
      true,
    ],
    [
      "a new parameter is needed",
      ["GET /things query r: new and required"],
      [...GET, "parameters", 1],
      { ...parameter, required: true },
    ],
    [
      "a parameter takes less",
      ['GET /things query q: takes only "x" now'],
      [...GET, "parameters", 0, "schema", "enum"],
      ["x"],
    ],
    ["a body is removed", ["POST /things body: removed"], [...POST, "requestBody"]],
    [
      "a body is needed",
      ["DELETE /things body: new and required"],
      [...DELETE, "requestBody"],
      { required: true, content: {} },
    ],
    [
      "a body has another media type",
      ["POST /things body: no longer application/json"],
      [...POST, "requestBody", "content"],
      { "text/plain": { schema: {} } },
    ],
    [
      "anonymous readers are refused",
      ["GET /things: anonymous is no longer enough"],
      [...GET, "security", 0],
    ],
    [
      "more is needed than a token",
      ["POST /things: bearer is no longer enough"],
      [...POST, "security", 0, "cookie"],
      [],
    ],
    [
      "one has to sign in",
      ["DELETE /things: anonymous is no longer enough"],
      [...DELETE, "security"],
      [{ bearer: [] }],
    ],
    [
      "a way to sign in changes",
      ["security scheme bearer: changed or removed"],
      ["components", "securitySchemes", "bearer", "scheme"],
      "basic",
    ],
    ["it is served elsewhere", ["servers: changed"], ["servers", 0, "url"], "/v2"],
  ])("breaks when %s", ([, expected, path, value], { expect }) => {
    expect(openApiBreaks(document, edited(document, path, value)).sort()).toEqual(expected);
  });

  it("breaks when an optional body becomes needed", ({ expect }) => {
    const optional = edited(document, [...POST, "requestBody", "required"], false);
    expect(openApiBreaks(optional, document)).toEqual(["POST /things body: required now"]);
    expect(openApiBreaks(document, optional)).toEqual([]);
  });
});

describe("an AsyncAPI document", () => {
  const channel = { $ref: "#/channels/room" };
  const on = (name: string) => ({ $ref: `#/channels/room/messages/${name}` });
  const component = (name: string) => ({ $ref: `#/components/messages/${name}` });
  const frame = (type: string, more: Record<string, Json> = {}) => ({
    type: "object",
    properties: { type: { const: type }, ...more },
    required: ["type", ...Object.keys(more)],
  });
  const document = {
    servers: { wss: { security: [{ $ref: "#/components/securitySchemes/bearer" }] } },
    channels: {
      room: {
        address: "/rooms/{id}",
        parameters: { id: {} },
        messages: { Told: component("Told"), Ask: component("Ask"), Answer: component("Answer") },
        bindings: { ws: { query: { type: "object", properties: { after: { type: "integer" } } } } },
        "x-closing-codes": { "4401": "expired" },
      },
    },
    operations: {
      tell: { action: "send", channel, messages: [on("Told")] },
      ask: {
        action: "receive",
        channel,
        messages: [on("Ask")],
        reply: { channel, messages: [on("Answer")] },
      },
    },
    components: {
      schemas: { Thing: frame("told", { a: { type: "string" } }) },
      messages: {
        Told: { name: "told", payload: thing },
        Ask: {
          name: "ask",
          payload: { ...frame("ask", { b: { type: "string" } }), additionalProperties: false },
        },
        Answer: { name: "answer", payload: frame("answer", { c: { type: "string" } }) },
      },
    },
  };
  const ROOM = ["channels", "room"];
  const ASK = ["components", "messages", "Ask", "payload"];
  const ANSWER = ["components", "messages", "Answer", "payload"];

  it.for<[string, Path, Json?]>([
    ["a channel", ["channels", "more"], { address: "/more", messages: {} }],
    ["an operation", ["operations", "more"], { action: "send", channel, messages: [] }],
    ["a frame", [...ROOM, "messages", "More"], component("Told")],
    ["a frame of an operation", ["operations", "tell", "messages", 1], on("Answer")],
    ["a field of the server's frames", ["components", "schemas", "Thing", "properties", "z"], {}],
    ["an optional field of the client's frames", [...ASK, "properties", "z"], {}],
    ["a value in the query", [...ROOM, "bindings", "ws", "query", "properties", "z"], {}],
    ["a closing code", [...ROOM, "x-closing-codes", "4999"], "x"],
    ["another way to sign in", ["servers", "wss", "security", 1], { $ref: "#/components/securitySchemes/x" }],
  ])("may get %s", ([, path, value], { expect }) => {
    const newer = edited(document, path, value);
    expect(newer).not.toEqual(document);
    expect(asyncApiBreaks(document, newer)).toEqual([]);
  });

  it.for<[string, string[], Path, Json?]>([
    [
      "a channel is removed",
      ["ask Answer: removed", "ask Ask: removed", "channel room: removed", "tell Told: removed"],
      ROOM,
    ],
    ["a channel moves", ["channel room: was at /rooms/{id}, is at /r/{id}"], [...ROOM, "address"], "/r/{id}"],
    ["a parameter is removed", ["channel room parameter id: removed"], [...ROOM, "parameters", "id"]],
    ["a parameter comes", ["channel room parameter x: new"], [...ROOM, "parameters", "x"], {}],
    ["an operation is removed", ["operation tell: removed"], ["operations", "tell"]],
    [
      "a frame goes the other way",
      ["operation tell: was send, is receive"],
      ["operations", "tell", "action"],
      "receive",
    ],
    [
      "an operation is elsewhere",
      ["operation tell: is on another channel"],
      ["operations", "tell", "channel", "$ref"],
      "x",
    ],
    ["a frame is no longer sent", ["tell Told: removed"], ["operations", "tell", "messages", 0]],
    ["a frame is no longer answered", ["ask Answer: removed"], ["operations", "ask", "reply"]],
    [
      "a frame is removed",
      ["channel room frame Ask: removed", "ask Ask: removed"],
      [...ROOM, "messages", "Ask"],
    ],
    [
      "a closing code is removed",
      ["channel room closing code 4401: removed"],
      [...ROOM, "x-closing-codes", "4401"],
    ],
    [
      "a value in the query is needed",
      ["channel room query.after: required now"],
      [...ROOM, "bindings", "ws", "query", "required"],
      ["after"],
    ],
    [
      "a way to sign in is removed",
      ["server wss: bearer is no longer enough"],
      ["servers", "wss", "security", 0],
    ],
    [
      "a server is removed",
      ["server wss: removed", "server wss: bearer is no longer enough"],
      ["servers", "wss"],
    ],
    [
      "a field of the server's frames goes",
      ["Thing (response).a: removed"],
      ["components", "schemas", "Thing"],
      frame("told"),
    ],
    [
      "a field of a reply may be null",
      ["ask Answer.c: may be null now"],
      [...ANSWER, "properties", "c", "type"],
      ["string", "null"],
    ],
    [
      "a new field of the client's frames is needed",
      ["ask Ask.z: new and required"],
      ASK,
      { ...frame("ask", { b: { type: "string" }, z: {} }), additionalProperties: false },
    ],
    [
      "a field of the client's frames goes",
      ["ask Ask.b: removed"],
      [...ASK, "properties"],
      { type: { const: "ask" } },
    ],
    [
      "a type changes",
      ['ask Ask.type: no longer takes "ask"'],
      [...ASK, "properties", "type", "const"],
      "question",
    ],
  ])("breaks when %s", ([, expected, path, value], { expect }) => {
    expect(asyncApiBreaks(document, edited(document, path, value)).sort()).toEqual([...expected].sort());
  });
});

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
    // What a handshake is answered with is no schema of a frame.
    expect(unseen.filter((place) => !place.includes("/bindings/ws/headers/"))).toEqual([]);
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
