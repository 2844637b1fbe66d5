/** Commands, pipelines, transactions and values through the real SDK against the gateway. */
import { Redis } from "@upstash/redis/cloudflare";
import { describe, inject, it } from "vitest";

const cloud = inject("cloud");
const url = cloud.settings.UPSTASH_REDIS_REST_URL ?? "";
const token = cloud.settings.UPSTASH_REDIS_REST_TOKEN ?? "";
const redis = new Redis({ url, token });

function freshKey(name = "k"): string {
  return `t:${crypto.randomUUID()}:${name}`;
}

/** Labels of the calls on record that mention `text`. */
async function callsWith(text: string): Promise<string[]> {
  const response = await fetch(`${cloud.upstash}/_local/calls`);
  const { calls } = await response.json<{ calls: { label: string }[] }>();
  return calls.map(({ label }) => label).filter((label) => label.includes(text));
}

describe("pipelines", () => {
  it("answers every command in the order sent", async ({ expect }) => {
    const key = freshKey();
    const results = await redis.pipeline().set(key, "a").append(key, "b").get(key).strlen(key).exec();
    expect(results).toEqual(["OK", 2, "ab", 2]);
  });

  it("reports an error in its place and runs the commands after it", async ({ expect }) => {
    const key = freshKey();
    const results = await redis
      .pipeline()
      .set(key, "text")
      .incr(key)
      .get(key)
      .exec<["OK", number, string]>({ keepErrors: true });
    expect(results[0]).toEqual({ result: "OK", error: undefined });
    expect(results[1]?.error).toBe("ERR value is not an integer or out of range");
    expect(results[2]?.result).toBe("text");
  });

  it("names the failed command when errors are not kept", async ({ expect }) => {
    const key = freshKey();
    const run = redis.pipeline().set(key, "text").lpush(key, "x").exec();
    await expect(run).rejects.toThrow("Command 2 [ lpush ] failed: WRONGTYPE");
  });

  it("keeps the order of 1,000 commands", async ({ expect }) => {
    const key = freshKey();
    const pipeline = redis.pipeline();
    for (let index = 0; index < 1_000; index += 1) pipeline.rpush(key, index);
    await pipeline.exec();
    const list = await redis.lrange<number>(key, 0, -1);
    expect(list).toEqual(Array.from({ length: 1_000 }, (_unused, index) => index));
  });

  it("does not mix the answers of parallel pipelines", async ({ expect }) => {
    const results = await Promise.all(
      Array.from({ length: 50 }, async (_unused, index) => {
        const key = freshKey();
        return redis.pipeline().set(key, index).incrby(key, 1_000).get(key).exec();
      }),
    );
    expect(results).toEqual(results.map((_unused, index) => ["OK", index + 1_000, index + 1_000]));
  });

  it("sends commands of one tick as one request", async ({ expect }) => {
    const key = freshKey();
    await Promise.all([redis.set(`${key}:1`, 1), redis.set(`${key}:2`, 2), redis.incr(`${key}:3`)]);
    expect(await callsWith(key)).toEqual([`pipeline: SET ${key}:1; SET ${key}:2; INCR ${key}:3`]);
  });
});

describe("transactions", () => {
  it("runs the commands as one and answers all of them", async ({ expect }) => {
    const key = freshKey();
    const results = await redis.multi().set(key, 1).incr(key).get(key).hset(`${key}:h`, { a: 1 }).exec();
    expect(results).toEqual(["OK", 2, 2, 1]);
  });

  it("applies nothing when a command cannot be queued", async ({ expect }) => {
    const key = freshKey();
    const response = await post("/multi-exec", [["SET", key, "v"], ["NO-SUCH-COMMAND"]]);
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({ error: expect.stringMatching(/^EXECABORT /) });
    expect(await redis.exists(key)).toBe(0);
  });

  it("applies nothing when a command is refused", async ({ expect }) => {
    const key = freshKey();
    const response = await post("/multi-exec", [
      ["SET", key, "v"],
      ["BLPOP", key, "0"],
    ]);
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({
      error: "EXECABORT Transaction discarded because of: ERR Command is not available: 'BLPOP'",
    });
    expect(await redis.exists(key)).toBe(0);
  });

  it("keeps the other commands when one fails while running, as Redis does", async ({ expect }) => {
    const key = freshKey();
    const results = await redis.multi().set(key, "text").incr(key).get(key).exec({ keepErrors: true });
    expect(results.map(({ error }) => error)).toEqual([
      undefined,
      "ERR value is not an integer or out of range",
      undefined,
    ]);
    expect(results[2]).toMatchObject({ result: "text" });
  });

  it("keeps 50 parallel transactions apart", async ({ expect }) => {
    const key = freshKey();
    const results = await Promise.all(
      Array.from({ length: 50 }, async () => redis.multi().incr(key).incr(key).incr(key).exec()),
    );
    const firsts = results.map(([first, second, third]) => {
      // Nothing ran in between: the three values follow each other.
      expect([second, third]).toEqual([first + 1, first + 2]);
      return first;
    });
    expect(firsts.sort((a, b) => a - b)).toEqual(
      Array.from({ length: 50 }, (_unused, index) => 1 + 3 * index),
    );
  });

  it("leaves ordinary commands out of a transaction that runs at the same time", async ({ expect }) => {
    const key = freshKey();
    const results = await Promise.all(
      Array.from({ length: 20 }, async (_unused, index) =>
        index % 2 === 0
          ? redis.multi().set(`${key}:${index}`, index).get(`${key}:${index}`).exec()
          : redis.pipeline().set(`${key}:${index}`, index).get(`${key}:${index}`).exec(),
      ),
    );
    expect(results).toEqual(results.map((_unused, index) => ["OK", index]));
  });
});

