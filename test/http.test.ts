/** Conventions that hold on every route: errors, bodies, methods, headers. What the client checks of itself is in support/client.ts. */
import { describe, it } from "vitest";
import { anonymous, type Client, ORIGIN, type Problem } from "./support/client.ts";
import { board, newAccount, registerUser } from "./support/factories.ts";

const paths = (problem: Problem) => problem.errors?.map((error) => error.path);
const JSON_TYPE = { "content-type": "application/json" };
const BODY_MAX_BYTES = 64 * 1024;

const bytes = (text: string) => new TextEncoder().encode(text);

/** The chunks as a body of unknown length. */
const streamOf = (...chunks: Uint8Array[]) =>
  new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });

const login = (client: Client, body: BodyInit, headers: Record<string, string> = JSON_TYPE) =>
  client.request("POST", "/api/auth/login", { body, headers });

describe("a problem", () => {
  it("is a document of RFC 9457 whose type leads to its explanation", async ({ expect }) => {
    const { status, body, headers } = await anonymous().get("/api/posts/9007199254740991");
    expect(status).toBe(404);
    expect(body).toEqual({
      type: "/api/docs#problem-not_found",
      title: "Not found",
      status: 404,
      detail: "There is no such post",
      code: "not_found",
      requestId: headers.get("x-request-id"),
    });
    expect((await anonymous().get<string>("/api/docs")).body).toContain('id="problem-not_found"');
  });

  it.for([
    "/",
    "/api",
    "/api/",
    "/api/nothing",
    "/api/posts/1/nothing",
    "/favicon.ico",
    "/api/auth",
    "/.env",
  ])("says 404 at the unknown path %s", async (path, { expect }) => {
    for (const method of ["GET", "POST", "DELETE"]) {
      const { status, body } = await anonymous().request(method, path);
      expect([status, body.code]).toEqual([404, "not_found"]);
    }
  });

  it.for([
    { method: "PUT", path: "/api/posts", allow: "GET, HEAD, POST" },
    { method: "DELETE", path: "/api/posts", allow: "GET, HEAD, POST" },
    { method: "GET", path: "/api/auth/login", allow: "POST" },
    { method: "POST", path: "/api/users/me", allow: "DELETE, GET, HEAD, PATCH" },
    { method: "PUT", path: "/api/boards/1", allow: "DELETE, GET, HEAD, PATCH" },
    { method: "DELETE", path: "/api/health", allow: "GET, HEAD" },
    { method: "PATCH", path: "/api/openapi.json", allow: "GET, HEAD" },
  ])("says 405 to $method $path, with what is allowed", async ({ method, path, allow }, { expect }) => {
    const { status, body, headers } = await anonymous().request(method, path);
    expect([status, body.code]).toEqual([405, "method_not_allowed"]);
    expect(headers.get("allow")?.split(", ").sort()).toEqual(allow.split(", "));
  });

  it("comes to HEAD without its body, as the resource does", async ({ expect }) => {
    const { id } = await board();
    const client = anonymous();
    const found = await client.request<string>("HEAD", `/api/boards/${id}`);
    expect([found.status, found.body]).toEqual([200, ""]);
    const missing = await client.request<string>("HEAD", "/api/boards/9007199254740991");
    expect([missing.status, missing.body]).toEqual([404, ""]);
  });
});

