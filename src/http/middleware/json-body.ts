/**
 * Reads the body once: bounded, as strict UTF-8, so that validators behind it see text that can be stored byte for byte.
 * @module
 */
import { createMiddleware } from "hono/factory";
import { AppError } from "../../common/errors.ts";
import type { AppEnv } from "../app-env.ts";

/** Largest body of any route. */
export const BODY_MAX_BYTES = 64 * 1024;
/** Deeper JSON than this is refused before a parser meets it. */
const JSON_DEPTH_MAX = 32;

/** Answers 413 to a body over `BODY_MAX_BYTES`, 400 to one that is not UTF-8 or nested too deeply, 415 to one that is not JSON. */
export function readJsonBody() {
  return createMiddleware<AppEnv>(async function readJsonBody(c, next) {
    const { body } = c.req.raw;
    if (body && c.req.method !== "GET" && c.req.method !== "HEAD") {
      if (Number(c.req.header("content-length") ?? 0) > BODY_MAX_BYTES) throw tooLarge();
      const text = decode(await readBounded(body));
      if (text !== "") {
        const mediaType = c.req.header("content-type")?.split(";")[0]?.trim().toLowerCase();
        if (!c.req.path.endsWith("/jobs") && mediaType !== "application/json") {
          throw new AppError("unsupported_media_type", "Send application/json");
        }
        refuseDeep(text);
      }
      // Hono's own cache of the body: `c.req.json()` and `c.req.text()` answer from it.
      c.req.bodyCache.text = Promise.resolve(text) as unknown as string;
    }
    await next();
  });
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
