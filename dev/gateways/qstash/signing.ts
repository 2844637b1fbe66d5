/**
 * The `Upstash-Signature` of a delivery and the two keys behind it.
 * @module
 */
import { createHash, createHmac, randomBytes } from "node:crypto";
import type { Database } from "./database.ts";

export type KeyPair = { current: string; next: string };

const SIGNATURE_SECONDS = 300;

/**
 * A JWT over one delivery: HS256, valid for 300 s from `nowMs`. `url` becomes `sub` character for character,
 * which is what `Receiver.verify` compares with.
 */
export function signDelivery({
  key,
  url,
  body,
  nowMs,
}: {
  key: string;
  url: string;
  body: Buffer;
  nowMs: number;
}) {
  const now = Math.floor(nowMs / 1000);
  const claims = {
    iss: "Upstash",
    sub: url,
    exp: now + SIGNATURE_SECONDS,
    nbf: now,
    iat: now,
    jti: `jwt_${randomBytes(18).toString("base64url")}`,
    body: createHash("sha256").update(body).digest("base64url"),
  };
  const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(claims)}`;
  return `${signed}.${createHmac("sha256", key).update(signed).digest("base64url")}`;
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

/** The pair in use. It survives a restart as long as the gateway is started with the same `configured` pair. */
export function createSigningKeys(db: Database, configured: KeyPair) {
  const text = JSON.stringify(configured);
  if (db.setting("configured_keys") !== text) {
    db.transaction(() => {
      db.saveSetting("configured_keys", text);
      db.saveSetting("keys", text);
    });
  }

  const read = () => JSON.parse(db.setting("keys") ?? text) as KeyPair;

  return {
    read,
    /** The next key becomes current, a random one becomes next. */
    rotate(): KeyPair {
      const rotated = { current: read().next, next: `sig_${randomBytes(21).toString("base64url")}` };
      db.saveSetting("keys", JSON.stringify(rotated));
      return rotated;
    },
    /** Undoes every rotation. */
    reset(): KeyPair {
      db.saveSetting("keys", text);
      return configured;
    },
  };
}

export type SigningKeys = ReturnType<typeof createSigningKeys>;
