/** The webhook that QStash delivers to, and the way to QStash. */
import { Client as QStash } from "@upstash/qstash";
import { eq } from "drizzle-orm";
import { describe, inject, it, vi } from "vitest";
import { createLogger } from "../src/common/logger.ts";
import { createMeter } from "../src/common/meter.ts";
import { likes } from "../src/db/schema/likes.ts";
import { createJobPublisher } from "../src/queue/publisher.ts";
import { anonymous, type Client, ORIGIN, randomAddress } from "./support/client.ts";
import { CLOSED_PORT, db } from "./support/database.ts";
import { post, registerUser } from "./support/factories.ts";
import { deliver, send, signature, signingKeys } from "./support/jobs.ts";
import { likesOf, people, rowsOf, syncOf, type Target, unreadOf } from "./support/notifications.ts";
import { waitUntil } from "./support/patience.ts";
import { enterUser } from "./support/sockets.ts";
import { watchUpstreams } from "./support/upstreams.ts";

const { settings, recorder } = inject("cloud");
const { QSTASH_URL = "", QSTASH_TOKEN = "" } = settings;

/** A post that somebody liked; its author has not been told yet. */
async function likedPost() {
  const author = await registerUser();
  const { id } = await post(author);
  const target: Target = { type: "post", id, postId: id };
  const fans = await people(1);
  const [likeId = 0] = await likesOf(target, fans);
  return { author, target, fans, likeId, body: JSON.stringify(syncOf("like", likeId)) };
}

describe("a delivery", () => {
  it("does its job once, however often it arrives at the same time", async ({ expect }) => {
    const { author, likeId } = await likedPost();
    const { socket } = await enterUser(author.id);
    const job = syncOf("like", likeId);

    const statuses = await Promise.all([1, 2, 3, 4, 5].map(() => deliver(job)));
    await socket.next("notify_user");
    expect(await deliver(job)).toBe(204);
    await socket.settle();

    expect(statuses).toEqual([204, 204, 204, 204, 204]);
    expect(await rowsOf(author.id)).toMatchObject([{ type: "like", actorCount: 1, isRead: false }]);
    expect(socket.events()).toHaveLength(1);
  });

  it("is taken with a signature of the next key, as after a rotation", async ({ expect }) => {
    const { author, body } = await likedPost();
    const answer = await send(body, await signature(body, { key: signingKeys.next }));
    expect(answer.status).toBe(204);
    expect(await unreadOf(author.id)).toHaveLength(1);
  });

  it("is checked over the text as it came, not over its meaning", async ({ expect }) => {
    const { author, likeId } = await likedPost();
    const body = ` { "payload": { "id": ${likeId}, "source": "like" },\n "job": "sync-notification" } `;
    expect((await send(JSON.stringify(JSON.parse(body)), await signature(body))).status).toBe(401);
    expect(await rowsOf(author.id)).toEqual([]);
    expect((await send(body, await signature(body))).status).toBe(204);
    expect(await unreadOf(author.id)).toHaveLength(1);
  });

  it.for([
    ["without a signature", () => null],
    ["with a signature that is none", () => "not.a.jwt"],
    ["of another key", (body: string) => signature(body, { key: "sig_somebody_else" })],
    ["of another issuer", (body: string) => signature(body, { issuer: "Somebody" })],
    ["for another address", (body: string) => signature(body, { url: `${ORIGIN}/api/jobs/` })],
    ["for another host", (body: string) => signature(body, { url: "https://example.com/api/jobs" })],
    ["with another body", () => signature("{}")],
    ["that was signed too long ago", (body: string) => signature(body, { ageSeconds: 310 })],
    ["that is not to be used yet", (body: string) => signature(body, { ageSeconds: -60 })],
  ] as const)("is refused %s, and changes nothing", async ([, sign], { expect }) => {
    const { author, body } = await likedPost();
    const answer = await send(body, await sign(body));
    expect(answer.status).toBe(401);
    expect(answer.body.code).toBe("unauthenticated");
    expect(await rowsOf(author.id)).toEqual([]);
  });

  it("is not read before its signature is known", async ({ expect }) => {
    expect((await send("this is not JSON", null)).status).toBe(401);
    expect((await send("", null)).status).toBe(401);
  });

  it.for([
    ["is not JSON", "{"],
    ["is no job", JSON.stringify({ hello: "world" })],
    ["names a job that there is not", JSON.stringify({ job: "toString", payload: {} })],
    [
      "has a payload that does not fit",
      JSON.stringify({ job: "sync-notification", payload: { source: "like" } }),
    ],
    ["has more than a job", JSON.stringify({ ...syncOf("like", 1), more: true })],
  ])("is given up at once when it %s", async ([, body = ""], { expect }) => {
    const answer = await send(body, await signature(body));
    expect(answer.status).toBe(489);
    expect(answer.headers.get("upstash-nonretryable-error")).toBe("true");
    expect(answer.body).toMatchObject({ code: "validation_failed", title: "The job cannot be done" });
  });

  it("is asked for again while the database is away, at a time of QStash's choice", async ({ expect }) => {
    const { author, body } = await likedPost();
    const client = anonymous({ settings: { DATABASE_URL: `http://u:p@${CLOSED_PORT}` } });
    const answer = await send(body, await signature(body), client);
    expect(answer.status).toBe(503);
    expect(answer.headers.has("retry-after")).toBe(false);
    expect(answer.headers.has("upstash-nonretryable-error")).toBe(false);
    expect(await rowsOf(author.id)).toEqual([]);
  });

  it("about a row that there is not is done", async ({ expect }) => {
    const noId = Number.MAX_SAFE_INTEGER;
    for (const source of ["like", "comment", "post"] as const) {
      expect(await deliver(syncOf(source, noId))).toBe(204);
    }
  });
});

