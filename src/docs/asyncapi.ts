/**
 * The AsyncAPI 3.0 document: what goes over the sockets of rooms. Frames come from the schemas that rooms and clients
 * are typed by; what is written here is what no schema says.
 * @module
 */
import { z } from "zod";
import {
  BEARER_PROTOCOL_PREFIX,
  CLIENT_FRAME_MAX_BYTES,
  clientFrameSchema,
  CLOSE,
  FLOOD_FRAMES_MAX,
  FLOOD_WINDOW_MS,
  polledFrameSchema,
  ROOM_FRAMES,
  SUBPROTOCOL,
} from "../realtime/events.ts";
import { positionQuerySchema } from "../realtime/schema.ts";
import { API_VERSION } from "./document.ts";
import { FRAME_EXAMPLES } from "./frame-examples.ts";

type Reference = { $ref: string };
type JsonSchema = { [keyword: string]: unknown };

export type Message = {
  name: string;
  title: string;
  description: string;
  payload: Reference;
  examples: { payload: unknown }[];
};
export type Channel = {
  address: string;
  title: string;
  summary: string;
  description: string;
  parameters: Record<string, { description: string; examples: string[] }>;
  messages: Record<string, Reference>;
  bindings: { ws: { method: "GET"; query: JsonSchema; headers: JsonSchema; bindingVersion: "0.1.0" } };
  externalDocs: { description: string; url: string };
  "x-closing-codes": Record<string, string>;
};
export type RoomOperation = {
  action: "send" | "receive";
  channel: Reference;
  title: string;
  summary: string;
  messages: Reference[];
  reply?: { channel: Reference; messages: Reference[] };
};
export type AsyncApiDocument = {
  asyncapi: "3.0.0";
  info: { title: string; version: string; description: string; license: object; externalDocs: object };
  defaultContentType: "application/json";
  servers: Record<string, unknown>;
  channels: Record<string, Channel>;
  operations: Record<string, RoomOperation>;
  components: {
    schemas: Record<string, JsonSchema>;
    messages: Record<string, Message>;
    securitySchemes: Record<string, { type: string; description: string; [detail: string]: string }>;
  };
};

const DESCRIPTION = `Everything that happens, at once: a room for each post and one for each user, over WebSocket.
The REST reference is the OpenAPI document at \`/api/openapi.json\`.

**Frames** are JSON texts. An event frame carries the whole object, without anything that depends on the viewer, so
nobody needs to refetch. Fields may be added to the server's frames; clients pass over those that they do not know. A
frame of a client has exactly the fields that are listed here.

**Order.** \`ready\` is the first frame. Each event has the room's next \`seq\`; it grows by exactly 1 and survives sleep,
eviction and deployments. \`epoch\` changes only when the room's log was lost.

**Resume.** Keep \`epoch\` and the last \`seq\`, and connect with \`?epoch=E&after=N\`. Where \`ready\` says \`replayed\`, every
event after N follows in order, then the live ones: none lost, none twice. \`resync\` says that the log no longer reaches
back to N, or that the epoch is another: read by REST and go on from the \`seq\` of \`ready\`. The log keeps 500 events and
24 hours at least.

**Join without a gap.** Connect, wait for \`ready\`, read by REST, then apply the frames that came meanwhile. A REST read
that starts after a frame was sent shows at least that state.

**Without WebSocket** \`GET /api/rooms/{room}/events\` answers the same frames by long poll (\`RoomPolledFrame\`).`;

const JOINING = `The upgrade is refused with a problem document: 401 without or with a bad token, 403 for an origin that is
not allowed, 404, 422 for a bad query, 429. Without \`Upgrade: websocket\` the answer is 426.`;

/** Why a room closes a socket, by code. */
const CLOSING: Record<keyof typeof CLOSE, string> = {
  tooLarge: `A frame over ${CLIENT_FRAME_MAX_BYTES} bytes.`,
  unauthenticated: "The token ran out or was revoked: refresh it or sign in, then come back.",
  forbidden: "An `auth` frame with the token of somebody else. Do not come back by yourself.",
  gone: "The post is gone. Do not come back.",
  flooding: `Over ${FLOOD_FRAMES_MAX} frames in ${FLOOD_WINDOW_MS / 1000} s. Come back later.`,
  full: "The room, or this user's share of it, is full. Come back later.",
};

