/**
 * Access tokens that the Worker did not make.
 * @module
 */
import { SignJWT } from "jose";
import { inject } from "vitest";
import { createAccessTokens } from "../../src/auth/tokens.ts";
import { ORIGIN, type Session } from "./client.ts";

const [kid = "", secret = ""] = (inject("cloud").settings["JWT_KEYS"] ?? "").split(/[,:]/);

/** The key that the suite's Worker signs with. */
export const currentKey = { kid, secret };

/** What a token of the session says, without its signature. */
export function claimsOf(session: Pick<Session, "accessToken">): Record<string, unknown> {
  const [, payload = ""] = session.accessToken.split(".");
  const bytes = Uint8Array.fromBase64(payload, { alphabet: "base64url" });
  return JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
}

/** A token with the session's claims, changed where the parameters say so; a claim that is undefined is left out. */
export async function forge(
  session: Pick<Session, "accessToken">,
  claims: Record<string, unknown> = {},
  key: { kid?: string; secret: string } = currentKey,
): Promise<string> {
  return new SignJWT({ ...claimsOf(session), ...claims })
    .setProtectedHeader({ alg: "HS256", typ: "JWT", ...(key.kid === undefined ? {} : { kid: key.kid }) })
    .sign(new TextEncoder().encode(key.secret));
}

/** A genuine token of the session's user that ended a second ago. */
export async function expiredToken(session: Session): Promise<string> {
  const claims = claimsOf(session);
  const tokens = createAccessTokens([currentKey], ORIGIN);
  const actor = {
    id: session.user.id,
    username: session.user.username,
    role: session.user.role,
    sessionId: Number(claims["sid"]),
    nonce: String(claims["nonce"]),
    epoch: Number(claims["epoch"]),
  };
  return tokens.issue(actor, new Date(Date.now() - (15 * 60 + 1) * 1000));
}
