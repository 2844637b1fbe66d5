/**
 * Idempotency keys (draft-ietf-httpapi-idempotency-key-header). The key lives in the row that it made, under a unique
 * index with the author, so that the statement that creates the row is also the one that claims the key.
 * @module
 */
import { sha256Hex } from "./crypto.ts";

export type IdempotencyClaim = { keyHash: string; bodyHash: string };

/**
 * @param scope what is created, so that a key used for one thing does not meet another
 * @param body after validation, so that two spellings of the same JSON are the same request
 */
export async function idempotencyClaim(
  key: string | undefined,
  scope: string,
  body: unknown,
): Promise<IdempotencyClaim | null> {
  if (key === undefined) return null;
  const [keyHash, bodyHash] = await Promise.all([
    sha256Hex(`${scope}\n${key}`),
    sha256Hex(`${scope}\n${JSON.stringify(body)}`),
  ]);
  return { keyHash, bodyHash };
}
