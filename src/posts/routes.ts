/**
 * `/api/posts`.
 * @module
 */
import { createRoute, z } from "@hono/zod-openapi";
import { idempotencyClaim } from "../common/idempotency.ts";
import { matchesIfNoneMatch, postEtag, versionFromIfMatch } from "../http/etag.ts";
import { clientNetwork } from "../http/middleware/admission.ts";
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
  pageSchema,
  problems,
} from "../http/openapi.ts";
import { publicRead, userWrite, userWriteOnLists } from "../http/routes.ts";
import {
  createPostSchema,
  listPostsQuerySchema,
  popularQuerySchema,
  postSchema,
  postSummarySchema,
  toPost,
  toPostSummary,
  updatePostSchema,
} from "./schema.ts";
import { viewerKey } from "./views.ts";

const tags = ["Posts"];
const params = z.object({ id: idSchema });
const page = pageSchema(postSummarySchema);

const listPosts = createRoute({
  method: "get",
  path: "/",
  tags,
  summary: "Posts, newest first",
  security: optionalBearerAuth,
  middleware: publicRead,
  request: { query: listPostsQuerySchema },
  responses: { 200: jsonResponse(page, "A page of posts"), ...problems(400, 422) },
});

const listPopularPosts = createRoute({
  method: "get",
  path: "/popular",
  tags,
  summary: "Popular posts, best first",
  description: "Ranked by a score of views, likes and comments that decays with time. One page.",
  security: optionalBearerAuth,
  middleware: publicRead,
  request: { query: popularQuerySchema },
  responses: { 200: jsonResponse(page, "The most popular posts"), ...problems(422) },
});

const getPost = createRoute({
  method: "get",
  path: "/{id}",
  tags,
  summary: "A post; counts a view",
  description:
    "A view counts once per viewer and post in an hour. `ETag` changes with all that readers share but the view count.",
  security: optionalBearerAuth,
  middleware: publicRead,
  request: { params },
  responses: {
    200: jsonResponse(postSchema, "The post"),
    304: { description: "The post is as `If-None-Match` says" },
    ...problems(404, 422),
  },
});

const createPost = createRoute({
  method: "post",
  path: "/",
  tags,
  summary: "Write a post",
  security: bearerAuth,
  middleware: userWriteOnLists,
  request: { headers: idempotencyKeyHeaderSchema, body: jsonBody(createPostSchema) },
  responses: {
    201: jsonResponse(postSchema, "The post; `Location` names it"),
    ...problems(400, 409, 413, 415, 422),
  },
});

const updatePost = createRoute({
  method: "patch",
  path: "/{id}",
  tags,
  summary: "Change a post (its author, admins)",
  security: bearerAuth,
  middleware: userWrite,
  request: { params, headers: ifMatchHeaderSchema, body: jsonBody(updatePostSchema) },
  responses: {
    200: jsonResponse(postSchema, "The post"),
    ...problems(400, 403, 404, 409, 412, 413, 415, 422),
  },
});

const deletePost = createRoute({
  method: "delete",
  path: "/{id}",
  tags,
  summary: "Delete a post (its author, admins)",
  security: bearerAuth,
  middleware: userWrite,
  request: { params, headers: ifMatchHeaderSchema },
  responses: { 204: noContent, ...problems(400, 403, 404, 409, 412, 413, 415, 422) },
});

export const postRoutes = newRouter()
  .openapi(listPosts, async (c) => {
    const { items, nextCursor } = await c.var.services.posts.list(c.var.actor, c.req.valid("query"));
    return c.json({ items: items.map(toPostSummary), nextCursor }, 200);
  })
  .openapi(listPopularPosts, async (c) => {
    const { items, nextCursor } = await c.var.services.posts.listPopular(c.var.actor, c.req.valid("query"));
    return c.json({ items: items.map(toPostSummary), nextCursor }, 200);
  })
  .openapi(getPost, async (c) => {
    const { actor, badToken, config, services } = c.var;
    const traits = {
      userId: actor?.id ?? null,
      network: clientNetwork(c),
      userAgent: c.req.header("user-agent"),
    };
    // A request that will be refused is nobody's view.
    const viewer = badToken ? null : await viewerKey(traits, config.JWT_KEYS[0]?.secret ?? "", new Date());
    const post = await services.posts.read(actor, c.req.valid("param").id, viewer);
    const etag = postEtag(post);
    c.header("etag", etag);
    c.header("cache-control", "private, no-cache");
    if (matchesIfNoneMatch(c.req.header("if-none-match"), etag)) return c.body(null, 304);
    return c.json(toPost(post), 200);
  })
  .openapi(createPost, async (c) => {
    const input = c.req.valid("json");
    const claim = await idempotencyClaim(c.req.valid("header")["idempotency-key"], "post", input);
    const post = await c.var.services.posts.create(c.var.actor, input, claim, c.var.hold);
    c.header("location", `/api/posts/${post.id}`);
    c.header("etag", postEtag(post));
    return c.json(toPost(post), 201);
  })
  .openapi(updatePost, async (c) => {
    const version = versionFromIfMatch(c.req.valid("header")["if-match"]);
    const post = await c.var.services.posts.update(
      c.var.actor,
      c.req.valid("param").id,
      c.req.valid("json"),
      version,
    );
    c.header("etag", postEtag(post));
    return c.json(toPost(post), 200);
  })
  .openapi(deletePost, async (c) => {
    const version = versionFromIfMatch(c.req.valid("header")["if-match"]);
    await c.var.services.posts.remove(c.var.actor, c.req.valid("param").id, version);
    return c.body(null, 204);
  });
