/**
 * Entity tags of versioned things: `"<version>-<state>"`, where the state stands for what changes without an edit.
 * @module
 */
import { AppError } from "../common/errors.ts";

/**
 * The `ETag` of a post. It covers all that readers share but the view count, which alone is no reason to send a post again.
 */
export function postEtag(post: {
  version: number;
  likeCount: number;
  commentCount: number;
  author: { username: string } | null;
  board: { name: string; slug: string };
}): string {
  const state = [
    post.likeCount,
    post.commentCount,
    post.author?.username ?? null,
    post.board.name,
    post.board.slug,
  ];
  return `"${post.version}-${fnv1a(JSON.stringify(state))}"`;
}

/**
 * The version that `If-Match` asks for: `"3"`, or an `ETag` of version 3. Null without the header or with `*`.
 * @throws AppError `validation_failed` when the header is neither
 */
export function versionFromIfMatch(header: string | undefined): number | null {
  if (header === undefined || header.trim() === "*") return null;
  const [, version] = /^\s*(?:W\/)?"(\d{1,9})(?:-[0-9a-z]+)?"\s*$/.exec(header) ?? [];
  if (version === undefined) {
    throw new AppError("validation_failed", 'If-Match: must be a version such as "3"', {
      errors: [{ path: "if-match", message: 'must be a version such as "3"' }],
    });
  }
  return Number(version);
}

/** Whether `If-None-Match` names the tag (weak comparison, RFC 9110 section 13.1.2). */
export function matchesIfNoneMatch(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.split(",").some((tag) => tag.trim() === "*" || tag.trim().replace(/^W\//, "") === etag);
}

/** FNV-1a, 32 bits (draft-eastlake-fnv): tells states apart, is no protection against anybody. */
function fnv1a(text: string): string {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193) >>> 0;
  }
  return hash.toString(36);
}
