/**
 * `/api/notifications`: one's own.
 * @module
 */
import { createRoute, z } from "@hono/zod-openapi";
import {
  bearerAuth,
  idSchema,
  jsonBody,
  jsonResponse,
  newRouter,
  pageQuerySchema,
  pageSchema,
  problems,
} from "../http/openapi.ts";
import { userRead, userWrite } from "../http/routes.ts";
import { notificationSchema, readAllSchema, unreadCountSchema } from "./schema.ts";

const tags = ["Notifications"];

const list = createRoute({
  method: "get",
  path: "/",
  tags,
  summary: "One's own notifications, newest first",
  security: bearerAuth,
  middleware: userRead,
  request: {
    query: pageQuerySchema.extend({
      unread: z.enum(["true", "false"]).optional().meta({ description: "`true`: unread ones only" }),
    }),
  },
  responses: {
    200: jsonResponse(pageSchema(notificationSchema), "A page of notifications"),
    ...problems(400, 422),
  },
});

const unreadCount = createRoute({
  method: "get",
  path: "/unread-count",
  tags,
  summary: "How many are unread",
  security: bearerAuth,
  middleware: userRead,
  responses: { 200: jsonResponse(unreadCountSchema, "The count"), ...problems() },
});

const markRead = createRoute({
  method: "patch",
  path: "/{id}/read",
  tags,
  summary: "Mark one as read",
  security: bearerAuth,
  middleware: userWrite,
  request: { params: z.object({ id: idSchema }) },
  responses: {
    200: jsonResponse(notificationSchema, "The notification"),
    ...problems(400, 404, 413, 415, 422),
  },
});

const markAllRead = createRoute({
  method: "post",
  path: "/read-all",
  tags,
  summary: "Mark all up to one as read",
  security: bearerAuth,
  middleware: userWrite,
  request: { body: jsonBody(readAllSchema) },
  responses: {
    200: jsonResponse(unreadCountSchema, "How many are still unread"),
    ...problems(400, 413, 415, 422),
  },
});

export const notificationRoutes = newRouter()
  .openapi(list, async (c) => {
    const { unread, ...page } = c.req.valid("query");
    return c.json(await c.var.services.notifications.list(c.var.actor, page, unread === "true"), 200);
  })
  .openapi(unreadCount, async (c) => {
    return c.json(await c.var.services.notifications.countUnread(c.var.actor), 200);
  })
  .openapi(markRead, async (c) => {
    return c.json(await c.var.services.notifications.markRead(c.var.actor, c.req.valid("param").id), 200);
  })
  .openapi(markAllRead, async (c) => {
    return c.json(await c.var.services.notifications.markAllRead(c.var.actor, c.req.valid("json").upTo), 200);
  });