describe("what is no delivery", () => {
  /** One in a minute, in memory where Redis is away. */
  const strict = (address: string, more: Record<string, string> = {}) =>
    anonymous({ address, settings: { RATE_LIMIT_SCALE: "0.01", ...more } });
  const REDIS_AWAY = { UPSTASH_REDIS_REST_URL: `http://${CLOSED_PORT}` };

  /** Sends until it is refused for its number. A window may end meanwhile. */
  async function exhaust(client: Client, signed: string | null) {
    const answers = [];
    for (let count = 0; count < 5; count += 1) {
      const answer = await send("{}", signed, client);
      answers.push(answer);
      if (answer.status === 429) return { answers, last: answer };
    }
    throw new Error("five requests were not refused");
  }

  it.for([
    ["Redis counts", {}],
    ["Redis is away", REDIS_AWAY],
  ] as const)(
    "is 401 and counted by its address, then 429, while %s; a delivery from there is taken all the same",
    async ([, more], { expect }) => {
      const { author, body } = await likedPost();
      const address = randomAddress();
      const client = strict(address, more);
      const { answers, last } = await exhaust(client, null);
      const [first] = answers;
      expect([first?.status, first?.body.code]).toEqual([401, "unauthenticated"]);
      expect(first?.headers.get("ratelimit-policy")).toBe('"unsigned-job";q=1;w=60');
      expect(first?.headers.get("ratelimit")).toMatch(/^"unsigned-job";r=0;t=\d+$/);
      expect(last.body.code).toBe("rate_limited");
      expect(last.body.detail).toContain('"unsigned-job"');
      expect(last.headers.get("ratelimit-policy")).toBe('"unsigned-job";q=1;w=60');
      expect(last.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);

      for (let time = 0; time < 3; time += 1) {
        const answer = await send(body, await signature(body), client);
        expect([answer.status, answer.headers.has("ratelimit")]).toEqual([204, false]);
      }
      expect(await unreadOf(author.id)).toHaveLength(1);
      expect((await send("{}", null, strict(randomAddress(), more))).status).toBe(401);
    },
  );

  it("and has a signature is told no time: with wrong keys it would be QStash that takes it for its next delivery", async ({
    expect,
  }) => {
    const forged = await signature("{}", { key: "sig_somebody_else" });
    const { last } = await exhaust(strict(randomAddress()), forged);
    expect(last.headers.has("retry-after")).toBe(false);
    expect(last.headers.get("ratelimit-policy")).toBe('"unsigned-job";q=1;w=60');
  });

  it("costs a call to Redis; a delivery costs none", async ({ expect }) => {
    const client = strict(randomAddress());
    const body = JSON.stringify(syncOf("post", Number.MAX_SAFE_INTEGER));
    // Redis knows the script from here on.
    await send("{}", null, strict(randomAddress()));
    const { during } = watchUpstreams();
    const redisCalls = async (signed: string | null) => {
      const { calls } = await during(() => send(body, signed, client));
      return calls.filter(({ upstream }) => upstream === "redis").length;
    };
    expect(await redisCalls(await signature(body))).toBe(0);
    expect(await redisCalls(null)).toBe(1);
  });
});

