/**
 * `/api/rooms`: the upgrade and the long poll. Everything is decided here, before a room is reached.
 * @module
 */
import { createRoute, z } from "@hono/zod-openapi";
import type { Context, MiddlewareHandler, TypedResponse } from "hono";
import { createMiddleware } from "hono/factory";
import { AppError, fieldError } from "../common/errors.ts";
import type { AppEnv, SignedInEnv } from "../http/app-env.ts";
import { admitRead, requireUser } from "../http/middleware/admission.ts";
import { bearerAuth, jsonResponse, newRouter, problems } from "../http/openapi.ts";
import {
  BEARER_PROTOCOL_PREFIX,
  polledFrameSchema,
  type Position,
  serverFrameSchema,
  SUBPROTOCOL,
  TYPING_TTL_MS,
} from "./events.ts";
import { parseRoom, type Room } from "./rooms.ts";
import { pollQuerySchema, type PositionQuery, positionQuerySchema } from "./schema.ts";
import type { Visitor } from "./service.ts";

/** The environment behind `identify`: who is asking, and for how long the token is good. */
type VisitorEnv = {
  Bindings: WorkerBindings;
  Variables: SignedInEnv["Variables"] & { visitor: Visitor };
};

/**
 * Reads the access token from the subprotocols (browsers) or from `Authorization`, and makes `c.var.actor` its user. One
 * that is not good is refused on admission, after it was counted.
 */
