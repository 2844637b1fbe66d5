/** What breaks a client, document by document. */
import { describe, it } from "vitest";
import { asyncApiBreaks } from "../../dev/api/asyncapi-breaks.ts";
import type { Json } from "../../dev/api/documents.ts";
import { openApiBreaks } from "../../dev/api/openapi-breaks.ts";
import { edited, type Path } from "./edited.ts";

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
            "200": {
              content: json(thing),
              headers: { etag: { required: true, schema: { type: "string", maxLength: 40 } } },
            },
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
      "/things/{id}": { delete: { responses: { "204": {} } } },
    },
  };
  const [GET, POST, DELETE] = ["get", "post", "delete"].map((method) => ["paths", "/things", method]) as [
    Path,
    Path,
    Path,
  ];
  const THING = ["components", "schemas", "Thing"];
  const ETAG = [...GET, "responses", "200", "headers", "etag"];
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
    ["a header may be missing", ["GET /things 200 etag: may be missing now"], [...ETAG, "required"], false],
    [
      "a header may be longer",
      ["GET /things 200 etag: maxLength has changed"],
      [...ETAG, "schema", "maxLength"],
      80,
    ],
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

  it("breaks when a parameter of a path has another name, and says no more than that", ({ expect }) => {
    const renamed = (name: string, method = "delete") => ({
      ...document,
      paths: { "/things": document.paths["/things"], [`/things/{${name}}`]: { [method]: { responses: {} } } },
    });
    const [older, newer] = [renamed("id"), renamed("thingId")];
    expect(openApiBreaks(older, newer)).toEqual(["/things/{id}: is /things/{thingId} now"]);
    expect(openApiBreaks(older, renamed("thingId", "get"))).toContain("DELETE /things/{id}: removed");
  });

  it("breaks when an optional body becomes needed", ({ expect }) => {
    const optional = edited(document, [...POST, "requestBody", "required"], false);
    expect(openApiBreaks(optional, document)).toEqual(["POST /things body: required now"]);
    expect(openApiBreaks(document, optional)).toEqual([]);
  });
});

describe("an AsyncAPI document", () => {
  const bearer = { $ref: "#/components/securitySchemes/bearer" };
  const channel = { $ref: "#/channels/room" };
  const on = (name: string) => ({ $ref: `#/channels/room/messages/${name}` });
  const component = (name: string) => ({ $ref: `#/components/messages/${name}` });
  const frame = (type: string, more: Record<string, Json> = {}) => ({
    type: "object",
    properties: { type: { const: type }, ...more },
    required: ["type", ...Object.keys(more)],
  });
  const document = {
    defaultContentType: "application/json",
    servers: { wss: { host: "here", protocol: "wss", security: [bearer] } },
    channels: {
      room: {
        address: "/rooms/{id}",
        parameters: { id: { description: "which", enum: ["a", "b"] } },
        messages: { Told: component("Told"), Ask: component("Ask"), Answer: component("Answer") },
        bindings: {
          ws: {
            method: "GET",
            query: { type: "object", properties: { after: { type: "integer" } } },
            headers: { type: "object", properties: { protocol: { const: "v1" } } },
          },
        },
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
      securitySchemes: { bearer: { type: "http", scheme: "bearer", description: "a token" } },
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
  const WS = [...ROOM, "bindings", "ws"];
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
    ["a value of a parameter", [...ROOM, "parameters", "id", "enum", 2], "c"],
    ["an optional header", [...WS, "headers", "properties", "z"], {}],
    ["another description", ["components", "securitySchemes", "bearer", "description"], "x"],
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
    ["a server is removed", ["server wss: removed"], ["servers", "wss"]],
    ["a server moves", ["server wss: was wss://here, is wss://there"], ["servers", "wss", "host"], "there"],
    [
      "a way to sign in changes",
      ["security scheme bearer: changed or removed"],
      ["components", "securitySchemes", "bearer", "scheme"],
      "basic",
    ],
    [
      "an operation needs signing in",
      ["ask: anonymous is no longer enough"],
      ["operations", "ask", "security"],
      [bearer],
    ],
    [
      "a value of a parameter goes",
      ['channel room parameter id: no longer takes "b"'],
      [...ROOM, "parameters", "id", "enum", 1],
    ],
    ["another method opens it", ["channel room: was opened by GET, is by POST"], [...WS, "method"], "POST"],
    [
      "a header of the handshake goes",
      ["channel room header.protocol: removed"],
      [...WS, "headers", "properties", "protocol"],
    ],
    [
      "a header of the handshake has another value",
      ['channel room header.protocol: may be "v2" now', 'channel room header.protocol: no longer takes "v1"'],
      [...WS, "headers", "properties", "protocol", "const"],
      "v2",
    ],
    [
      "a header is needed",
      ["channel room header.token: new and required"],
      [...WS, "headers", "required"],
      ["token"],
    ],
    [
      "frames are written in another way",
      ["ask Answer", "ask Ask", "tell Told"].map((at) => `${at}: was application/json, is application/cbor`),
      ["defaultContentType"],
      "application/cbor",
    ],
    [
      "a frame needs a header",
      ["ask Ask header: no longer takes anything"],
      ["components", "messages", "Ask", "headers"],
      { type: "object", required: ["trace"] },
    ],
    [
      "a reply is elsewhere",
      ["ask: is answered on another channel"],
      ["operations", "ask", "reply", "channel", "$ref"],
      "x",
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