describe("the publisher", () => {
  const publisher = (url: string, publicUrl = ORIGIN, meter = createMeter()) =>
    createJobPublisher({ url, token: QSTASH_TOKEN, publicUrl }, meter, createLogger());

  const qstash = new QStash({ baseUrl: QSTASH_URL, token: QSTASH_TOKEN, devMode: false, retry: false });
  /** What QStash has taken for an address. */
  async function messagesFor(url: string): Promise<string[]> {
    const { logs } = await qstash.logs({ filter: { url } });
    return [...new Set(logs.map(({ messageId }) => messageId))];
  }

  it("sends a job once for each occasion, metered", async ({ expect }) => {
    const publicUrl = `http://${crypto.randomUUID()}.test`;
    const meter = createMeter();
    const { publish } = publisher(QSTASH_URL, publicUrl, meter);
    const payload = { source: "like", id: Math.ceil(Math.random() * 2 ** 50) } as const;
    for (const occasion of [1, 1, 2, 1]) {
      expect(await publish("sync-notification", payload, occasion)).toEqual({ status: "done" });
    }
    expect(await messagesFor(`${publicUrl}/api/jobs`)).toHaveLength(2);
    expect(meter.used().qstash?.calls).toBe(4);
  });

  it.for([
    ["cannot be reached", `http://${CLOSED_PORT}`, QSTASH_TOKEN],
    ["refuses", QSTASH_URL, "wrong"],
  ])("says so when QStash %s", async ([, url = "", token = ""], { expect }) => {
    const { publish } = createJobPublisher({ url, token, publicUrl: ORIGIN }, createMeter(), createLogger());
    expect(await publish("sync-notification", { source: "like", id: 1 }, 1)).toEqual({
      status: "unavailable",
    });
  });

  it("says so when QStash does not answer", async ({ expect }) => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const silent = "http://silent.test";
    const realFetch = globalThis.fetch;
    // Work behind other tests' answers goes on.
    const fetching = vi.spyOn(globalThis, "fetch").mockImplementation((input, init) => {
      const { origin } = new URL(input instanceof Request ? input.url : input);
      return origin === silent ? new Promise(() => undefined) : realFetch(input, init);
    });
    try {
      const outcome = publisher(silent).publish("sync-notification", { source: "like", id: 1 }, 1);
      await vi.advanceTimersByTimeAsync(10_000);
      expect(await outcome).toEqual({ status: "unavailable" });
    } finally {
      fetching.mockRestore();
      vi.useRealTimers();
    }
  });

  type Recorded = { target: string; headers: Record<string, string>; body: { text: string } };
  /** What QStash delivered to the recorder, which stands at the Worker's address. */
  async function delivered(payload: {
    source: string;
    id: number;
  }): Promise<{ text: string; signed: string | null }> {
    return waitUntil(async () => {
      const response = await fetch(`${recorder}/_recorder/requests?path=/api/jobs`);
      const { requests } = await response.json<{ requests: Recorded[] }>();
      const found = requests.find(({ body }) => body.text.includes(JSON.stringify(payload)));
      return found && { text: found.body.text, signed: found.headers["upstash-signature"] ?? null };
    });
  }

  it("makes QStash deliver what the webhook takes", async ({ expect }) => {
    const { author, likeId } = await likedPost();
    const payload = { source: "like", id: likeId } as const;
    await publisher(QSTASH_URL, recorder).publish("sync-notification", payload, crypto.randomUUID());
    const { text, signed } = await delivered(payload);
    const here = anonymous({ settings: { PUBLIC_URL: recorder } });
    const elsewhere = anonymous({ settings: { PUBLIC_URL: "http://elsewhere.test" } });
    expect((await send(text, signed, elsewhere)).status).toBe(401);
    expect(await rowsOf(author.id)).toEqual([]);
    expect((await send(text, signed, here)).status).toBe(204);
    expect(await unreadOf(author.id)).toHaveLength(1);
  });

  it("is used by comments and likes, and by the posts that are deleted", async ({ expect }) => {
    const options = { settings: { PUBLIC_URL: recorder } };
    const [author, fan] = await Promise.all([registerUser({}, options), registerUser({}, options)]);
    const { id } = await post(author);
    const comment = await fan.client.post<{ id: number }>(`/api/posts/${id}/comments`, { content: "c" });
    expect((await fan.client.put(`/api/posts/${id}/like`)).status).toBe(200);
    await fan.client.settled();
    const [like] = await db.select().from(likes).where(eq(likes.userId, fan.id));
    expect(like?.effectsDueAt).toBeNull();

    const here = anonymous(options);
    const deliverNext = async (payload: { source: string; id: number }) => {
      const { text, signed } = await delivered(payload);
      expect((await send(text, signed, here)).status).toBe(204);
    };
    await deliverNext({ source: "comment", id: comment.body.id });
    await deliverNext({ source: "like", id: like?.id ?? 0 });
    expect(await unreadOf(author.id)).toMatchObject([{ type: "comment" }, { type: "like" }]);
    expect((await author.client.delete(`/api/posts/${id}`)).status).toBe(204);
    await deliverNext({ source: "post", id });
    // A sweep, perhaps that of another test, takes them back.
    const rows = await rowsOf(author.id);
    expect(rows.map((row) => (row.effectsDueAt ?? row.withdrawnAt) !== null)).toEqual([true, true]);
  });

  it("leaves the row due when QStash is away", async ({ expect }) => {
    const options = { settings: { QSTASH_URL: `http://${CLOSED_PORT}` } };
    const [author, fan] = await Promise.all([registerUser(), registerUser({}, options)]);
    const { id } = await post(author);
    expect((await fan.client.put(`/api/posts/${id}/like`)).status).toBe(200);
    await fan.client.settled();
    const [like] = await db.select().from(likes).where(eq(likes.userId, fan.id));
    expect(like?.effectsDueAt).toBeInstanceOf(Date);
  });
});
