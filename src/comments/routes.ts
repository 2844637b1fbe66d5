/**
 * `/api/posts/{id}/comments`, `/api/comments/{id}` and `/api/users/{id}/comments`.
 * @module
 */
import { createRoute, z } from "@hono/zod-openapi";
import { idempotencyClaim } from "../common/idempotency.ts";
import { versionFromIfMatch } from "../http/etag.ts";
import {
  bearerAuth,
  idempotencyKeyHeaderSchema,
  idSchema,
  ifMatchHeaderSchema,
  jsonBody,
  jsonResponse,
  newRouter,
  noContent,
  optionalBearerAuth,
  pageQuerySchema,
  pageSchema,
  problems,
} from "../http/openapi.ts";
import { publicRead, userWrite, userWriteOnPost } from "../http/routes.ts";
import { commentSchema, writeCommentSchema } from "./schema.ts";

const tags = ["Comments"];
const params = z.object({ id: idSchema });
const page = pageSchema(commentSchema);

const listComments = createRoute({
  method: "get",
  path: "/posts/{id}/comments",
  tags,
  summary: "Comments of a post, oldest first",
  security: optionalBearerAuth,
  middleware: publicRead,
  request: { params, query: pageQuerySchema },
  responses: { 200: jsonResponse(page, "A page of comments"), ...problems(400, 404, 422) },
});

const listUserComments = createRoute({
  method: "get",
  path: "/users/{id}/comments",
  tags,
  summary: "A user's comments, newest first",
  security: optionalBearerAuth,
  middleware: publicRead,
  request: { params, query: pageQuerySchema },
  responses: { 200: jsonResponse(page, "A page of comments"), ...problems(400, 404, 422) },
});

const createComment = createRoute({
  method: "post",
  path: "/posts/{id}/comments",
  tags,
  summary: "Comment on a post",
  security: bearerAuth,
  middleware: userWriteOnPost,
  request: { params, headers: idempotencyKeyHeaderSchema, body: jsonBody(writeCommentSchema) },
  responses: { 201: jsonResponse(commentSchema, "The comment"), ...problems(400, 404, 413, 415, 422) },
});

const updateComment = createRoute({
  method: "patch",
  path: "/comments/{id}",
  tags,
  summary: "Change a comment (its author, admins)",
  security: bearerAuth,
  middleware: userWrite,
  request: { params, headers: ifMatchHeaderSchema, body: jsonBody(writeCommentSchema) },
  responses: {
    200: jsonResponse(commentSchema, "The comment"),
    ...problems(400, 403, 404, 409, 412, 413, 415, 422),
  },
});

const deleteComment = createRoute({
  method: "delete",
  path: "/comments/{id}",
  tags,
  summary: "Delete a comment (its author, admins)",
  description: "Its place in the thread stays, without content and author.",
  security: bearerAuth,
  middleware: userWrite,
  request: { params, headers: ifMatchHeaderSchema },
  responses: { 204: noContent, ...problems(400, 403, 404, 409, 412, 413, 415, 422) },
});

export const commentRoutes = newRouter()
  .openapi(listComments, async (c) => {
    const { id } = c.req.valid("param");
    return c.json(await c.var.services.comments.listOfPost(c.var.actor, id, c.req.valid("query")), 200);
  })
  .openapi(listUserComments, async (c) => {
    const { id } = c.req.valid("param");
    const { services, actor } = c.var;
    const [comments] = await Promise.all([
      services.comments.listOfAuthor(actor, id, c.req.valid("query")),
      services.users.find(id),
    ]);
    return c.json(comments, 200);
  })
  .openapi(createComment, async (c) => {
    const { id } = c.req.valid("param");
    const input = c.req.valid("json");
    const claim = await idempotencyClaim(c.req.valid("header")["idempotency-key"], `comment:${id}`, input);
    const { services, actor, hold } = c.var;
    return c.json(
      await services.comments.create(actor, id, input, claim, hold ?? services.posts.hold(id)),
      201,
    );
  })
  .openapi(updateComment, async (c) => {
    const version = versionFromIfMatch(c.req.valid("header")["if-match"]);
    const { id } = c.req.valid("param");
    return c.json(await c.var.services.comments.update(c.var.actor, id, c.req.valid("json"), version), 200);
  })
  .openapi(deleteComment, async (c) => {
    const version = versionFromIfMatch(c.req.valid("header")["if-match"]);
    await c.var.services.comments.remove(c.var.actor, c.req.valid("param").id, version);
    return c.body(null, 204);
  });
