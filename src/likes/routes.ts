/**
 * `/api/posts/{id}/like` and `/api/comments/{id}/like`.
 * @module
 */
import { createRoute, z } from "@hono/zod-openapi";
import { bearerAuth, idSchema, jsonResponse, newRouter, problems } from "../http/openapi.ts";
import { userWrite, userWriteOnPost } from "../http/routes.ts";
import { likeSchema } from "./schema.ts";

const tags = ["Likes"];
const params = z.object({ id: idSchema });
const responses = {
  200: jsonResponse(likeSchema, "Whether it is liked now, and by how many"),
  ...problems(400, 404, 413, 415, 422),
};

const likePost = createRoute({
  method: "put",
  path: "/posts/{id}/like",
  tags,
  summary: "Like a post",
  security: bearerAuth,
  middleware: userWriteOnPost,
  request: { params },
  responses,
});

const unlikePost = createRoute({
  method: "delete",
  path: "/posts/{id}/like",
  tags,
  summary: "Take back the like of a post",
  security: bearerAuth,
  middleware: userWriteOnPost,
  request: { params },
  responses,
});

const likeComment = createRoute({
  method: "put",
  path: "/comments/{id}/like",
  tags,
  summary: "Like a comment",
  security: bearerAuth,
  middleware: userWrite,
  request: { params },
  responses,
});

const unlikeComment = createRoute({
  method: "delete",
  path: "/comments/{id}/like",
  tags,
  summary: "Take back the like of a comment",
  security: bearerAuth,
  middleware: userWrite,
  request: { params },
  responses,
});

export const likeRoutes = newRouter()
  .openapi(likePost, async (c) => {
    const target = { type: "post" as const, id: c.req.valid("param").id };
    return c.json(await c.var.services.likes.like(c.var.actor, target, c.var.hold), 200);
  })
  .openapi(unlikePost, async (c) => {
    const target = { type: "post" as const, id: c.req.valid("param").id };
    return c.json(await c.var.services.likes.unlike(c.var.actor, target, c.var.hold), 200);
  })
  .openapi(likeComment, async (c) => {
    const target = { type: "comment" as const, id: c.req.valid("param").id };
    return c.json(await c.var.services.likes.like(c.var.actor, target, null), 200);
  })
  .openapi(unlikeComment, async (c) => {
    const target = { type: "comment" as const, id: c.req.valid("param").id };
    return c.json(await c.var.services.likes.unlike(c.var.actor, target, null), 200);
  });