const identify = createMiddleware<VisitorEnv>(async function identify(c, next) {
  const protocols = offeredProtocols(c);
  const offered = protocols.includes(SUBPROTOCOL)
    ? protocols.find((protocol) => protocol.startsWith(BEARER_PROTOCOL_PREFIX))
    : undefined;
  const token =
    offered?.slice(BEARER_PROTOCOL_PREFIX.length) ??
    /^Bearer +(\S+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
  if (token !== undefined) {
    try {
      const visitor = await c.var.services.rooms.visitor(token);
      c.set("visitor", visitor);
      c.set("actor", visitor.actor);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      c.set("badToken", error);
    }
  }
  await next();
});

const requireUpgrade = createMiddleware<AppEnv>(async function requireUpgrade(c, next) {
  // HEAD comes here too, and must open nothing.
  if (c.req.method !== "GET" || c.req.header("upgrade")?.toLowerCase() !== "websocket") {
    throw new AppError("upgrade_required", "This path speaks WebSocket; for JSON see …/events", {
      headers: { upgrade: "websocket" },
    });
  }
  await next();
});

/** Browsers always name the page's origin in an upgrade, and no rule of theirs stops one from another site. */
const requireOrigin = createMiddleware<AppEnv>(async function requireOrigin(c, next) {
  const origin = c.req.header("origin");
  const { CORS_ORIGINS, PUBLIC_URL } = c.var.config;
  if (origin !== undefined && origin !== new URL(PUBLIC_URL).origin && !CORS_ORIGINS.includes(origin)) {
    throw new AppError("forbidden", "This origin may not open rooms");
  }
  await next();
});

// Mutable tuples, as in http/routes.ts.
const visitors: [MiddlewareHandler<VisitorEnv>, MiddlewareHandler<AppEnv>, MiddlewareHandler<VisitorEnv>] = [
  identify,
  admitRead(),
  requireUser as unknown as MiddlewareHandler<VisitorEnv>,
];

const tags = ["Rooms"];
const params = z.object({
  room: z.string().meta({ description: "`post:{id}` or `user:{id}`", example: "post:1" }),
});
const joinRoom = createRoute({
  method: "get",
  path: "/{room}",
  tags,
  summary: "Enter a room (WebSocket)",
  description: [
    `Needs \`Upgrade: websocket\`. Browsers send the access token as the subprotocol pair \`${SUBPROTOCOL}\`, \`${BEARER_PROTOCOL_PREFIX}<token>\` and are answered with \`${SUBPROTOCOL}\` alone; others may send it as \`Authorization\`.`,
    "The first frame is `ready`. What the room sends is described under status 101; the AsyncAPI document at `/api/asyncapi.json` also has what a client may send (`ping`, `auth`, `typing`), with examples.",
    `A \`typing\` stands for ${TYPING_TTL_MS / 1000} s after the last one of the same user.`,
    "With `epoch` and `after` every event after that one follows `ready` (`resume` is `replayed`), unless the log no longer reaches back (`resync`).",
    "Closing codes: 4401 the token ran out or was revoked, 4403 an `auth` frame with the token of somebody else, 4404 the post is gone, 4429 over 50 frames in 10 s, 4503 the room is full, 1009 a frame over 4 KiB.",
  ].join("\n\n"),
  security: bearerAuth,
  middleware: [requireUpgrade, requireOrigin, ...visitors] as [
    MiddlewareHandler<AppEnv>,
    MiddlewareHandler<AppEnv>,
    ...typeof visitors,
  ],
  request: { params, query: positionQuerySchema },
  responses: {
    101: jsonResponse(
      serverFrameSchema,
      "The connection speaks WebSocket from here on: these are the room's frames",
    ),
    ...problems(401, 403, 404, 422, 426),
  },
});

const pollRoom = createRoute({
  method: "get",
  path: "/{room}/events",
  tags,
  summary: "The frames of a room, by long poll",
  description:
    "The same frames as over WebSocket: `ready`, then the events after `after`. Where there is none yet the answer waits for one. Ask again with the `seq` of the last event, or that of `ready` where `resume` is not `replayed`. A long log comes in pieces.",
  security: bearerAuth,
  middleware: visitors,
  request: { params, query: pollQuerySchema },
  responses: {
    200: jsonResponse(z.object({ frames: z.array(polledFrameSchema) }), "`ready` and the events"),
    ...problems(401, 403, 404, 422),
  },
});

export const roomRoutes = newRouter()
  .openapi(joinRoom, async (c) => {
    const room = namedRoom(c.req.valid("param").room);
    const position = positionOf(c.req.valid("query"));
    const { services, visitor } = c.var;
    await Promise.all([c.var.admission, services.rooms.requireAccess(visitor.actor, room)]);
    const webSocket = await services.rooms.join(visitor, room, position);
    return upgraded(webSocket, offeredProtocols(c).includes(SUBPROTOCOL) ? SUBPROTOCOL : undefined);
  })
  .openapi(pollRoom, async (c) => {
    const room = namedRoom(c.req.valid("param").room);
    const { wait, ...query } = c.req.valid("query");
    const { services, actor } = c.var;
    await Promise.all([c.var.admission, services.rooms.requireAccess(actor, room)]);
    const frames = await services.rooms.poll(actor, room, positionOf(query), wait);
    c.header("cache-control", "no-store");
    return c.json({ frames }, 200);
  });

/** The answer that hands the connection over. A cast: what follows are frames, which no type of Hono's knows. */
function upgraded(webSocket: WebSocket, protocol?: string): Response & TypedResponse<never, 101, "json"> {
  const headers: HeadersInit = protocol === undefined ? {} : { "sec-websocket-protocol": protocol };
  return new Response(null, { status: 101, webSocket, headers }) as Response &
    TypedResponse<never, 101, "json">;
}

function offeredProtocols(c: Context): string[] {
  return (c.req.header("sec-websocket-protocol") ?? "").split(",").map((protocol) => protocol.trim());
}

/** @throws AppError `not_found` */
function namedRoom(name: string): Room {
  const room = parseRoom(name);
  if (!room) throw new AppError("not_found", "There is no such room");
  return room;
}

/** An empty epoch is none: a client may send the query with nothing in it at first. @throws AppError `validation_failed` */
function positionOf({ epoch, after }: PositionQuery): Position | null {
  if (!epoch) {
    if (after) throw fieldError("epoch", "is needed with `after`");
    return null;
  }
  if (after === undefined) throw fieldError("after", "is needed with `epoch`");
  return { epoch, after };
}
