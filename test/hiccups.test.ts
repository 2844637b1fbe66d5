/** Redis, QStash or a room that is away for a moment costs a moment: the Worker itself tries again, without a sweep. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { eq } from "drizzle-orm";
import { describe, inject, it, onTestFinished, vi } from "vitest";
import { boards } from "../src/db/schema/boards.ts";
import { likes } from "../src/db/schema/likes.ts";
import { sessions } from "../src/db/schema/users.ts";
import { type Client, signedIn } from "./support/client.ts";
import { db } from "./support/database.ts";
import { type Account, bodyOf, login, sharedAdmin, unique } from "./support/factories.ts";
import { waitUntil } from "./support/patience.ts";
import { join } from "./support/rooms.ts";
import { rooms } from "./support/sockets.ts";
import { comment, commentRow, like, newPost, postRow, settledRows } from "./support/threads.ts";
import { claimsOf } from "./support/tokens.ts";

const PATIENT = { EFFECTS_PATIENCE_MS: "25000" };
const patient = ({ session }: Pick<Account, "session">, settings: Record<string, string> = {}) =>
  signedIn(session, { settings: { ...PATIENT, ...settings } });

const realFetch = globalThis.fetch;

/** Makes the next calls that this file's own Workers make to an upstream fail. @returns how many have */
function failNext(upstream: "upstash" | "qstash", count: number): { failed: () => number } {
  const { origin } = new URL(inject("cloud")[upstream]);
  let failed = 0;
  const spy = vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const { origin: called } = new URL(input instanceof Request ? input.url : input);
    if (called !== origin || failed === count) return realFetch(input, init);
    failed += 1;
    throw new TypeError("Network connection lost.");
  });
  onTestFinished(() => {
    spy.mockRestore();
  });
  return { failed: () => failed };
}

/** Makes calls of the room's methods fail until `mend`. */
async function broken(stub: ReturnType<typeof rooms.post>, ...methods: string[]) {
  await runInDurableObject(stub, (instance) => {
    for (const method of methods) Object.defineProperty(instance, method, { value: undefined });
  });
  return { mend: () => evictDurableObject(stub) };
}

async function dueLikes(postId: number): Promise<number> {
  const rows = await db.select().from(likes).where(eq(likes.postId, postId));
  return rows.filter(({ effectsDueAt }) => effectsDueAt !== null).length;
}

async function settledPost() {
  const { id, author } = await newPost();
  await settledRows(() => postRow(id));
  return { id, author };
}

describe("a hiccup of", () => {
  it("Redis keeps no effect of a comment, a like or an edit from happening", async ({ expect }) => {
    const { id, author } = await settledPost();
    const { socket } = await join(`post:${id}`, author.session.accessToken);
    const writes: ((client: Client) => Promise<unknown>)[] = [
      (client) => comment({ client }, id),
      (client) => like(client, { type: "post", id }),
      async (client) => bodyOf(await client.patch(`/api/posts/${id}`, { title: "edited" }), 200),
    ];
    for (const write of writes) {
      const client = patient(author);
      // The admission, and whatever comes behind it.
      const hiccup = failNext("upstash", 5);
      await write(client);
      await client.settled();
      expect(hiccup.failed()).toBeGreaterThanOrEqual(2);
    }
    const written = await socket.next("comment_added");
    await socket.next("post_liked");
    await socket.next("post_updated");
    expect(await commentRow(written.data.id)).toMatchObject({ counted: true, effectsDueAt: null });
    expect([await dueLikes(id), (await postRow(id)).effectsDueAt]).toEqual([0, null]);
  });

  it("QStash keeps no job from being sent", async ({ expect }) => {
    const { id } = await settledPost();
    const { client: other, session } = await sharedAdmin();
    const { id: commentId } = await comment({ client: other }, id);
    await settledRows(() => commentRow(commentId));
    const client = patient({ session });
    const hiccup = failNext("qstash", 5);
    await like(client, { type: "post", id });
    await client.settled();
    expect([hiccup.failed(), await dueLikes(id)]).toEqual([5, 0]);
  });

  it("a room keeps nothing from being told", async ({ expect }) => {
    const { id, author } = await settledPost();
    const { socket } = await join(`post:${id}`, author.session.accessToken);
    const { mend } = await broken(rooms.post(id), "publish", "publishCount");
    const client = patient(author);
    const { id: commentId } = await comment({ client }, id);
    await like(client, { type: "post", id });
    await waitUntil(async () => (await commentRow(commentId)).counted);
    await mend();
    await client.settled();
    await socket.settle();
    expect(
      socket
        .events()
        .map(({ type }) => type)
        .sort(),
    ).toEqual(["comment_added", "post_liked"]);
    expect([(await commentRow(commentId)).effectsDueAt, await dueLikes(id)]).toEqual([null, 0]);
  });

  it("Redis keeps no session from ending, and no name of a board from changing", async ({ expect }) => {
    const { author } = await newPost();
    const ended = await login(author);
    const user = patient({ session: ended });
    failNext("upstash", 3);
    bodyOf(await user.post<string>("/api/auth/logout"), 204);
    await user.settled();
    const [row] = await db
      .select()
      .from(sessions)
      .where(eq(sessions.id, Number(claimsOf(ended)["sid"])));
    expect(row).toMatchObject({ effectsDueAt: null });
    expect((await signedIn(ended).get("/api/boards")).status).toBe(401);

    const { session, client } = await sharedAdmin();
    const slug = unique("board-");
    const board = bodyOf(await client.post<{ id: number }>("/api/boards", { name: slug, slug }), 201);
    const admin = patient({ session });
    failNext("upstash", 3);
    bodyOf(await admin.patch(`/api/boards/${board.id}`, { name: unique("renamed ") }), 200);
    await admin.settled();
    expect((await db.select().from(boards).where(eq(boards.id, board.id)))[0]?.effectsDueAt).toBeNull();
  });
});

describe("a Redis that is too slow for requests", () => {
  it("still hears of effects", async ({ expect }) => {
    const { id, author } = await settledPost();
    const { origin } = new URL(inject("cloud").upstash);
    const spy = vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
      if (new URL(input instanceof Request ? input.url : input).origin === origin) {
        await new Promise((resolve, reject) => {
          setTimeout(resolve, 300);
          init?.signal?.addEventListener("abort", () => reject(new DOMException("late", "TimeoutError")));
        });
      }
      return realFetch(input, init);
    });
    onTestFinished(() => {
      spy.mockRestore();
    });
    const client = patient(author, { REDIS_TIMEOUT_MS: "50" });
    const { id: commentId } = await comment({ client }, id);
    await client.settled();
    expect(await commentRow(commentId)).toMatchObject({ counted: true, effectsDueAt: null });
  });
});
