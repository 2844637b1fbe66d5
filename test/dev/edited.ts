/**
 * Documents with one change.
 * @module
 */
import type { Json } from "../../dev/api/documents.ts";

export type Path = (string | number)[];
export type Node = Record<string | number, Json>;

/** A copy of the document with another value at the path, or without it. */
export function edited(document: Json, path: Path, value?: Json): Json {
  // Not structuredClone(): it keeps parts that are shared shared.
  const copy = JSON.parse(JSON.stringify(document)) as Json;
  const parent = path.slice(0, -1).reduce<Json>((node, key) => (node as Node)[key] ?? null, copy) as Node;
  const key = path.at(-1) ?? "";
  if (value !== undefined) parent[key] = value;
  else if (Array.isArray(parent)) parent.splice(Number(key), 1);
  else delete parent[key];
  return copy;
}
