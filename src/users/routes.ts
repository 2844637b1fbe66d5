/**
 * `/api/users`: profiles and what a user wrote.
 * @module
 */
import { createRoute, z } from "@hono/zod-openapi";
import {
  bearerAuth,
  idSchema,
  jsonBody,
  jsonResponse,
  newRouter,
  noContent,
  optionalBearerAuth,
  pageQuerySchema,
  pageSchema,
  problems,
} from "../http/openapi.ts";
import { publicRead, userRead, userWrite } from "../http/routes.ts";
import { postSummarySchema, toPostSummary } from "../posts/schema.ts";
import { profileSchema, toProfile, toUser, updateProfileSchema, userSchema } from "./schema.ts";

const tags = ["Users"];

const me = createRoute({
  method: "get",
  path: "/me",
  tags,
  summary: "One's own profile",
  security: bearerAuth,
  middleware: userRead,
  responses: { 200: jsonResponse(profileSchema, "The profile"), ...problems() },
});

const updateMe = createRoute({
  method: "patch",
  path: "/me",
  tags,
  summary: "Change one's own profile",
  security: bearerAuth,
  middleware: userWrite,
  request: { body: jsonBody(updateProfileSchema) },
  responses: { 200: jsonResponse(profileSchema, "The profile"), ...problems(400, 409, 413, 415, 422) },
});

const eraseMe = createRoute({
  method: "delete",
  path: "/me",
  tags,
  summary: "Erase one's own account",
  description: "Posts and comments stay, their author becomes `null`. All sessions end.",
  security: bearerAuth,
  middleware: userWrite,
  responses: { 204: noContent, ...problems(400, 413, 415) },
});

const getUser = createRoute({
  method: "get",
  path: "/{id}",
  tags,
  summary: "A user's public profile",
  middleware: publicRead,
  request: { params: z.object({ id: idSchema }) },
  responses: { 200: jsonResponse(userSchema, "The user"), ...problems(404, 422) },
});

const listUserPosts = createRoute({
  method: "get",
  path: "/{id}/posts",
  tags,
  summary: "A user's posts, newest first",
  security: optionalBearerAuth,
  middleware: publicRead,
  request: { params: z.object({ id: idSchema }), query: pageQuerySchema },
  responses: {
    200: jsonResponse(pageSchema(postSummarySchema), "A page of posts"),
    ...problems(400, 404, 422),
  },
});

export const userRoutes = newRouter()
  .openapi(me, async (c) => c.json(toProfile(await c.var.services.users.find(c.var.actor.id)), 200))
  .openapi(updateMe, async (c) => {
    return c.json(toProfile(await c.var.services.users.update(c.var.actor, c.req.valid("json"))), 200);
  })
  .openapi(eraseMe, async (c) => {
    await c.var.services.users.erase(c.var.actor);
    return c.body(null, 204);
  })
  .openapi(getUser, async (c) =>
    c.json(toUser(await c.var.services.users.find(c.req.valid("param").id)), 200),
  )
  .openapi(listUserPosts, async (c) => {
    const authorId = c.req.valid("param").id;
    const { services, actor } = c.var;
    const page = await services.posts.listOfAuthor(actor, authorId, c.req.valid("query"), () =>
      services.users.find(authorId),
    );
    return c.json({ items: page.items.map(toPostSummary), nextCursor: page.nextCursor }, 200);
  });
