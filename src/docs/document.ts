/**
 * The frame of the OpenAPI document.
 * @module
 */

const DESCRIPTION = `Boards, posts, comments, likes, notifications and statistics, with rooms in which everything appears at once.

**Conventions.** JSON in UTF-8. Ids are integers, times ISO 8601 in UTC with milliseconds. A list is
\`{ items, nextCursor }\`; pass \`nextCursor\` as \`cursor\` for the next page. Unknown fields in a body are refused.

**Accounts.** \`POST /api/auth/login\` answers an access token (15 minutes; send it as \`Authorization: Bearer …\`) and a
refresh token (30 days, replaced at each use; browsers also get it as a cookie on \`/api/auth\`).

**Safe repeats.** Send \`Idempotency-Key\` when creating: the same key and body gives the same answer. Send
\`If-Match: "<version>"\` when changing or deleting: a change by somebody else is answered 412 instead of being overwritten.

**Limits.** Responses carry \`RateLimit-Policy\` and \`RateLimit\`; 429 carries \`Retry-After\`.

**Every response** carries \`x-request-id\` and \`Server-Timing\` (milliseconds and number of calls for each upstream).`;

/**
 * The version of both published documents. A change that breaks clients needs the next major one: `npm run check` holds
 * that (dev/README.md).
 */
export const API_VERSION = "1.0.0";

/** What the generated document starts from. */
export const documentInfo = {
  openapi: "3.1.0",
  info: {
    title: "LiveForum API",
    version: API_VERSION,
    description: DESCRIPTION,
    license: { name: "MIT", identifier: "MIT" },
  },
  servers: [{ url: "/" }],
  tags: [
    { name: "Accounts", description: "Sign-up, sign-in and sessions" },
    { name: "Users", description: "Profiles and what users wrote" },
    { name: "Boards" },
    { name: "Posts" },
    { name: "Comments" },
    { name: "Likes" },
    { name: "Notifications" },
    { name: "Jobs" },
    { name: "Rooms", description: "Everything at once, over WebSocket or by long poll" },
    { name: "Statistics" },
    { name: "Operation" },
    { name: "Documentation" },
  ],
};
