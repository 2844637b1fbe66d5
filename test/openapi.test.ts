/** The OpenAPI document and its page. What routes answer is held against it by the client of every test. */
import { describe, it } from "vitest";
import { createApp } from "../src/app.ts";
import { PROBLEMS } from "../src/common/errors.ts";
import { asyncApiDocument } from "../src/docs/asyncapi.ts";
import { anonymous, openApiDocument } from "./support/client.ts";
import {
  type OpenApiDocument,
  type Operation,
  type Schema,
  schemaViolations,
  violationsOf,
} from "./support/openapi-check.ts";

const operationsOf = (document: OpenApiDocument) =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]: [string, Operation]) => ({
      name: `${method.toUpperCase()} ${path}`,
      operation,
    })),
  );

/** All schemas in the document, at any depth, with where they are. */
function* schemasIn(value: unknown, at: string): Generator<{ at: string; schema: Schema }> {
  if (value === null || typeof value !== "object") return;
  if ("type" in value || "$ref" in value) yield { at, schema: value as Schema };
  for (const [key, child] of Object.entries(value)) yield* schemasIn(child, `${at}/${key}`);
}

describe("the document", () => {
  it("is OpenAPI 3.1 and may be cached", async ({ expect }) => {
    const { status, body, headers } = await anonymous().get<OpenApiDocument>("/api/openapi.json");
    expect(status).toBe(200);
    expect(body.openapi).toMatch(/^3\.1\.\d$/);
    expect(headers.get("cache-control")).toMatch(/max-age=\d+/);
  });

  it("describes every route of the application, and no other", async ({ expect }) => {
    const routes = createApp()
      .routes.filter(({ method }) => method !== "ALL")
      .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)(\{[^}]*\})?/g, "{$1}")}`);
    const documented = operationsOf(await openApiDocument()).map(({ name }) => name);
    expect([...new Set(routes)].sort()).toEqual(documented.sort());
  });

  it("gives every operation a summary, a tag that is described, and the problems that any may come to", async ({
    expect,
  }) => {
    const document = await openApiDocument();
    const described = (document as unknown as { tags: { name: string }[] }).tags.map(({ name }) => name);
    for (const { name, operation } of operationsOf(document)) {
      expect(operation.summary, name).toBeTruthy();
      expect(described, name).toContain(operation.tags?.[0]);
      for (const status of ["429", "500", "503"]) expect(operation.responses, name).toHaveProperty(status);
      // QStash's own deliveries are read as signed text, whatever they say they are.
      if (operation.requestBody && name !== "POST /api/jobs") {
        for (const status of ["400", "413", "415", "422"])
          expect(operation.responses, name).toHaveProperty(status);
      }
    }
  });

  it("answers problems as application/problem+json alone, and nothing without a schema", async ({
    expect,
  }) => {
    for (const { name, operation } of operationsOf(await openApiDocument())) {
      for (const [status, response] of Object.entries(operation.responses)) {
        if (Number(status) >= 400) {
          expect(response.content, `${name} ${status}`).toEqual({
            "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } },
          });
        } else if (Number(status) === 200 || Number(status) === 201) {
          expect(Object.keys(response.content ?? {}), `${name} ${status}`).toHaveLength(1);
        }
      }
    }
  });

  it("refuses unknown fields in every body that it takes", async ({ expect }) => {
    const document = await openApiDocument();
    for (const { name, operation } of operationsOf(document)) {
      const { $ref } = operation.requestBody?.content["application/json"]?.schema ?? {};
      if ($ref === undefined) continue;
      const schema = document.components.schemas[$ref.replace("#/components/schemas/", "")];
      expect(schema?.additionalProperties, name).toBe(false);
    }
  });

  it("refers to nothing that it does not have", async ({ expect }) => {
    const document = await openApiDocument();
    for (const { at, schema } of schemasIn(document, "")) {
      if (schema.$ref === undefined) continue;
      const name = schema.$ref.replace("#/components/schemas/", "");
      expect(document.components.schemas, at).toHaveProperty(name);
    }
  });

  it("gives examples that fit their schemas, patterns included", async ({ expect }) => {
    const document = await openApiDocument();
    const violations = [...schemasIn(document.components, "components")]
      .filter(({ schema }) => schema.example !== undefined)
      .flatMap(({ at, schema }) => schemaViolations(document, schema, schema.example, at));
    expect(violations).toEqual([]);
  });

  it("lists every code", async ({ expect }) => {
    const document = await openApiDocument();
    const codes = new Set(Object.values(PROBLEMS).map(({ code }) => code));
    expect(new Set(document.components.schemas["Problem"]?.properties?.["code"]?.enum)).toEqual(codes);
  });

  it("holds the refusals of every 4xx status that a problem may have", async ({ expect }) => {
    const document = await openApiDocument();
    const statuses = new Set(
      operationsOf(document).flatMap(({ operation }) => Object.keys(operation.responses).map(Number)),
    );
    for (const { status, code } of Object.values(PROBLEMS)) {
      // 405 belongs to no operation, 426 to the rooms.
      if (status === 405 || status === 426) continue;
      expect(statuses, code).toContain(status);
    }
  });
});

describe("the check of responses", () => {
  const board = {
    id: 1,
    name: "x",
    slug: "x",
    description: "",
    position: 0,
    postCount: 0,
    createdAt: "2026-11-22T06:00:00.000Z",
  };
  const exchange = { method: "GET", path: "/api/boards/1", status: 200, contentType: "application/json" };

  it.for([
    { fault: "nothing", change: {}, violations: 0 },
    { fault: "an unknown field", change: { secret: 1 }, violations: 1 },
    { fault: "a missing field", change: { slug: undefined }, violations: 1 },
    { fault: "another type", change: { id: "1" }, violations: 1 },
    { fault: "null", change: { name: null }, violations: 1 },
    { fault: "a time without milliseconds", change: { createdAt: "2026-11-22T06:00:00Z" }, violations: 1 },
  ])("finds $fault", async ({ change, violations }, { expect }) => {
    const body = JSON.parse(JSON.stringify({ ...board, ...change })) as unknown;
    expect(violationsOf(await openApiDocument(), { ...exchange, body })).toHaveLength(violations);
  });

  it("finds undeclared statuses, media types and routes", async ({ expect }) => {
    const document = await openApiDocument();
    const found = [
      violationsOf(document, { ...exchange, status: 201, body: board }),
      violationsOf(document, { ...exchange, contentType: "text/html", body: board }),
      violationsOf(document, { ...exchange, path: "/api/nothing", body: board }),
      violationsOf(document, { ...exchange, method: "DELETE", status: 204, body: board }),
    ];
    for (const violations of found) expect(violations).toHaveLength(1);
  });
});

describe("the pages", () => {
  it.for(["/api/docs", "/api/docs/rooms"])(
    "load nothing from elsewhere, under a policy of their own: %s",
    async (path, { expect }) => {
      const { status, body, headers } = await anonymous().get<string>(path);
      expect(status).toBe(200);
      expect(headers.get("content-type")).toMatch(/^text\/html/);
      const references = [...body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, target]) => target ?? "");
      expect(references.length).toBeGreaterThan(3);
      for (const target of references) expect(target).toMatch(/^(\/api\/|#)/);
      expect(body).not.toMatch(/<script>|<style|\s(?:on\w+|style)=/);
      expect(body).toContain(`<a href="${path}" aria-current="page">`);
      const policy = headers.get("content-security-policy") ?? "";
      expect(policy).toContain("default-src 'none'");
      expect(policy).toMatch(/script-src 'self'(;|$)/);
      expect(policy).not.toMatch(/https?:|unsafe-eval/);
    },
  );

  it("show every frame and closing code of the rooms, each with its fields and an example", async ({
    expect,
  }) => {
    const { body } = await anonymous().get<string>("/api/docs/rooms");
    const { channels, components } = asyncApiDocument();
    for (const { title, name, examples } of Object.values(components.messages)) {
      expect(body.split(`id="${title}"`), title).toHaveLength(2);
      expect(body).toContain(`href="#${title}"><code>${name}</code>`);
      for (const { payload } of examples) {
        expect(body).toContain(JSON.stringify(payload, null, 2).replaceAll('"', "&quot;"));
      }
    }
    for (const { address, "x-closing-codes": codes } of Object.values(channels)) {
      expect(body).toContain(address);
      for (const code of Object.keys(codes)) expect(body).toContain(`<code>${code}</code>`);
    }
    expect(body).toContain("<code>data.author.username</code>");
  });

  it("explain every code where problems link to", async ({ expect }) => {
    const { body } = await anonymous().get<string>("/api/docs");
    for (const { code, status } of Object.values(PROBLEMS)) {
      expect(body).toContain(`id="problem-${code}"`);
      expect(body).toContain(String(status));
    }
  });
});
