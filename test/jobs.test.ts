/** The webhook that QStash delivers to, and the way to QStash. */
import { Client } from "@upstash/qstash";
import { describe, inject, it, vi } from "vitest";
import { createLogger } from "../src/common/logger.ts";
import { createMeter } from "../src/common/meter.ts";
import { createJobPublisher } from "../src/queue/publisher.ts";
import { anonymous, ORIGIN } from "./support/client.ts";
import { CLOSED_PORT } from "./support/database.ts";
import { post, registerUser } from "./support/factories.ts";
import { deliver, send, signature, signingKeys } from "./support/jobs.ts";
import { likesOf, people, rowsOf, syncOf, type Target, unreadOf } from "./support/notifications.ts";
import { enterUser } from "./support/sockets.ts";

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

describe("the publisher", () => {
  const publisher = (url: string, publicUrl = ORIGIN, meter = createMeter()) =>
    createJobPublisher({ url, token: QSTASH_TOKEN, publicUrl }, meter, createLogger());

  const qstash = new Client({ baseUrl: QSTASH_URL, token: QSTASH_TOKEN, devMode: false, retry: false });
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
    vi.useFakeTimers();
    const fetching = vi.spyOn(globalThis, "fetch").mockReturnValue(new Promise(() => undefined));
    try {
      const outcome = publisher(QSTASH_URL).publish("sync-notification", { source: "like", id: 1 }, 1);
      await vi.advanceTimersByTimeAsync(10_000);
      expect(await outcome).toEqual({ status: "unavailable" });
    } finally {
      fetching.mockRestore();
      vi.useRealTimers();
    }
  });

  it("makes QStash deliver what the webhook takes", async ({ expect }) => {
    type Recorded = { target: string; headers: Record<string, string>; body: { text: string } };
    const { author, likeId } = await likedPost();
    const { publish } = publisher(QSTASH_URL, recorder);
    await publish("sync-notification", { source: "like", id: likeId }, crypto.randomUUID());
    const delivery = await vi.waitUntil(
      async () => {
        const response = await fetch(`${recorder}/_recorder/requests?path=/api/jobs`);
        const { requests } = await response.json<{ requests: Recorded[] }>();
        return requests.find(({ body }) => body.text.includes(`"id":${likeId}}`));
      },
      { timeout: 20_000, interval: 50 },
    );
    const signed = delivery?.headers["upstash-signature"] ?? null;
    const here = anonymous({ settings: { PUBLIC_URL: recorder } });
    expect((await send(delivery?.body.text ?? "", signed)).status).toBe(401);
    expect(await rowsOf(author.id)).toEqual([]);
    expect((await send(delivery?.body.text ?? "", signed, here)).status).toBe(204);
    await here.settled();
    expect(await unreadOf(author.id)).toHaveLength(1);
  });
});
