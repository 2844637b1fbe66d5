/**
 * `/api/openapi.json` and `/api/docs`.
 * @module
 */
import { createRoute, z } from "@hono/zod-openapi";
import { jsonResponse, newRouter, problems } from "../http/openapi.ts";
import { publicRead } from "../http/routes.ts";
import { docsPage } from "./page.ts";

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

const CACHE_SECONDS = 300;

/** @param document makes the OpenAPI document; called once per isolate, because making it is slow */
export function createDocsRoutes(document: () => { openapi: string }) {
  let made: { openapi: string } | undefined;
  return newRouter()
    .openapi(openApi, (c) => {
      made ??= document();
      c.header("cache-control", `public, max-age=${CACHE_SECONDS}`);
      return c.json(made, 200);
    })
    .openapi(docs, (c) => {
      c.header("cache-control", `public, max-age=${CACHE_SECONDS}`);
      return c.html(docsPage(), 200);
    });
}
