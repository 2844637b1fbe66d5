/** The AsyncAPI document. Frames that tests receive are held against it by `support/frame-check.ts`. */
import { describe, it } from "vitest";
import { type AsyncApiDocument, asyncApiDocument } from "../src/docs/asyncapi.ts";
import { CLIENT_FRAME_TYPES, CLOSE } from "../src/realtime/events.ts";
import { anonymous, openApiDocument } from "./support/client.ts";
import { checkPolledFrames, readServerFrame, serverFrameViolations } from "./support/frame-check.ts";
import { KEYWORDS, type Schema, schemaViolations } from "./support/openapi-check.ts";

/** Section 3 of the contract. */
const CONTRACT = {
  post: [
    "ready",
    "comment_added",
    "comment_updated",
    "comment_deleted",
    "post_updated",
    "post_deleted",
    "post_liked",
    "comment_liked",
    "presence",
    "typing",
    "pong",
    "error",
  ],
  user: ["ready", "notify_user", "notification_read", "pong", "error"],
  client: { post: ["ping", "auth", "typing"], user: ["ping", "auth"] },
  closing: { post: [1009, 4401, 4403, 4404, 4429, 4503], user: [1009, 4401, 4403, 4429, 4503] },
};

const document = asyncApiDocument();
const schemas = document.components.schemas as Record<string, Schema>;

function at(pointer: string): unknown {
  return pointer
    .replace(/^#\//, "")
    .split("/")
    .reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], document);
}

function* referencesIn(value: unknown): Generator<string> {
  if (value === null || typeof value !== "object") return;
  for (const [key, child] of Object.entries(value)) {
    if (key === "$ref" && typeof child === "string") yield child;
    else yield* referencesIn(child);
  }
}

/** The types of the messages of a room's operations. */
function typesOf(room: "post" | "user", direction: "server" | "client"): string[] {
  return Object.values(document.operations)
    .filter(({ channel }) => channel.$ref === `#/channels/${room}Room`)
    .flatMap(({ action, messages, reply }) => [
      ...((action === "send") === (direction === "server") ? messages : []),
      ...((action === "send") === (direction === "server") ? [] : (reply?.messages ?? [])),
    ])
    .map(({ $ref }) => {
      // Channel messages are references themselves.
      const { $ref: component } = at($ref) as { $ref: string };
      return (at(component) as { name: string }).name;
    });
}

describe("the AsyncAPI document", () => {
  it("is served as it is made, may be cached, and is known to the OpenAPI document", async ({ expect }) => {
    const { status, body, headers } = await anonymous().get<AsyncApiDocument>("/api/asyncapi.json");
    expect(status).toBe(200);
    expect(body).toEqual(document);
    expect(headers.get("cache-control")).toMatch(/^public, max-age=\d+/);
    expect((await openApiDocument()).paths).toHaveProperty(["/api/asyncapi.json", "get"]);
  });

  it("has the version of the OpenAPI document", async ({ expect }) => {
    const { info } = (await openApiDocument()) as unknown as { info: { version: string } };
    expect(document.info["version"]).toBe(info.version);
  });

  it.for(["post", "user"] as const)(
    "has every frame of the contract's for a %s's room, and no other",
    (room, { expect }) => {
      expect(typesOf(room, "server").sort()).toEqual([...CONTRACT[room]].sort());
      expect(typesOf(room, "client").sort()).toEqual([...CONTRACT.client[room]].sort());
      const all = Object.values(document.channels[`${room}Room`]?.messages ?? {});
      const listed = all.map(({ $ref }) => (at($ref) as { name: string }).name);
      expect(listed.sort()).toEqual([...CONTRACT[room], ...CONTRACT.client[room]].sort());
    },
  );

  it("knows every frame that a room reads, and every code with which it closes", ({ expect }) => {
    expect([...CLIENT_FRAME_TYPES].sort()).toEqual([...CONTRACT.client.post].sort());
    for (const room of ["post", "user"] as const) {
      const codes = Object.keys(document.channels[`${room}Room`]?.["x-closing-codes"] ?? {});
      expect(codes.map(Number)).toEqual(CONTRACT.closing[room]);
    }
    expect(new Set<number>(Object.values(CLOSE))).toEqual(new Set(CONTRACT.closing.post));
  });

  it("names where rooms are and how to resume", ({ expect }) => {
    const { postRoom, userRoom } = document.channels;
    expect([postRoom?.address, userRoom?.address]).toEqual([
      "/api/rooms/post:{postId}",
      "/api/rooms/user:{userId}",
    ]);
    expect(Object.keys(postRoom?.parameters ?? {})).toEqual(["postId"]);
    const query = postRoom?.bindings.ws.query as Schema;
    expect(Object.keys(query.properties ?? {})).toEqual(["epoch", "after"]);
    expect(query.required ?? []).toEqual([]);
  });

  it("refers to nothing that it does not have", ({ expect }) => {
    const references = [...referencesIn(document)];
    expect(references.length).toBeGreaterThan(50);
    expect(references.filter((reference) => at(reference) === undefined)).toEqual([]);
  });

  it("gives each frame an example that fits its schema, and its union", ({ expect }) => {
    const components = { schemas };
    for (const [id, { examples, payload }] of Object.entries(document.components.messages)) {
      expect(examples.length, id).toBeGreaterThan(0);
      for (const { payload: example } of examples) {
        expect(schemaViolations({ components }, payload, example, id)).toEqual([]);
        const unions = id.startsWith("Client") ? ["ClientFrame"] : ["PostRoomFrame", "UserRoomFrame"];
        const fits = unions.filter(
          (union) => schemaViolations({ components }, schemas[union] ?? {}, example, id).length === 0,
        );
        expect(fits, id).not.toEqual([]);
      }
    }
  });

  it("closes the client's frames, and leaves the server's open for fields to come", ({ expect }) => {
    for (const id of Object.keys(document.components.messages)) {
      expect(schemas[id]?.additionalProperties, id).toBe(id.startsWith("Client") ? false : undefined);
    }
  });

  it("uses no keyword that the check of frames passes over", async ({ expect }) => {
    const used = new Set([
      ...keywordsOf(schemas),
      ...keywordsOf((await openApiDocument()).components.schemas),
    ]);
    expect([...used].filter((keyword) => !KEYWORDS.includes(keyword))).toEqual([]);
  });
});

