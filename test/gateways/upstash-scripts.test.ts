/** Lua scripts, those with Upstash's own flag included, through the real SDK. */
import { Redis } from "@upstash/redis/cloudflare";
import { describe, inject, it } from "vitest";

const { settings, upstash } = inject("cloud");
const url = settings.UPSTASH_REDIS_REST_URL ?? "";
const token = settings.UPSTASH_REDIS_REST_TOKEN ?? "";
const redis = new Redis({ url, token });

const freshKey = (): string => `t:${crypto.randomUUID()}`;

/** A script no other test has run: unknown to Redis and to the gateway. */
function freshScript(flagged: boolean, body = "return {KEYS[1], ARGV[1]}"): string {
  return `${flagged ? "#!lua flags=allow-key-locking\n" : ""}-- ${crypto.randomUUID()}\n${body}`;
}

async function sha1(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-1", new TextEncoder().encode(text));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

describe.for([
  { kind: "plain", flagged: false },
  { kind: "flagged", flagged: true },
])("a $kind script", ({ flagged }) => {
  it("runs with EVAL and then by its SHA", async ({ expect }) => {
    const script = freshScript(flagged);
    expect(await redis.eval(script, ["k"], ["한"])).toEqual(["k", "한"]);
    expect(await redis.evalsha(await sha1(script), ["k"], ["v"])).toEqual(["k", "v"]);
    expect(await redis.evalsha((await sha1(script)).toUpperCase(), ["k"], ["v"])).toEqual(["k", "v"]);
  });

  it("is NOSCRIPT by its SHA before it was sent", async ({ expect }) => {
    const run = redis.evalsha(await sha1(freshScript(flagged)), ["k"], ["v"]);
    await expect(run).rejects.toThrow("NOSCRIPT No matching script. Please use EVAL.");
  });

  it("is sent once by the SDK's script object, then called by SHA", async ({ expect }) => {
    const key = freshKey();
    const script = redis.createScript<[string, string]>(freshScript(flagged));
    expect(await script.exec([key], ["1"])).toEqual([key, 1]);
    expect(await script.exec([key], ["2"])).toEqual([key, 2]);
    const response = await fetch(`${upstash}/_local/calls`);
    const { calls } = await response.json<{ calls: { label: string }[] }>();
    expect(calls.map(({ label }) => label).filter((label) => label.includes(key))).toEqual(
      ["EVALSHA", "EVAL", "EVALSHA"].map((name) => `pipeline: ${name} ${key}`),
    );
  });

  it("is loaded, found and called under the SHA of its original text", async ({ expect }) => {
    const script = freshScript(flagged);
    const sha = await sha1(script);
    expect(await redis.scriptExists(sha)).toEqual([0]);
    expect(await redis.scriptLoad(script)).toBe(sha);
    expect(await redis.scriptExists(sha, "0".repeat(40))).toEqual([1, 0]);
    expect(await redis.evalsha(sha, ["k"], ["v"])).toEqual(["k", "v"]);
  });

  it("is loaded and called within one pipeline and within one transaction", async ({ expect }) => {
    for (const batch of [redis.pipeline(), redis.multi()]) {
      const script = freshScript(flagged);
      const sha = await sha1(script);
      const results = await batch.scriptLoad(script).evalsha(sha, ["k"], ["v"]).scriptExists(sha).exec();
      expect(results).toEqual([sha, ["k", "v"], [1]]);
    }
  });

  it("runs in the path form", async ({ expect }) => {
    const script = freshScript(flagged);
    const response = await fetch(`${url}/eval/${encodeURIComponent(script)}/1/k/v?_token=${token}`);
    expect(await response.json()).toEqual({ result: ["k", "v"] });
    const byPost = await fetch(`${url}/script/load?_token=${token}`, { method: "POST", body: script });
    expect(await byPost.json()).toEqual({ result: await sha1(script) });
  });

  it("reports an error on the line where its author sees it", async ({ expect }) => {
    const script = freshScript(flagged, "\nerror('broken')");
    await expect(redis.eval(script, [], [])).rejects.toThrow(`user_script:${flagged ? 4 : 3}: broken`);
  });
});

describe("scripts", () => {
  it("give 1 for true and nothing for false, nil inside arrays included", async ({ expect }) => {
    expect(await redis.eval("return true", [], [])).toBe(1);
    expect(await redis.eval("return false", [], [])).toBeNull();
    expect(await redis.eval("return {1, false, {'a', {2}}}", [], [])).toEqual([1, null, ["a", [2]]]);
  });

  it("keep the other flags of a shebang", async ({ expect }) => {
    const script = `#!lua flags=no-writes,allow-key-locking\nreturn redis.call('SET', KEYS[1], 1)`;
    await expect(redis.eval(script, [freshKey()], [])).rejects.toThrow(
      "Write commands are not allowed from read-only scripts",
    );
  });

  it("run in the read-only forms when flagged as not writing", async ({ expect }) => {
    const script = `#!lua flags=no-writes,allow-key-locking\n-- ${crypto.randomUUID()}\nreturn {KEYS[1], ARGV[1]}`;
    expect(await redis.evalRo(script, ["k"], ["v"])).toEqual(["k", "v"]);
    expect(await redis.evalshaRo(await sha1(script), ["k"], ["v"])).toEqual(["k", "v"]);
  });

  it("give an error inside an array as its text", async ({ expect }) => {
    expect(await redis.eval("return {1, redis.error_reply('ERR inner')}", [], [])).toEqual([1, "ERR inner"]);
  });

  it("are NOSCRIPT after SCRIPT FLUSH, flagged or not", async ({ expect }) => {
    for (const flagged of [true, false]) {
      const script = freshScript(flagged);
      // In one pipeline: other tests may use scripts at the same time.
      const [sha, , exists] = await redis
        .pipeline()
        .scriptLoad(script)
        .scriptFlush()
        .scriptExists(await sha1(script))
        .exec();
      expect([sha, exists]).toEqual([await sha1(script), [0]]);
      await expect(redis.evalsha(sha, [], [])).rejects.toThrow("NOSCRIPT");
    }
  });
});
