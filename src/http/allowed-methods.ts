/**
 * Tells an unknown path (404) from a known one with another method (405).
 * @module
 */
import type { RouterRoute } from "hono/types";

/** Methods of the routes that match the path, with HEAD beside GET; empty when none does. Middleware does not count. */
export function allowedMethods(routes: RouterRoute[], path: string): string[] {
  const methods = new Set<string>();
  for (const route of routes) {
    if (route.method !== "ALL" && pattern(route.path).test(path)) methods.add(route.method);
  }
  if (methods.has("GET")) methods.add("HEAD");
  return [...methods].sort();
}

const patterns = new Map<string, RegExp>();

function pattern(path: string): RegExp {
  let compiled = patterns.get(path);
  if (!compiled) {
    compiled = new RegExp(
      `^${path.replaceAll(/[.*+?^$()|[\]\\]/g, String.raw`\$&`).replaceAll(/:[^/{]+(?:\{[^}]*\})?/g, "[^/]+")}$`,
    );
    patterns.set(path, compiled);
  }
  return compiled;
}