/** The keywords of schemas, at any depth. */
function* keywordsOf(map: Record<string, Schema>): Generator<string> {
  for (const schema of Object.values(map)) {
    yield* Object.keys(schema);
    yield* keywordsOf(schema.properties ?? {});
    const parts = [
      schema.items,
      schema.additionalProperties,
      schema.anyOf,
      schema.oneOf,
      schema.allOf,
    ].flat();
    yield* keywordsOf(Object.fromEntries(parts.filter((part) => typeof part === "object").entries()));
  }
}

describe("the check of frames", () => {
  const frame = {
    type: "post_liked",
    room: "post:7",
    seq: 1,
    at: "2026-11-22T06:00:00.000Z",
    data: { targetId: 7, likeCount: 1 },
  };

  it.for([
    { fault: "nothing", change: {}, violations: 0 },
    { fault: "a stray field", change: { secret: 1 }, violations: 1 },
    { fault: "a stray field further in", change: { data: { ...frame.data, secret: 1 } }, violations: 1 },
    { fault: "a missing field", change: { at: undefined }, violations: 1 },
    { fault: "a `seq` of none", change: { seq: 0 }, violations: 1 },
    { fault: "another type", change: { seq: "1" }, violations: 1 },
    { fault: "a time without milliseconds", change: { at: "2026-11-22T06:00:00Z" }, violations: 1 },
    { fault: "a frame that no room sends", change: { type: "post_moved" }, violations: 1 },
    { fault: "a frame of the client's", change: { type: "auth" }, violations: 1 },
    { fault: "a frame of another kind of room", change: { room: "user:7" }, violations: 1 },
    { fault: "a room of no kind", change: { room: "board:7" }, violations: 1 },
    { fault: "no type", change: { type: undefined }, violations: 1 },
  ])("finds $fault", ({ change, violations }, { expect }) => {
    const changed = JSON.parse(JSON.stringify({ ...frame, ...change })) as unknown;
    expect(serverFrameViolations(changed)).toHaveLength(violations);
    const read = () => readServerFrame(JSON.stringify(changed));
    if (violations > 0) expect(read).toThrow("not as documented");
    else expect(read()).toEqual(frame);
  });

  it("knows that a long poll has no frames that are not logged", ({ expect }) => {
    const presence = { type: "presence", room: "post:7", at: frame.at, data: { viewers: 1 } };
    expect(serverFrameViolations(presence)).toEqual([]);
    expect(() => checkPolledFrames([frame, presence])).toThrow("fits none");
  });
});
