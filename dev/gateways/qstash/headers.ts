/**
 * Header names and values as QStash keeps and shows them.
 * @module
 */
import { validateHeaderName, validateHeaderValue, type IncomingHttpHeaders } from "node:http";
import { QstashProblem } from "./problem.ts";

/** Headers by canonical name (`Content-Type`), each with all its values. */
export type HeaderMap = Record<string, string[]>;

/** Headers of a call by lower-case name, repeated ones joined by `, `. */
export type CallHeaders = Record<string, string>;

/** `x-request-id` becomes `X-Request-Id`. */
export function canonicalName(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/(^|-)([a-z])/g, (_, dash: string, letter: string) => dash + letter.toUpperCase());
}

export function callHeaders(headers: IncomingHttpHeaders): CallHeaders {
  const result: CallHeaders = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) result[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return result;
}

/** Node's flat list of names and values as a map. */
export function headerMap(rawHeaders: readonly string[]): HeaderMap {
  const result: HeaderMap = {};
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = canonicalName(rawHeaders[index] ?? "");
    (result[name] ??= []).push(rawHeaders[index + 1] ?? "");
  }
  return result;
}

/**
 * What is handed on to the destination: `Upstash-Forward-X` as `X`, and the content type.
 * @throws QstashProblem 400 when a name or value cannot be sent over HTTP.
 */
export function forwardedHeaders(headers: CallHeaders): HeaderMap {
  const result: HeaderMap = {};
  const prefix = "upstash-forward-";
  for (const [name, value] of Object.entries(headers)) {
    const target = name === "content-type" ? name : name.startsWith(prefix) ? name.slice(prefix.length) : "";
    if (target === "") continue;
    const sendable = asHeaderValue(value);
    try {
      validateHeaderName(target);
      validateHeaderValue(target, sendable);
    } catch (error) {
      throw new QstashProblem(400, `invalid header ${name}: ${error instanceof Error ? error.message : ""}`);
    }
    result[canonicalName(target)] = [sendable];
  }
  return result;
}

/** Header values travel as bytes: text beyond Latin-1 (it can only come from a batch's JSON) is sent as UTF-8. */
function asHeaderValue(value: string): string {
  return /[\u{100}-\u{10ffff}]/u.test(value) ? Buffer.from(value, "utf8").toString("latin1") : value;
}
