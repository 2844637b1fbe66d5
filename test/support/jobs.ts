/**
 * Jobs as QStash delivers them.
 * @module
 */
import { SignJWT } from "jose";
import { inject } from "vitest";
import { base64Url } from "../../src/common/crypto.ts";
import type { Job } from "../../src/queue/jobs.ts";
import { type Answer, type Client, type Problem, anonymous, ORIGIN } from "./client.ts";

const { settings } = inject("cloud");

/** The suite's signing keys. */
export const signingKeys = {
  current: settings["QSTASH_CURRENT_SIGNING_KEY"] ?? "",
  next: settings["QSTASH_NEXT_SIGNING_KEY"] ?? "",
};

/** What a signature says; a genuine one of a delivery to the suite's Worker, unless told otherwise. */
export type SignatureOptions = {
  key?: string;
  url?: string;
  issuer?: string;
  /** How long ago it was signed. */
  ageSeconds?: number;
};

const LIFETIME_SECONDS = 300;

/** The value of `Upstash-Signature`. */
export async function signature(body: string, options: SignatureOptions = {}): Promise<string> {
  const {
    key = signingKeys.current,
    url = `${ORIGIN}/api/jobs`,
    issuer = "Upstash",
    ageSeconds = 0,
  } = options;
  const signedAt = Math.floor(Date.now() / 1000) - ageSeconds;
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(body));
  return new SignJWT({ body: base64Url(new Uint8Array(hash)) })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setIssuer(issuer)
    .setSubject(url)
    .setIssuedAt(signedAt)
    .setNotBefore(signedAt)
    .setExpirationTime(signedAt + LIFETIME_SECONDS)
    .setJti(`jwt_${crypto.randomUUID()}`)
    .sign(new TextEncoder().encode(key));
}

/** Sends a body to the webhook. @param signed null: without a signature */
export async function send(
  body: string,
  signed: string | null,
  client: Client = anonymous(),
): Promise<Answer<Problem>> {
  return client.request("POST", "/api/jobs", {
    body,
    headers: {
      "content-type": "application/json",
      "upstash-message-id": `msg_${crypto.randomUUID()}`,
      ...(signed === null ? {} : { "upstash-signature": signed }),
    },
  });
}

/** Delivers a job once, and gives the status. */
export async function deliver(job: Job, client: Client = anonymous()): Promise<number> {
  const body = JSON.stringify(job);
  return (await send(body, await signature(body), client)).status;
}
