/**
 * `/api/openapi.json`, `/api/asyncapi.json` and the documentation pages.
 * @module
 */
import { createRoute, z } from "@hono/zod-openapi";
import { jsonResponse, newRouter, problems } from "../http/openapi.ts";
import { publicRead } from "../http/routes.ts";
import type { AsyncApiDocument } from "./asyncapi.ts";
import { docsPage } from "./page.ts";
import { roomsPage } from "./rooms-page.ts";

const tags = ["Documentation"];

const openApi = createRoute({
  method: "get",
  path: "/openapi.json",
  tags,
  summary: "This document",
  middleware: publicRead,
  responses: {
    200: jsonResponse(z.looseObject({ openapi: z.string() }), "An OpenAPI 3.1 document"),
    ...problems(),
  },
});

const asyncApi = createRoute({
  method: "get",
  path: "/asyncapi.json",
  tags,
  summary: "The rooms' frames",
  description:
    "What goes over the sockets of rooms, both ways, as AsyncAPI 3: channels, frames with examples, resume, closing codes.",
  middleware: publicRead,
  responses: {
    200: jsonResponse(z.looseObject({ asyncapi: z.string() }), "An AsyncAPI 3.0 document"),
    ...problems(),
  },
});

const docs = createRoute({
  method: "get",
  path: "/docs",
  tags,
  summary: "The documentation page",
  middleware: publicRead,
  responses: {
    200: { description: "A page for people", content: { "text/html": { schema: z.string() } } },
    ...problems(),
  },
});

const rooms = createRoute({
  method: "get",
  path: "/docs/rooms",
  tags,
  summary: "The documentation page of rooms",
  middleware: publicRead,
  responses: {
    200: { description: "A page for people", content: { "text/html": { schema: z.string() } } },
    ...problems(),
  },
});

const CACHE_SECONDS = 300;

/** What the documents are made by: called once per isolate each, because making them is slow. */
export type DocumentMakers = { openApi: () => { openapi: string }; asyncApi: () => AsyncApiDocument };

export function createDocsRoutes(make: DocumentMakers) {
  const openApiDocument = once(make.openApi);
  const asyncApiDocument = once(make.asyncApi);
  const roomsHtml = once(() => roomsPage(asyncApiDocument()));
  return newRouter()
    .openapi(openApi, (c) => {
      c.header("cache-control", `public, max-age=${CACHE_SECONDS}`);
      return c.json(openApiDocument(), 200);
    })
    .openapi(asyncApi, (c) => {
      c.header("cache-control", `public, max-age=${CACHE_SECONDS}`);
      return c.json(asyncApiDocument(), 200);
    })
    .openapi(docs, (c) => {
      c.header("cache-control", `public, max-age=${CACHE_SECONDS}`);
      return c.html(docsPage(), 200);
    })
    .openapi(rooms, (c) => {
      c.header("cache-control", `public, max-age=${CACHE_SECONDS}`);
      return c.html(roomsHtml(), 200);
    });
}

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}