describe("values", () => {
  it("keeps Hangul, emoji, quotes and line breaks, in keys too", async ({ expect }) => {
    const key = freshKey("한글🔑");
    const value = '안녕하세요 👩‍👩‍👧‍👦 "quoted" \\ line\r\nbreak \u0000 end';
    await redis.set(key, value);
    expect(await redis.get(key)).toBe(value);
    expect(await redis.exists(key)).toBe(1);
  });

  it("keeps all 256 byte values, encoded in base64", async ({ expect }) => {
    const key = freshKey();
    const bytes = Uint8Array.from({ length: 256 }, (_unused, index) => index);
    await fetch(`${url}/set/${key}`, { method: "POST", headers: authorization(), body: bytes });
    const response = await post("/", ["GET", key], { "upstash-encoding": "base64" });
    const { result } = await response.json<{ result: string }>();
    expect(Uint8Array.from(atob(result), (char) => char.charCodeAt(0))).toEqual(bytes);
  });

  it("replaces bytes that are not UTF-8 when no encoding is asked for", async ({ expect }) => {
    const key = freshKey();
    await fetch(`${url}/set/${key}/a%FFb`, { headers: authorization() });
    expect(await (await post("/", ["GET", key])).json()).toEqual({ result: "a\uFFFDb" });
  });

  it("encodes every string but a status OK at the top", async ({ expect }) => {
    const key = freshKey();
    const script = "return {redis.status_reply('OK'), 'x', 1, {false, 'y'}}";
    const response = await post(
      "/pipeline",
      [
        ["SET", key, "OK"],
        ["GET", key],
        ["PING"],
        ["TYPE", key],
        ["EVAL", script, 0],
        ["GET", "no:such:key"],
      ],
      { "upstash-encoding": "base64" },
    );
    expect(await response.json()).toEqual([
      { result: "OK" },
      { result: btoa("OK") },
      { result: btoa("PONG") },
      { result: btoa("string") },
      { result: [btoa("OK"), btoa("x"), 1, [null, btoa("y")]] },
      { result: null },
    ]);
  });

  it("keeps numbers, booleans, null and objects as the SDK stores them", async ({ expect }) => {
    const key = freshKey();
    for (const value of [
      0,
      -7,
      1.5,
      Number.MAX_SAFE_INTEGER,
      true,
      false,
      { a: [1, { b: null }] },
      [1, "2"],
    ]) {
      await redis.set(key, value);
      expect(await redis.get(key)).toEqual(value);
    }
    expect(await redis.get(freshKey())).toBeNull();
  });

  it("gives integers beyond 2^53 digit by digit, in both directions", async ({ expect }) => {
    const key = freshKey();
    const body = `["SET","${key}",9007199254740993]`;
    await fetch(url, { method: "POST", headers: authorization(), body });
    const response = await post("/", ["INCRBY", key, 2]);
    expect(await response.text()).toBe('{"result":9007199254740995}');
  });

  it("takes null as an empty string", async ({ expect }) => {
    const key = freshKey();
    await post("/", ["SET", key, null]);
    expect(await redis.strlen(key)).toBe(0);
  });

  it("gives hashes, lists, sets, sorted sets, scans and streams in the shapes the SDK decodes", async ({
    expect,
  }) => {
    const key = freshKey();
    await redis.hset(`${key}:h`, { name: "홍길동", age: 30, tags: ["a"] });
    expect(await redis.hgetall(`${key}:h`)).toEqual({ name: "홍길동", age: 30, tags: ["a"] });
    expect(await redis.hmget(`${key}:h`, "age", "none")).toEqual({ age: 30, none: null });
    expect(await redis.hgetall(freshKey())).toBeNull();

    await redis.rpush<unknown>(`${key}:l`, "a", { b: 1 }, 3);
    expect(await redis.lrange(`${key}:l`, 0, -1)).toEqual(["a", { b: 1 }, 3]);
    expect(await redis.lpop(`${key}:l`, 2)).toEqual(["a", { b: 1 }]);

    await redis.sadd(`${key}:s`, "x", "y");
    expect((await redis.smembers(`${key}:s`)).sort()).toEqual(["x", "y"]);
    expect(await redis.smismember(`${key}:s`, ["x", "z"])).toEqual([1, 0]);

    await redis.zadd(`${key}:z`, { score: 1.5, member: "low" }, { score: 1e21, member: "high" });
    expect(await redis.zrange(`${key}:z`, 0, -1, { withScores: true })).toEqual(["low", 1.5, "high", 1e21]);
    expect(await redis.zscore(`${key}:z`, "low")).toBe(1.5);

    const [, found] = await redis.scan("0", { match: `${key}:*`, count: 1_000_000 });
    expect(found.sort()).toEqual(["h", "l", "s", "z"].map((name) => `${key}:${name}`));

    await redis.xadd(`${key}:x`, "1-1", { field: "값" });
    expect(await redis.xrange(`${key}:x`, "-", "+")).toEqual({ "1-1": { field: "값" } });
  });
});

function authorization(): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}

async function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${url}${path}`, {
    method: "POST",
    headers: { ...authorization(), ...headers },
    body: JSON.stringify(body),
  });
}
