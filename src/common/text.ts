/**
 * Text rules that more than one domain shares.
 * @module
 */
import { sha256Hex } from "./crypto.ts";

/** Longest excerpt of a post, in characters (code points). */
export const EXCERPT_MAX_CHARACTERS = 280;

/** Length as a person counts it for limits: code points, so that an emoji outside the BMP is one. */
export function characterCount(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/** Length of the UTF-8 form. */
export function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

/**
 * The key under which a username is unique: compatibility-normalised, case-folded, hashed. Hashed because a column
 * must not name a collation (PlanetScale and MariaDB know different ones), and default collations ignore accents.
 * @returns 64 hex digits
 */
export async function usernameKey(username: string): Promise<string> {
  return sha256Hex(username.normalize("NFKC").toLowerCase().toUpperCase().toLowerCase().normalize("NFKC"));
}

/** The form in which an address is stored and looked up. */
export function normaliseEmail(email: string): string {
  return email.toLowerCase();
}

/** The beginning of a content as one line: white space folded, cut at a word where one is near, with an ellipsis. */
export function excerptOf(content: string): string {
  const line = content.replace(/\s+/gu, " ").trim();
  const characters = Array.from(line.slice(0, EXCERPT_MAX_CHARACTERS * 2 + 2));
  if (characters.length <= EXCERPT_MAX_CHARACTERS) return line;
  const cut = characters.slice(0, EXCERPT_MAX_CHARACTERS - 1).join("");
  const lastSpace = cut.lastIndexOf(" ");
  return `${lastSpace > cut.length * 0.8 ? cut.slice(0, lastSpace) : cut}…`;
}