const KINDS = {
  post: {
    parameter: "postId",
    title: "Room of a post",
    summary: "A post, its comments and their likes; who is there and who types",
    who: "Everybody who is signed in may enter.",
    closes: ["tooLarge", "unauthenticated", "forbidden", "gone", "flooding", "full"],
  },
  user: {
    parameter: "userId",
    title: "Room of a user",
    summary: "One's own notifications",
    who: "The user alone may enter; everybody else is refused with 403.",
    closes: ["tooLarge", "unauthenticated", "forbidden", "flooding", "full"],
  },
} as const satisfies Record<
  keyof typeof ROOM_FRAMES,
  { parameter: string; title: string; summary: string; who: string; closes: (keyof typeof CLOSE)[] }
>;
type Kind = keyof typeof KINDS;

/** The document. Made of constants alone: the same at every call. A few milliseconds. */
export function asyncApiDocument(): AsyncApiDocument {
  const schemas = frameSchemas();
  return {
    asyncapi: "3.0.0",
    info: {
      title: "LiveForum rooms",
      version: API_VERSION,
      description: DESCRIPTION,
      license: { name: "MIT" },
      externalDocs: { description: "The REST reference, and this one", url: "/api/docs/rooms" },
    },
    defaultContentType: "application/json",
    servers: {
      production: {
        host: "{host}",
        protocol: "wss",
        description: "Wherever the API is served",
        variables: { host: { description: "The host of `PUBLIC_URL`", default: "localhost:8787" } },
        security: SECURITY,
      },
      local: {
        host: "localhost:8787",
        protocol: "ws",
        description: "What `npm run dev` starts",
        security: SECURITY,
      },
    },
    channels: { postRoom: channel("post"), userRoom: channel("user") },
    operations: { ...operations("post"), ...operations("user") },
    components: {
      schemas,
      messages: Object.fromEntries(frames().map((frame) => [frame.id, message(frame)])),
      securitySchemes: {
        subprotocol: {
          type: "httpApiKey",
          in: "header",
          name: "sec-websocket-protocol",
          description: `For browsers, which cannot set headers: the subprotocol pair \`${SUBPROTOCOL}\`, \`${BEARER_PROTOCOL_PREFIX}<access token>\`. The server answers with \`${SUBPROTOCOL}\` alone.`,
        },
        bearer: {
          type: "http",
          scheme: "bearer",
          bearerFormat: "JWT",
          description:
            "For everybody else: the access token as the `Authorization` header. Never in the URL.",
        },
      },
    },
  };
}

/** Either of the two. */
const SECURITY = [
  { $ref: "#/components/securitySchemes/subprotocol" },
  { $ref: "#/components/securitySchemes/bearer" },
];

function channel(kind: Kind): Channel {
  const { parameter, title, summary, who, closes } = KINDS[kind];
  return {
    address: `/api/rooms/${kind}:{${parameter}}`,
    title,
    summary,
    description: `${who} ${JOINING}`,
    parameters: {
      [parameter]: { description: `Id of the ${kind}, without signs or leading zeros`, examples: ["7"] },
    },
    messages: Object.fromEntries(
      framesOf(kind).map(({ id }) => [id, { $ref: `#/components/messages/${id}` }]),
    ),
    bindings: {
      ws: {
        method: "GET",
        query: jsonSchemaOf(positionQuerySchema),
        headers: {
          type: "object",
          properties: {
            "sec-websocket-protocol": { type: "string", const: SUBPROTOCOL, description: "In the answer" },
          },
        },
        bindingVersion: "0.1.0",
      },
    },
    externalDocs: {
      description: "The long poll, for networks without WebSocket: `GET /api/rooms/{room}/events`",
      url: "/api/docs#/Rooms/get_api_rooms__room__events",
    },
    "x-closing-codes": Object.fromEntries(closes.map((name) => [CLOSE[name], CLOSING[name]])),
  };
}

