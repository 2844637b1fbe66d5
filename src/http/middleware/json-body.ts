/**
 * Reads the body once: bounded, as strict UTF-8, so that validators behind it see text that can be stored byte for byte.
 * @module
 */
import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import { AppError } from "../../common/errors.ts";
import type { AppEnv } from "../app-env.ts";

/** Largest body of any route. */
export const BODY_MAX_BYTES = 64 * 1024;
/** Deeper JSON than this is refused before a parser meets it. */
const JSON_DEPTH_MAX = 32;
/** Any parameter but another charset. No looser than the validators behind: they take another spelling for no body at all. */
const JSON_TYPE = /^application\/json(?:;\s*(?:charset="?utf-8"?|(?!charset=)[a-z0-9-]+=[^;]+))*$/i;

/**
 * Answers 413 to a body over `BODY_MAX_BYTES`, 400 to one that is not UTF-8 or nested too deeply, 415 to one that is not
 * JSON or that says it is encoded.
 */
export function readJsonBody() {
  return createMiddleware<AppEnv>(async function readJsonBody(c, next) {
    const { body } = c.req.raw;
    if (body && c.req.method !== "GET" && c.req.method !== "HEAD") {
      if (Number(c.req.header("content-length") ?? 0) > BODY_MAX_BYTES) throw tooLarge();
      const text = decode(await readBounded(body));
      if (text !== "") {
        if (!c.req.path.endsWith("/jobs")) requireJson(c);
        refuseDeep(text);
      }
      // Hono's own cache of the body: `c.req.json()` and `c.req.text()` answer from it.
      c.req.bodyCache.text = Promise.resolve(text) as unknown as string;
    }
    await next();
  });
}

function requireJson(c: Context<AppEnv>): void {
  if (!JSON_TYPE.test(c.req.header("content-type") ?? "")) {
    throw new AppError("unsupported_media_type", "Send application/json");
  }
  const encoding = c.req.header("content-encoding") ?? "";
  if (encoding !== "" && encoding.toLowerCase() !== "identity") {
    throw new AppError("unsupported_media_type", "Send the body without a content encoding", {
      headers: { "accept-encoding": "identity" },
    });
  }
}

async function readBounded(body: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > BODY_MAX_BYTES) throw tooLarge();
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw malformed("not valid UTF-8");
  }
}

function refuseDeep(text: string): void {
  let depth = 0;
  let inString = false;
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index];
    if (inString) {
      if (character === "\\") index += 1;
      else if (character === '"') inString = false;
    } else if (character === '"') inString = true;
    else if (character === "{" || character === "[") {
      depth += 1;
      if (depth > JSON_DEPTH_MAX) throw malformed(`nested deeper than ${JSON_DEPTH_MAX}`);
    } else if (character === "}" || character === "]") depth -= 1;
  }
}

function tooLarge(): AppError {
  return new AppError("payload_too_large", `A body may have ${BODY_MAX_BYTES} bytes at most`);
}

function malformed(message: string): AppError {
  return new AppError("malformed_body", `The body is ${message}`, { errors: [{ path: "", message }] });
}