describe("a body", () => {
  it.for([
    { name: "cut off", body: '{"email":' },
    { name: "not JSON", body: "email=a&password=b" },
    { name: "with a comma too many", body: '{"email":"a",}' },
    { name: "of two documents", body: "{}{}" },
    { name: "with a byte order mark", body: "\uFEFF{}" },
    { name: "of white space", body: "  " },
  ])("that is JSON $name is refused with 400", async ({ body }, { expect }) => {
    const answer = await login(anonymous(), body);
    expect([answer.status, answer.body.code]).toEqual([400, "validation_failed"]);
    expect(paths(answer.body)).toEqual([""]);
  });

  it("nested deeply is refused before a parser meets it", async ({ expect }) => {
    for (const depth of [33, 20_000]) {
      const answer = await login(anonymous(), "[".repeat(depth) + "]".repeat(depth));
      expect(answer.status).toBe(400);
    }
    const brackets = JSON.stringify({ email: "[".repeat(200), password: '\\"{{{{'.repeat(20) });
    expect((await login(anonymous(), brackets)).status).toBe(401);
  });

  it.for([
    { name: "a byte that is none", body: new Uint8Array([...bytes('{"email":"'), 0xff, ...bytes('"}')]) },
    { name: "a character cut off", body: new Uint8Array([...bytes('{"email":"'), 0xed, 0x95]) },
    { name: "an overlong form", body: new Uint8Array([...bytes('{"email":"'), 0xc0, 0xaf, ...bytes('"}')]) },
    { name: "a surrogate", body: new Uint8Array([...bytes('{"email":"'), 0xed, 0xa0, 0x80, ...bytes('"}')]) },
    { name: "UTF-16", body: new Uint8Array([0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]) },
  ])("that is not UTF-8 ($name) is refused with 400", async ({ body }, { expect }) => {
    const answer = await login(anonymous(), body);
    expect([answer.status, answer.body.code]).toEqual([400, "validation_failed"]);
  });

  it.for(["null", "[]", '"text"', "7", "true"])(
    "that is %s and no object is refused with 422",
    async (body, { expect }) => {
      const answer = await login(anonymous(), body);
      expect([answer.status, answer.body.code]).toEqual([422, "validation_failed"]);
    },
  );

  it("that is missing is refused like an empty one", async ({ expect }) => {
    const { client } = await registerUser();
    const answer = await client.post("/api/posts");
    expect(answer.status).toBe(422);
    expect(new Set(paths(answer.body))).toEqual(new Set(["boardId", "title", "content"]));
  });

  it.for([
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/jsonp",
    "application/json5",
    "",
  ])("of the media type %j is refused with 415", async (type, { expect }) => {
    const answer = await login(anonymous(), "{}", { "content-type": type });
    expect([answer.status, answer.body.code]).toEqual([415, "unsupported_media_type"]);
  });

  it.for(["application/json; charset=utf-8", "Application/JSON;charset=UTF-8"])(
    "of the media type %j is taken",
    async (type, { expect }) => {
      const answer = await login(anonymous(), '{"email":"a@example.com","password":"x"}', {
        "content-type": type,
      });
      expect([answer.status, answer.body.code]).toEqual([401, "invalid_credentials"]);
    },
  );

  /** A login whose body has exactly so many bytes. */
  const bodyOf = (length: number) => {
    const body = JSON.stringify({ email: "a@example.com", password: "x", pad: "" });
    return body.replace('"pad":""', `"pad":"${"x".repeat(length - body.length)}"`);
  };

  it("of 64 KiB is read", async ({ expect }) => {
    const answer = await login(anonymous(), bodyOf(BODY_MAX_BYTES));
    expect([answer.status, paths(answer.body)]).toEqual([422, ["pad"]]);
    const streamed = await login(anonymous(), streamOf(bytes(bodyOf(BODY_MAX_BYTES))));
    expect([streamed.status, paths(streamed.body)]).toEqual([422, ["pad"]]);
  });

  it("of one byte more is refused with 413, whether its length is told or not", async ({ expect }) => {
    const told = await login(anonymous(), bodyOf(BODY_MAX_BYTES + 1));
    expect([told.status, told.body.code]).toEqual([413, "payload_too_large"]);
    const chunk = bytes(bodyOf(BODY_MAX_BYTES + 1));
    const streamed = await login(anonymous(), streamOf(chunk.slice(0, 60_000), chunk.slice(60_000)));
    expect([streamed.status, streamed.body.code]).toEqual([413, "payload_too_large"]);
  });

  it("counts in bytes, not in characters", async ({ expect }) => {
    const author = await registerUser();
    const { id: boardId } = await board();
    const input = { boardId, title: "t", content: "🙂".repeat(20_000) };
    const { status, body } = await author.client.post("/api/posts", input);
    expect([status, body.code]).toEqual([413, "payload_too_large"]);
  });

  it("that is too large or broken is refused on routes that take none, too", async ({ expect }) => {
    const { client } = await registerUser();
    const large = await client.request("POST", "/api/auth/logout-all", {
      body: "x".repeat(BODY_MAX_BYTES + 1),
      headers: JSON_TYPE,
    });
    expect(large.status).toBe(413);
    const broken = await client.request("POST", "/api/auth/logout-all", {
      body: new Uint8Array([0xff]),
      headers: JSON_TYPE,
    });
    expect(broken.status).toBe(400);
    const text = await client.request("POST", "/api/auth/logout-all", { body: "x" });
    expect(text.status).toBe(415);
    expect((await client.get("/api/users/me")).status).toBe(200);
  });
});

describe("x-request-id", () => {
  it.for(["12345678", "req_01HZX.a-b:c", "x".repeat(100), crypto.randomUUID()])(
    "is the caller's where it is sane: %s",
    async (id, { expect }) => {
      const client = anonymous();
      const found = await client.get("/api/boards", { "x-request-id": id });
      expect(found.headers.get("x-request-id")).toBe(id);
      const missing = await client.get("/api/nothing", { "x-request-id": id });
      expect([missing.headers.get("x-request-id"), missing.body.requestId]).toEqual([id, id]);
    },
  );

  it.for([
    "",
    "short",
    "x".repeat(101),
    "with space",
    "a/b/c/d/e",
    '{"level":"error"}',
    "<script>",
    "한글한글한글",
  ])("is made anew where it is not: %j", async (id, { expect }) => {
    const { headers } = await anonymous().get("/api/boards", { "x-request-id": encodeURI(id) });
    expect(headers.get("x-request-id")).toMatch(/^[0-9a-f]{8}-[0-9a-f-]{27}$/);
  });

  it("differs from request to request", async ({ expect }) => {
    const client = anonymous();
    const answers = await Promise.all(Array.from({ length: 5 }, () => client.get("/api/boards")));
    expect(new Set(answers.map(({ headers }) => headers.get("x-request-id"))).size).toBe(5);
  });
});

