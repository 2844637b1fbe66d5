/** The client package in the Workers runtime: calls, retries, errors and lists. */
import { describe, it } from "vitest";
import { ProblemError, UnreachableError } from "../../client/src/client.ts";
import { board } from "../support/factories.ts";
import { forumOn, network, refusal, signedInForum } from "../support/forum.ts";

const CREATE = "POST /api/posts";
const input = async () => ({ boardId: (await board()).id, title: "A title", content: "Some content" });

describe("a create", () => {
  it("is sent again with the same key until it is answered, and happens once", async ({ expect }) => {
    const wire = network();
    const forum = await signedInForum(wire);
    wire.breakNext(CREATE, "lost answer", "lost request", refusal(502));
    const fields = await input();
    const post = await forum.posts.create(fields);
    const sent = wire.callsOf(CREATE);
    expect(sent).toHaveLength(4);
    expect(sent[0]?.key).toMatch(/^[\w-]{36}$/);
    expect(new Set(sent.map(({ key }) => key)).size).toBe(1);
    const list = await Array.fromAsync(forum.posts.list({ boardId: fields.boardId }));
    expect(list.map(({ id }) => id)).toEqual([post.id]);
  });

  it("has a key of its own for each call, and takes the caller's", async ({ expect }) => {
    const wire = network();
    const forum = await signedInForum(wire);
    const fields = await input();
    const [first, second] = [await forum.posts.create(fields), await forum.posts.create(fields)];
    expect(second.id).not.toBe(first.id);
    const again = { idempotencyKey: "the same" };
    const [third, fourth] = [
      await forum.comments.create(first.id, { content: "one" }, again),
      await forum.comments.create(first.id, { content: "one" }, again),
    ];
    expect(fourth).toEqual(third);
    await expect(forum.comments.create(first.id, { content: "two" }, again)).rejects.toMatchObject({
      code: "idempotency_conflict",
    });
  });
});

describe("a call that was not answered", () => {
  it("is not repeated where it might do more than once", async ({ expect }) => {
    const wire = network();
    const forum = await signedInForum(wire);
    const { id } = await forum.posts.create(await input());
    const name = `PATCH /api/posts/${id}`;
    wire.breakNext(name, "lost answer");
    await expect(forum.posts.update(id, { title: "Twice?" })).rejects.toBeInstanceOf(UnreachableError);
    expect(wire.callsOf(name)).toHaveLength(1);
    expect(await forum.posts.get(id)).toMatchObject({ title: "Twice?", version: 2 });
  });

  it("is repeated, after the time that the server asks for, where it was refused before anything happened", async ({
    expect,
  }) => {
    const wire = network();
    const forum = await signedInForum(wire);
    const { id } = await forum.posts.create(await input());
    wire.breakNext(`PATCH /api/posts/${id}`, refusal(429, { "retry-after": "0" }));
    expect(await forum.posts.update(id, { title: "Once" })).toMatchObject({ version: 2 });
  });

  it("is a deletion that is done when the next attempt finds nothing", async ({ expect }) => {
    const wire = network();
    const forum = await signedInForum(wire);
    const { id } = await forum.posts.create(await input());
    wire.breakNext(`DELETE /api/posts/${id}`, "lost answer");
    await forum.posts.delete(id, { version: 1 });
    await expect(forum.posts.get(id)).rejects.toMatchObject({ status: 404, code: "not_found" });
    await expect(forum.posts.delete(id)).rejects.toMatchObject({ code: "not_found" });
  });

  it("is given up after three retries, or at once when the server asks for a long time", async ({
    expect,
  }) => {
    const wire = network();
    const forum = forumOn(wire);
    wire.breakNext("GET /api/boards", refusal(503), refusal(503), "lost request", refusal(500));
    await expect(forum.boards.list().page()).rejects.toMatchObject({ status: 500 });
    expect(wire.callsOf("GET /api/boards")).toHaveLength(4);
    wire.breakNext("GET /api/boards", refusal(503, { "retry-after": "600" }));
    const error = await forum.boards
      .list()
      .page()
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ProblemError);
    expect(error).toMatchObject({ code: "unavailable", retryAfterMs: 600_000 });
  });
});

describe("a signal", () => {
  it("gives up a call, and the wait before its repetition", async ({ expect }) => {
    const wire = network();
    const forum = forumOn(wire);
    await expect(forum.boards.list({}, { signal: AbortSignal.abort() }).page()).rejects.toMatchObject({
      name: "AbortError",
    });
    const stop = new AbortController();
    wire.breakNext("GET /api/boards", refusal(503, { "retry-after": "20" }));
    const call = forum.boards.list({}, { signal: stop.signal }).page();
    stop.abort(new Error("enough"));
    await expect(call).rejects.toThrow("enough");
  });
});

describe("a problem", () => {
  it("comes as a typed error with all that it says", async ({ expect }) => {
    const forum = await signedInForum(network());
    const error = await forum.posts
      .create({ ...(await input()), title: "" })
      .catch((reason: unknown) => reason);
    if (!(error instanceof ProblemError)) throw new Error("another error");
    expect(error).toMatchObject({ status: 422, code: "validation_failed", retryAfterMs: undefined });
    expect(error.errors[0]?.path).toBe("title");
    expect(error.requestId).toMatch(/^[\w-]{36}$/);
    const { id } = await forum.posts.create(await input());
    const stale = forum.posts.update(id, { title: "x" }, { version: 7 });
    await expect(stale).rejects.toMatchObject({ code: "version_mismatch" });
  });
});

describe("a list", () => {
  it("reads page after page as far as it is asked for", async ({ expect }) => {
    const wire = network();
    const forum = await signedInForum(wire);
    const { id } = await forum.posts.create(await input());
    const name = `/api/posts/${id}/comments`;
    const written: number[] = [];
    for (const number of [1, 2, 3, 4, 5]) {
      written.push((await forum.comments.create(id, { content: `number ${number}` })).id);
    }
    const read: number[] = [];
    for await (const comment of forum.comments.list(id, { limit: 2 })) {
      read.push(comment.id);
      if (read.length === 3) break;
    }
    expect(read).toEqual(written.slice(0, 3));
    expect(wire.callsOf(`GET ${name}`)).toHaveLength(2);
    const pages = await Array.fromAsync(forum.comments.list(id, { limit: 2 }).pages());
    expect(pages.map(({ items }) => items.length)).toEqual([2, 2, 1]);
    const next = forum.comments.list(id, { limit: 2, cursor: pages[0]?.nextCursor ?? "" });
    expect((await next.page()).items.map((comment) => comment.id)).toEqual(written.slice(2, 4));
  });

  it("passes filters on", async ({ expect }) => {
    const forum = await signedInForum(network());
    const fields = await input();
    const mine = await forum.posts.create(fields);
    const [found] = (await forum.posts.list({ boardId: fields.boardId, limit: 5 }).page()).items;
    expect(found?.id).toBe(mine.id);
    expect(await Array.fromAsync(forum.notifications.list({ unread: true }))).toEqual([]);
    expect(await forum.notifications.unreadCount()).toBe(0);
    expect(await forum.dailyStats({ from: "2026-01-01", to: "2026-01-02" })).toHaveLength(2);
  });
});
