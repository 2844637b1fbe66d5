/** `Idempotency-Key` on `POST /posts/{id}/comments`. */
import { createExecutionContext, createScheduledController, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { eq } from "drizzle-orm";
import { describe, it } from "vitest";
import { comments } from "../src/db/schema/comments.ts";
import worker from "../src/index.ts";
import { db } from "./support/database.ts";
import { type Account, bodyOf, post, registerUser, unique } from "./support/factories.ts";
import {
  type Comment,
  home,
  newPost,
  readPost,
  settledComment,
  thread,
  writeComment,
} from "./support/threads.ts";

const write = (author: Account, postId: number, key: string, content: unknown = "c") =>
  writeComment(author, postId, content, { "idempotency-key": key });

describe("Idempotency-Key of a comment", () => {
  it("makes 20 simultaneous requests one comment, of which all are told", async ({ expect }) => {
    const { id: postId, author } = await newPost();
    const key = unique("key ");
    const answers = await Promise.all(Array.from({ length: 20 }, () => write(author, postId, key)));
    expect(answers.map(({ status }) => status)).toEqual(Array<number>(20).fill(201));
    const [first] = answers;
    for (const { body } of answers) expect(body).toEqual(first?.body);
    expect(await thread(postId, author.client)).toEqual([first?.body]);
    expect((await readPost(postId)).commentCount).toBe(1);
    await settledComment(first?.body.id ?? 0);
    expect((await readPost(postId)).commentCount).toBe(1);
  });

  it("gives the same answer to a repeat, however the JSON is spelled", async ({ expect }) => {
    const { id: postId, author } = await newPost();
    const key = unique("key-");
    const first = await write(author, postId, key, "t");
    const repeat = await author.client.request<Comment>("POST", `/api/posts/${postId}/comments`, {
      body: '{ "content"\n: "\\u0074" }',
      headers: { "content-type": "application/json; charset=utf-8", "idempotency-key": key },
    });
    expect([repeat.status, repeat.body]).toEqual([201, first.body]);
    expect(await thread(postId)).toHaveLength(1);
  });

  it("refuses another content under the same key, and writes nothing", async ({ expect }) => {
    const { id: postId, author } = await newPost();
    const key = unique("key-");
    expect((await write(author, postId, key)).status).toBe(201);
    for (const content of ["C", "c ", "ｃ"]) {
      const { status, body } = await write(author, postId, key, content);
      expect([status, body.code]).toEqual([422, "idempotency_conflict"]);
    }
    expect((await thread(postId)).map(({ content }) => content)).toEqual(["c"]);
  });

  it("belongs to its user and post, and other keys make other comments", async ({ expect }) => {
    const [one, two] = [await registerUser(), await registerUser()];
    const [left, right] = [await newPost(), await newPost()];
    const key = unique("key-");
    const answers = [
      await write(one, left.id, key),
      await write(two, left.id, key),
      await write(one, right.id, key),
      await write(one, left.id, `${key}x`),
      await writeComment(one, left.id, "c"),
    ];
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201, 201]);
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(5);
  });

  it("does not meet the same key of a post", async ({ expect }) => {
    const { author, boardId } = await home();
    const key = unique("key-");
    const { id: postId } = await post(author, { boardId });
    const input = { boardId, title: "t", content: "c" };
    const made = await author.client.post("/api/posts", input, { "idempotency-key": key });
    expect([made.status, (await write(author, postId, key)).status]).toEqual([201, 201]);
  });

  it("is not used up by a refused request", async ({ expect }) => {
    const { id: postId, author } = await newPost();
    const key = unique("key-");
    expect((await write(author, postId, key, "")).status).toBe(422);
    expect((await write(author, Number.MAX_SAFE_INTEGER, key)).status).toBe(404);
    expect((await write(author, postId, key)).status).toBe(201);
  });

  it("gives the same id after an edit and after a deletion, and brings nothing back", async ({ expect }) => {
    const { id: postId, author } = await newPost();
    const key = unique("key-");
    const { id } = (await write(author, postId, key)).body;
    bodyOf(await author.client.patch(`/api/comments/${id}`, { content: "edited" }), 200);
    expect((await write(author, postId, key)).body).toMatchObject({ id, content: "edited", version: 2 });
    bodyOf(await author.client.delete<string>(`/api/comments/${id}`), 204);
    const { status, body } = await write(author, postId, key);
    expect([status, body.id, body.content, body.author]).toEqual([201, id, null, null]);
    expect(await thread(postId)).toHaveLength(1);
    expect((await readPost(postId)).commentCount).toBe(0);
  });

  it("of a comment on a deleted post finds nothing", async ({ expect }) => {
    const { id: postId, author } = await newPost();
    const key = unique("key-");
    expect((await write(author, postId, key)).status).toBe(201);
    bodyOf(await author.client.delete<string>(`/api/posts/${postId}`), 204);
    const { status, body } = await write(author, postId, key);
    expect([status, body.code]).toEqual([404, "not_found"]);
  });

  it.for([
    { name: "256 characters", key: "x".repeat(256) },
    { name: "no characters", key: "" },
    { name: "a tab inside", key: "a\tb" },
  ])("is refused with $name", async ({ key }, { expect }) => {
    const { id: postId, author } = await newPost();
    const { status, body } = await write(author, postId, key);
    expect([status, body.code, body.errors?.[0]?.path]).toEqual([
      422,
      "validation_failed",
      "idempotency-key",
    ]);
    expect(await thread(postId)).toEqual([]);
  });

  it("lives for more than a day, and is forgotten by the hourly trigger after two", async ({ expect }) => {
    const { id: postId, author } = await newPost();
    const [young, old] = [unique("young-"), unique("old-")];
    const ids = new Map<string, number>();
    for (const [key, hours] of [
      [young, 25],
      [old, 49],
    ] as const) {
      const { id } = (await write(author, postId, key)).body;
      await settledComment(id);
      const createdAt = new Date(Date.now() - hours * 3_600_000);
      await db.update(comments).set({ createdAt }).where(eq(comments.id, id));
      ids.set(key, id);
    }
    const context = createExecutionContext();
    await worker.scheduled(createScheduledController({ cron: "17 * * * *" }), env, context);
    await waitOnExecutionContext(context);
    expect((await write(author, postId, young)).body.id).toBe(ids.get(young));
    const again = await write(author, postId, old);
    expect([again.status, again.body.id > (ids.get(old) ?? 0)]).toEqual([201, true]);
  });
});