function operations(kind: Kind): Record<string, RoomOperation> {
  const room = kind === "post" ? "postRoom" : "userRoom";
  const reference = { $ref: `#/channels/${room}` };
  const messages = (some: Frame[]) => some.map(({ id }) => ({ $ref: `${reference.$ref}/messages/${id}` }));
  const server = serverFramesOf(kind);
  const answers = server.filter(({ type }) => type === "pong");
  const pings = clientFramesOf(kind).filter(({ type }) => type === "ping");
  const others = clientFramesOf(kind).filter(({ type }) => type !== "ping");
  return {
    [`${room}Frames`]: {
      action: "send",
      channel: reference,
      title: "What the room sends",
      summary: "`ready`, what was missed, then what happens",
      messages: messages(server.filter(({ type }) => type !== "pong")),
    },
    [`${room}Ping`]: {
      action: "receive",
      channel: reference,
      title: "Whether the connection lives",
      summary: "Answered at once",
      messages: messages(pings),
      reply: { channel: reference, messages: messages(answers) },
    },
    [`${room}ClientFrames`]: {
      action: "receive",
      channel: reference,
      title: "What a client may send",
      summary: "What cannot be understood is answered with `error`; the socket stays open",
      messages: messages(others),
    },
  };
}

/** A frame by the id of its schema. */
type Frame = { id: string; type: string; description: string };

function serverFramesOf(kind: Kind): Frame[] {
  return ROOM_FRAMES[kind].server.options.map(frameOf);
}

function clientFramesOf(kind: Kind): Frame[] {
  return ROOM_FRAMES[kind].client.map(frameOf);
}

function framesOf(kind: Kind): Frame[] {
  return [...serverFramesOf(kind), ...clientFramesOf(kind)];
}

/** All frames, each once. */
function frames(): Frame[] {
  const all = [...serverFramesOf("post"), ...serverFramesOf("user"), ...clientFramesOf("post")];
  return [...new Map(all.map((frame) => [frame.id, frame])).values()];
}

/** @throws when the schema has no id: every frame is named */
function frameOf(schema: z.ZodObject<{ type: z.ZodLiteral<string> }>): Frame {
  const { id, description = "" } = schema.meta() ?? {};
  if (id === undefined) throw new Error(`the frame ${schema.shape.type.value} has no id`);
  return { id, type: schema.shape.type.value, description };
}

function message({ id, type, description }: Frame): Message {
  const examples = FRAME_EXAMPLES.filter((example) => example.schema === id);
  return {
    name: type,
    title: id,
    description,
    payload: { $ref: `#/components/schemas/${id}` },
    examples: examples.map(({ payload }) => ({ payload })),
  };
}

/** The schemas of all frames and of what is in them, by their ids. */
function frameSchemas(): Record<string, JsonSchema> {
  const unions = [ROOM_FRAMES.post.server, ROOM_FRAMES.user.server, polledFrameSchema, clientFrameSchema];
  const { definitions } = jsonSchemaOf(z.union(unions)) as { definitions: Record<string, JsonSchema> };
  return definitions;
}

/** JSON Schema in the dialect of AsyncAPI (draft 7), with references into its components. */
function jsonSchemaOf(schema: z.ZodType): JsonSchema {
  const made = z.toJSONSchema(schema, {
    target: "draft-7",
    // What a server may send is left open for fields to come; strict objects stay closed.
    io: "input",
    override({ zodSchema, jsonSchema }) {
      // The form of a time is a page of pattern that says what the format says.
      if (jsonSchema.format === "date-time") delete jsonSchema.pattern;
      if (zodSchema instanceof z.ZodDiscriminatedUnion) jsonSchema.discriminator = "type";
    },
  });
  delete made.$schema;
  return JSON.parse(JSON.stringify(made), (key, value: unknown) =>
    key === "$ref" && typeof value === "string"
      ? value.replace("#/definitions/", "#/components/schemas/")
      : value,
  ) as JsonSchema;
}
