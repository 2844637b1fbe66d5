/** Settings: what happens when they are missing or wrong. */
import { describe, it, vi } from "vitest";
import { anonymous, ORIGIN } from "./support/client.ts";
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { createApp } from "../src/app.ts";

/** Answers one request under settings, with what was logged as an error. */
async function under(settings: Record<string, string | undefined>) {
  const error = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const context = createExecutionContext();
  const response = await createApp().fetch(
    new Request(`${ORIGIN}/api/boards`),
    { ...env, ...settings },
    context,
  );
  await waitOnExecutionContext(context);
  const log = error.mock.calls.map(([line]) => String(line)).join("\n");
  error.mockRestore();
  return { response, text: await response.text(), log };
}

describe("a setting", () => {
  it.for([
    ["PUBLIC_URL", undefined],
    ["PUBLIC_URL", "liveforum.example.com"],
    ["DATABASE_URL", undefined],
    ["DATABASE_URL", ""],
    ["DATABASE_URL", "https://db.example.com/forum"],
    ["UPSTASH_REDIS_REST_URL", undefined],
    ["UPSTASH_REDIS_REST_URL", "redis://localhost"],
    ["UPSTASH_REDIS_REST_TOKEN", ""],
    ["REDIS_TIMEOUT_MS", "soon"],
    ["EFFECTS_PATIENCE_MS", "30000"],
    ["SWEEP_SECONDS", "0"],
    ["QSTASH_URL", undefined],
    ["QSTASH_TOKEN", ""],
    ["QSTASH_CURRENT_SIGNING_KEY", undefined],
    ["QSTASH_NEXT_SIGNING_KEY", undefined],
    ["JWT_KEYS", undefined],
    ["JWT_KEYS", ""],
    ["JWT_KEYS", "k1:too-short-a-secret"],
    ["JWT_KEYS", `no-kid-${"x".repeat(40)}`],
    ["JWT_KEYS", `k1:${"x".repeat(32)},k1:${"y".repeat(32)}`],
    ["RATE_LIMIT_SCALE", "lots"],
    ["RATE_LIMIT_SCALE", "-1"],
    ["BCRYPT_COST", "3"],
    ["BCRYPT_COST", "31"],
  ] as const)(
    "%s that is %j answers 503, and the log names it without its value",
    async ([name, value], { expect }) => {
      const { response, text, log } = await under({ [name]: value });
      expect(response.status).toBe(503);
      expect(JSON.parse(text)).toMatchObject({ status: 503, code: "unavailable" });
      expect(response.headers.get("content-type")).toBe("application/problem+json");
      expect(response.headers.get("retry-after")).toMatch(/^\d+$/);
      expect(text).not.toContain(name);
      expect(log).toContain(name);
      if (value !== undefined && value.length > 5) expect(text + log).not.toContain(value);
    },
  );

  it("that is wrong does not keep the answer from its conventions", async ({ expect }) => {
    const { status, body } = await anonymous({ settings: { JWT_KEYS: "x" } }).get("/api/boards");
    expect([status, body.code]).toEqual([503, "unavailable"]);
  });

  it("that is wrong is named beside all others that are", async ({ expect }) => {
    const { log } = await under({ JWT_KEYS: "x", QSTASH_TOKEN: "", BCRYPT_COST: "99" });
    for (const name of ["JWT_KEYS", "QSTASH_TOKEN", "BCRYPT_COST"]) expect(log).toContain(name);
  });

  it("that may be left out has a default", async ({ expect }) => {
    const { response } = await under({
      CORS_ORIGINS: undefined,
      RATE_LIMIT_SCALE: undefined,
      BCRYPT_COST: undefined,
      REDIS_TIMEOUT_MS: undefined,
      EFFECTS_PATIENCE_MS: undefined,
      SWEEP_SECONDS: undefined,
    });
    expect(response.status).toBe(200);
    expect(response.headers.get("ratelimit-policy")).toBe('"read";q=600;w=60');
  });

  it("may end in slashes where it is a URL", async ({ expect }) => {
    const client = anonymous({ settings: { PUBLIC_URL: `${ORIGIN}//` } });
    expect((await client.get("/api/boards")).status).toBe(200);
  });
});
