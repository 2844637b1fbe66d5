/**
 * Access tokens (JWT, HS256) and refresh tokens (opaque, made from the session, its nonce and its generation).
 * @module
 */
import { errors, jwtVerify, SignJWT } from "jose";
import { z } from "zod";
import { hmacBase64Url, timingSafeEqual } from "../common/crypto.ts";
import { AppError } from "../common/errors.ts";
import type { Actor } from "./actor.ts";

export const ACCESS_TOKEN_SECONDS = 15 * 60;
const AUDIENCE = "liveforum";

type Key = { kid: string; secret: string };

const claimsSchema = z.object({
  sub: z.string().regex(/^[1-9]\d{0,15}$/),
  sid: z.int().positive(),
  nonce: z.string().regex(/^[0-9a-f]{32}$/),
  epoch: z.int().positive(),
  name: z.string(),
  role: z.enum(["user", "admin"]),
  exp: z.number(),
});

export type AccessTokens = {
  issue: (actor: Actor, now: Date) => Promise<string>;
  /**
   * @returns who the token speaks for and when it ends (seconds since the epoch)
   * @throws AppError `token_expired` or `unauthenticated`
   */
  verify: (token: string, now: Date) => Promise<{ actor: Actor; expiresAt: number }>;
};

/** @param keys the first signs, all verify @param issuer the Worker's public URL */
export function createAccessTokens(keys: readonly Key[], issuer: string): AccessTokens {
  const encode = (key: Key) => new TextEncoder().encode(key.secret);
  return {
    async issue(actor, now) {
      const [key] = keys;
      if (!key) throw new Error("no signing key");
      const issuedAt = Math.floor(now.getTime() / 1000);
      const { sessionId: sid, nonce, epoch, username: name, role } = actor;
      return new SignJWT({ sid, nonce, epoch, name, role })
        .setProtectedHeader({ alg: "HS256", typ: "JWT", kid: key.kid })
        .setSubject(String(actor.id))
        .setIssuer(issuer)
        .setAudience(AUDIENCE)
        .setIssuedAt(issuedAt)
        .setExpirationTime(issuedAt + ACCESS_TOKEN_SECONDS)
        .sign(encode(key));
    },
    async verify(token, now) {
      try {
        const { payload } = await jwtVerify(
          token,
          (header) => {
            const key = keys.find((candidate) => candidate.kid === header.kid);
            if (!key) throw new errors.JWKSNoMatchingKey();
            return encode(key);
          },
          {
            algorithms: ["HS256"],
            issuer,
            audience: AUDIENCE,
            currentDate: now,
            requiredClaims: ["exp", "iat"],
          },
        );
        const claims = claimsSchema.parse(payload);
        const actor: Actor = {
          id: Number(claims.sub),
          username: claims.name,
          role: claims.role,
          sessionId: claims.sid,
          nonce: claims.nonce,
          epoch: claims.epoch,
        };
        return { actor, expiresAt: claims.exp };
      } catch (cause) {
        if (cause instanceof errors.JWTExpired) {
          throw new AppError("token_expired", "Refresh the session and send the new access token", { cause });
        }
        throw new AppError("unauthenticated", "The access token is not valid", { cause });
      }
    },
  };
}

/** What a genuine refresh token says. Whether it is still good, and whether the session of this id is the one with this nonce, only the row can tell. */
export type RefreshClaim = { sessionId: number; nonce: string; generation: number };

export type RefreshTokens = {
  /**
   * All tokens of a session can be made at any time, so that tabs that refresh side by side all get the same next one.
   * The first is signed by the current key, the others by the keys that are being rotated out.
   */
  candidates: (claim: RefreshClaim) => Promise<string[]>;
  /** The claim of a token that this server once issued, else undefined: nobody can end a session by guessing. */
  verify: (token: string) => Promise<RefreshClaim | undefined>;
};

const REFRESH_TOKEN_PATTERN = /^lfr_([1-9]\d{0,15})_([0-9a-f]{32})_([1-9]\d{0,9})_([A-Za-z0-9_-]{43})$/;

export function createRefreshTokens(keys: readonly Key[]): RefreshTokens {
  const candidates: RefreshTokens["candidates"] = ({ sessionId, nonce, generation }) =>
    Promise.all(
      keys.map(async (key) => {
        const mac = await hmacBase64Url(key.secret, `refresh:${sessionId}:${nonce}:${generation}`);
        return `lfr_${sessionId}_${nonce}_${generation}_${mac}`;
      }),
    );
  return {
    candidates,
    async verify(token) {
      const [, sessionId, nonce, generation] = REFRESH_TOKEN_PATTERN.exec(token) ?? [];
      if (sessionId === undefined || nonce === undefined || generation === undefined) return undefined;
      const claim = { sessionId: Number(sessionId), nonce, generation: Number(generation) };
      const genuine = await candidates(claim);
      return genuine.some((candidate) => timingSafeEqual(candidate, token)) ? claim : undefined;
    },
  };
}
