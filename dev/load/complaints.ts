/**
 * What the Worker's log complains of, by kind.
 * @module
 */
import { readFileSync } from "node:fs";

const KINDS_MAX = 20;
const KIND_MAX_CHARACTERS = 300;

type Line = {
  level?: string;
  message?: string;
  error?: { message?: string; cause?: { message?: string } };
};

/** Warnings, errors and what is no line of ours, each kind with how often it came, the most frequent first. */
export function complaintsIn(logFile: string): string[] {
  const kinds = new Map<string, number>();
  for (const text of readFileSync(logFile, "utf8").split("\n")) {
    const kind = kindOf(text);
    if (kind) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  return [...kinds]
    .sort(([, a], [, b]) => b - a)
    .slice(0, KINDS_MAX)
    .map(([kind, count]) => `${count} × ${kind}`);
}

function kindOf(text: string): string | undefined {
  let kind = text.trim();
  if (kind.startsWith("{")) {
    const { level, message, error } = JSON.parse(kind) as Line;
    if (level === "info") return undefined;
    kind = [`${level}: ${message}`, error?.message, error?.cause?.message].filter(Boolean).join(": ");
  }
  // Ids and addresses do not make another kind.
  return kind.replace(/\d+/g, "N").slice(0, KIND_MAX_CHARACTERS);
}