describe("Server-Timing", () => {
  const entries = (headers: Headers) =>
    Object.fromEntries(
      (headers.get("server-timing") ?? "").split(", ").map((entry) => {
        const [, name = entry, calls] = /^(\w+);dur=\d+\.\d;desc="(\d+)"$/.exec(entry) ?? [];
        return [name, Number(calls)];
      }),
    );

  it("has one entry for each upstream that was used, with its calls", async ({ expect }) => {
    const { client } = await registerUser();
    expect(entries((await client.get("/api/users/me")).headers)).toEqual({ db: 1, redis: 1 });
    expect(entries((await anonymous().get("/api/health")).headers)).toEqual({ db: 1, redis: 1, qstash: 1 });
    const account = newAccount();
    const registered = await anonymous().post("/api/auth/register", account);
    expect(entries(registered.headers)).toEqual({ db: 2 });
  });

  it("is on refusals too", async ({ expect }) => {
    expect(entries((await anonymous().get("/api/boards/9007199254740991")).headers)).toEqual({ db: 1 });
  });
});

describe("caches", () => {
  it.for([
    "/api/users/me",
    "/api/auth/sessions",
    "/api/notifications",
    "/api/posts",
    "/api/boards",
    "/api/stats/daily",
  ])("keep nothing of %s, which may be one reader's alone", async (path, { expect }) => {
    const { client } = await registerUser();
    expect((await client.get(path)).headers.get("cache-control")).toBe("no-store");
  });
});

describe("CORS", () => {
  const settings = { CORS_ORIGINS: "https://app.example.com, https://admin.example.com/" };
  const client = anonymous({ settings });
  const preflight = (origin: string, path = "/api/posts") =>
    client.request<string>("OPTIONS", path, {
      headers: {
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,idempotency-key,if-match",
      },
    });
  const list = (headers: Headers, name: string) =>
    (headers.get(name) ?? "").split(",").map((item) => item.trim().toLowerCase());

  it.for(["https://app.example.com", "https://admin.example.com"])(
    "lets %s in, with credentials",
    async (origin, { expect }) => {
      const { status, headers } = await preflight(origin);
      expect(status).toBe(204);
      expect(headers.get("access-control-allow-origin")).toBe(origin);
      expect(headers.get("access-control-allow-credentials")).toBe("true");
      expect(list(headers, "vary")).toContain("origin");
      for (const method of ["get", "post", "put", "patch", "delete"]) {
        expect(list(headers, "access-control-allow-methods")).toContain(method);
      }
      for (const name of ["authorization", "content-type", "idempotency-key", "if-match", "if-none-match"]) {
        expect(list(headers, "access-control-allow-headers")).toContain(name);
      }
      expect(Number(headers.get("access-control-max-age"))).toBeGreaterThan(0);
    },
  );

  it.for([
    "https://evil.example",
    "http://app.example.com",
    "https://app.example.com.evil.example",
    "https://xapp.example.com",
    "https://app.example.com:8443",
    "null",
  ])("lets %s not in", async (origin, { expect }) => {
    const { headers } = await preflight(origin);
    expect(headers.get("access-control-allow-origin")).toBeNull();
    const answer = await client.get("/api/boards", { origin });
    expect(answer.headers.get("access-control-allow-origin")).toBeNull();
    expect(list(answer.headers, "vary")).toContain("origin");
  });

  it("shows an allowed origin answers and problems alike, with the headers that scripts need", async ({
    expect,
  }) => {
    const origin = "https://app.example.com";
    const answers = [
      await client.get("/api/boards", { origin }),
      await client.get("/api/nothing", { origin }),
      await client.get("/api/users/me", { origin, authorization: "Bearer x" }),
      await client.request("POST", "/api/auth/login", { body: "{", headers: { origin, ...JSON_TYPE } }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 404, 401, 400]);
    for (const { headers } of answers) {
      expect(headers.get("access-control-allow-origin")).toBe(origin);
      expect(headers.get("access-control-allow-credentials")).toBe("true");
      expect(list(headers, "vary")).toContain("origin");
      for (const name of ["x-request-id", "etag", "location", "retry-after", "ratelimit", "server-timing"]) {
        expect(list(headers, "access-control-expose-headers")).toContain(name);
      }
    }
  });

  it("lets nobody in while the setting is empty", async ({ expect }) => {
    const empty = anonymous({ settings: { CORS_ORIGINS: "" } });
    const { headers } = await empty.request<string>("OPTIONS", "/api/posts", {
      headers: { origin: ORIGIN, "access-control-request-method": "POST" },
    });
    expect(headers.get("access-control-allow-origin")).toBeNull();
  });
});
