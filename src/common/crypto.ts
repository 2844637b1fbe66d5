/**
 * Small wrappers of WebCrypto.
 * @module
 */

const encoder = new TextEncoder();

/** 128 random bits, as 32 lower-case hex digits. */
export function randomNonce(): string {
  return crypto.getRandomValues(new Uint8Array(16)).toHex();
}

/** SHA-256 of the UTF-8 bytes of `text`, as 64 lower-case hex digits. */
export async function sha256Hex(text: string): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(text))).toHex();
}

/** HMAC-SHA-256 of `text` under the UTF-8 bytes of `secret`, base64url without padding (43 characters). */
export async function hmacBase64Url(secret: string, text: string): Promise<string> {
  const key = await crypto.subtle.importKey(
    "raw",
    encoder.encode(secret),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  return base64Url(new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(text))));
}

/**
 * What stands for somebody in a key where they must not be named: the same for the same traits throughout a day (UTC).
 * Without the secret nobody can be found in it, nor followed from one day to the next. 22 characters of base64url.
 */
export async function dailyPseudonym(secret: string, now: Date, traits: readonly string[]): Promise<string> {
  const day = now.toISOString().slice(0, 10);
  const mac = await hmacBase64Url(secret, `pseudonym:${JSON.stringify([day, ...traits])}`);
  return mac.slice(0, 22);
}

/** base64url without padding (RFC 4648 section 5). */
export function base64Url(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

/** Compares two strings in time that depends on their lengths only. */
export function timingSafeEqual(a: string, b: string): boolean {
  const left = encoder.encode(a);
  const right = encoder.encode(b);
  if (left.length !== right.length) return false;
  let difference = 0;
  for (let index = 0; index < left.length; index += 1) difference |= (left[index] ?? 0) ^ (right[index] ?? 0);
  return difference === 0;
}
