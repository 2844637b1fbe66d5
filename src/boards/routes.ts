/**
 * `/api/boards`.
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
  pageQuerySchema,
  pageSchema,
  problems,
} from "../http/openapi.ts";
import { publicRead, userWrite } from "../http/routes.ts";
import { boardSchema, createBoardSchema, toBoard, updateBoardSchema } from "./schema.ts";

const tags = ["Boards"];
const params = z.object({ id: idSchema });

const listBoards = createRoute({
  method: "get",
  path: "/",
  tags,
  summary: "All boards, in board order",
  middleware: publicRead,
  request: { query: pageQuerySchema },
  responses: { 200: jsonResponse(pageSchema(boardSchema), "A page of boards"), ...problems(400, 422) },
});

const getBoard = createRoute({
  method: "get",
  path: "/{id}",
  tags,
  summary: "A board",
  middleware: publicRead,
  request: { params },
  responses: { 200: jsonResponse(boardSchema, "The board"), ...problems(404, 422) },
});

const createBoard = createRoute({
  method: "post",
  path: "/",
  tags,
  summary: "Create a board (admins)",
  security: bearerAuth,
  middleware: userWrite,
  request: { body: jsonBody(createBoardSchema) },
  responses: { 201: jsonResponse(boardSchema, "The board"), ...problems(400, 403, 409, 413, 415, 422) },
});

const updateBoard = createRoute({
  method: "patch",
  path: "/{id}",
  tags,
  summary: "Change a board (admins)",
  security: bearerAuth,
  middleware: userWrite,
  request: { params, body: jsonBody(updateBoardSchema) },
  responses: {
    200: jsonResponse(boardSchema, "The board"),
    ...problems(400, 403, 404, 409, 413, 415, 422),
  },
});

const deleteBoard = createRoute({
  method: "delete",
  path: "/{id}",
  tags,
  summary: "Delete a board that has no posts (admins)",
  security: bearerAuth,
  middleware: userWrite,
  request: { params },
  responses: { 204: noContent, ...problems(400, 403, 404, 409, 413, 415, 422) },
});

export const boardRoutes = newRouter()
  .openapi(listBoards, async (c) => {
    const page = await c.var.services.boards.list(c.req.valid("query"));
    return c.json({ items: page.items.map(toBoard), nextCursor: page.nextCursor }, 200);
  })
  .openapi(getBoard, async (c) =>
    c.json(toBoard(await c.var.services.boards.find(c.req.valid("param").id)), 200),
  )
  .openapi(createBoard, async (c) => {
    const board = await c.var.services.boards.create(c.var.actor, c.req.valid("json"));
    c.header("location", `/api/boards/${board.id}`);
    return c.json(toBoard(board), 201);
  })
  .openapi(updateBoard, async (c) => {
    const board = await c.var.services.boards.update(
      c.var.actor,
      c.req.valid("param").id,
      c.req.valid("json"),
    );
    return c.json(toBoard(board), 200);
  })
  .openapi(deleteBoard, async (c) => {
    await c.var.services.boards.remove(c.var.actor, c.req.valid("param").id);
    return c.body(null, 204);
  });
