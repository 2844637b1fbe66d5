/**
 * `/api/openapi.json` and `/api/docs`.
 * @module
 */
import { newRouter } from "../http/openapi.ts";

export const docsRoutes = newRouter();
