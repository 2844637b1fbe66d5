/** Methods that a path does not have, and spellings of paths that are none; for every path of the document. */
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, it } from "vitest";
import { createApp } from "../src/app.ts";
import { anonymous, openApiDocument, ORIGIN } from "./support/client.ts";
import { registerUser } from "./support/factories.ts";

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "PROPFIND", "MKCOL", "REPORT"];

/** Every path with its parameters filled in, and its methods. */
async function documented(): Promise<{ path: string; pattern: RegExp; methods: string[] }[]> {
  const { paths } = await openApiDocument();
  return Object.entries(paths).map(([path, methods]) => ({
    pattern: new RegExp(`^${path.replaceAll(/\{\w+\}/g, "[^/]+")}$`),
    path: path.replace("{room}", "post:1").replaceAll(/\{\w+\}/g, "1"),
    methods: Object.keys(methods).map((method) => method.toUpperCase()),
  }));
}

describe("a method that a path does not have", () => {
  it("is answered with 405 and those that it has, whoever asks", async ({ expect }) => {
    const { client } = await registerUser();
    const paths = await documented();
    for (const { path } of paths) {
      // `/users/me` is also a `/users/{id}`.
      const methods = paths.filter(({ pattern }) => pattern.test(path)).flatMap((other) => other.methods);
      const all = methods.includes("GET") ? [...methods, "HEAD"] : methods;
      for (const method of METHODS.filter((name) => !all.includes(name))) {
        for (const asker of [anonymous(), client]) {
          const { status, body, headers } = await asker.request(method, path);
          expect([status, body.code], `${method} ${path}`).toEqual([405, "method_not_allowed"]);
          expect(headers.get("allow")?.split(", ")).toEqual(expect.arrayContaining(all));
        }
      }
    }
  });
});

const WITHIN_A_SEGMENT = new Set([
  "a matrix parameter",
  "NUL at the end",
  "white space at the end",
  "a suffix",
]);

describe("a spelling that is no path", () => {
  const spellings: Record<string, (path: string) => string> = {
    "a slash at the end": (path) => `${path}/`,
    "two slashes": (path) => path.replace("/api/", "/api//"),
    capitals: (path) => path.toUpperCase(),
    "a matrix parameter": (path) => `${path};v=1`,
    "an encoded slash": (path) => path.replace("/api/", "/api%2f"),
    "NUL at the end": (path) => `${path}%00`,
    "white space at the end": (path) => `${path}%20`,
    "a suffix": (path) => `${path}.json`,
    "an encoded backslash": (path) => path.replace("/api/", "/api%5c"),
    "one segment more": (path) => `${path}/x/y/z`,
  };
  it.for(Object.entries(spellings))("(%s) reaches nothing", async ([name, spell], { expect }) => {
    const within = WITHIN_A_SEGMENT.has(name);
    const { client } = await registerUser();
    for (const { path, methods } of await documented()) {
      for (const method of methods) {
        const { status } = await client.request(method, spell(path));
        // A segment that may be a parameter is one that is wrong, and has the methods of its path.
        const statuses = within ? [404, 405, 422, 426] : [404];
        expect(statuses, `${method} ${spell(path)}`).toContain(status);
      }
    }
    expect((await client.get("/api/users/me")).status).toBe(200);
  });
});

describe("an upgrade", () => {
  it("with HEAD is no way in", async ({ expect }) => {
    const { id, session } = await registerUser();
    // Past the runtime, which would make a GET of it.
    const context = createExecutionContext();
    const response = await createApp().fetch(
      new Request(`${ORIGIN}/api/rooms/user:${id}`, {
        method: "HEAD",
        headers: { upgrade: "websocket", authorization: `Bearer ${session.accessToken}` },
      }),
      env,
      context,
    );
    expect(response.webSocket).toBeNull();
    expect(response.status).toBe(426);
    await waitOnExecutionContext(context);
  });

  it.for(["/api/posts", "/api/users/me", "/api/nothing", "/api/rooms/post:1/events?wait=0"])(
    "of %s is answered as if it were none",
    async (path, { expect }) => {
      const { client } = await registerUser();
      const headers = { upgrade: "websocket", connection: "upgrade", "sec-websocket-version": "13" };
      expect((await client.get(path, headers)).status).toBe((await client.get(path)).status);
    },
  );
});
