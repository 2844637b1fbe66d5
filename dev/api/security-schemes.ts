/**
 * How ways to sign in break clients, in either kind of document.
 * @module
 */
import type { Json } from "./documents.ts";

type Schemes = Record<string, Json>;

/** @returns each scheme that is gone, or is another than before */
export function securitySchemeBreaks(was: Schemes = {}, is: Schemes = {}): string[] {
  const said = (scheme: Json | undefined) => JSON.stringify({ ...(scheme as object), description: "" });
  return Object.keys(was)
    .filter((name) => said(was[name]) !== said(is[name]))
    .map((name) => `security scheme ${name}: changed or removed`);
}
