/** Writing, changing and deleting comments. */
import { sql } from "drizzle-orm";
import { describe, it } from "vitest";
import { comments } from "../src/db/schema/comments.ts";
import { anonymous, type Problem } from "./support/client.ts";
import { db } from "./support/database.ts";
import { type Account, bodyOf, registerUser, sharedAdmin } from "./support/factories.ts";
import {
  type Comment,
  comment,
  commentRow,
  newPost,
  readPost,
  thread,
  writeComment,
} from "./support/threads.ts";

const paths = (problem: Problem) => problem.errors?.map((error) => error.path);
const MISSING = Number.MAX_SAFE_INTEGER;

/** Contents that must come back byte for byte. */
const TEXTS = [
  { name: "Hangul", text: "안녕하세요 — 한글" },
  { name: "emoji of several code points", text: "👩‍👩‍👧‍👦 🏳️‍🌈 🇰🇷 👍🏽" },
  { name: "markup", text: "<script>alert('x')</script><!-- & &amp; -->" },
  { name: "quotes and backslashes", text: `'"\`\\ \\' \\" \\\\ '' "" \\0 \\n` },
  { name: "placeholders of SQL and of drivers", text: "? ?? :name ${x} %s $1 -- ; /* */ # {0}" },
  { name: "control characters", text: "a\u0000b\u0001c\u001A\u007F\u0085 d" },
  { name: "line ends and white space around", text: "  a\nb\r\nc\u2028d\t\u3000" },
  { name: "decomposed characters", text: "e\u0301 한글".normalize("NFD") },
  { name: "invisible characters", text: "a\u200Bb\u200Dc\uFEFFd\u202Ee" },
  { name: "a byte order mark in front", text: "\uFEFFx" },
];

/** What a body must not be, with the path that the refusal names. */
const REFUSALS: { rule: string; body: unknown; path: string }[] = [
  { rule: "5,001 letters", body: { content: "x".repeat(5_001) }, path: "content" },
  { rule: "5,001 Hangul syllables", body: { content: "가".repeat(5_001) }, path: "content" },
  { rule: "5,001 emoji", body: { content: "🙂".repeat(5_001) }, path: "content" },
  { rule: "an empty content", body: { content: "" }, path: "content" },
  { rule: "a blank content", body: { content: " \u3000\n\t\u00A0" }, path: "content" },
  { rule: "no content", body: {}, path: "content" },
  { rule: "null", body: { content: null }, path: "content" },
  { rule: "a number", body: { content: 7 }, path: "content" },
  { rule: "a list", body: { content: ["x"] }, path: "content" },
  { rule: "a lone high surrogate", body: { content: "a\uD83Db" }, path: "content" },
  { rule: "a lone low surrogate", body: { content: "\uDE42" }, path: "content" },
  { rule: "a field that is not known", body: { content: "x", mood: "good" }, path: "mood" },
  { rule: "an author", body: { content: "x", authorId: 1 }, path: "authorId" },
  { rule: "a version", body: { content: "x", version: 7 }, path: "version" },
  { rule: "a body that is no object", body: "x", path: "" },
];

describe("POST /posts/{id}/comments", () => {
  it("creates a comment and answers with the whole of it", async ({ expect }) => {
    const [author, { id: postId }] = [await registerUser(), await newPost()];
    const { status, body } = await writeComment(author, postId, "Well said.");
    expect(status).toBe(201);
    expect(body).toEqual({
      id: expect.any(Number) as number,
      postId,
      author: { id: author.id, username: author.username },
      content: "Well said.",
      likeCount: 0,
      version: 1,
      createdAt: expect.any(String) as string,
      updatedAt: body.createdAt,
      deletedAt: null,
      likedByMe: false,
    });
    expect(await thread(postId)).toEqual([{ ...body, likedByMe: null }]);
    expect(await thread(postId, author.client)).toEqual([body]);
  });

  it.for(TEXTS)("stores and returns $name byte for byte", async ({ text }, { expect }) => {
    const { id: postId, author } = await newPost();
    const { id, content } = await comment(author, postId, text);
    const edited = bodyOf(
      await author.client.patch<Comment>(`/api/comments/${id}`, { content: `${text}.` }),
      200,
    );
    const [listed] = await thread(postId);
    expect([content, edited.content, listed?.content]).toEqual([text, `${text}.`, `${text}.`]);
  });

  it.for(["x", "가", "🙂"])("takes 5,000 times %s", async (character, { expect }) => {
    const { id: postId, author } = await newPost();
    const text = character.repeat(5_000);
    expect((await comment(author, postId, text)).content === text).toBe(true);
    expect((await thread(postId))[0]?.content === text).toBe(true);
  });

  it.for(REFUSALS)("refuses $rule, and writes nothing", async ({ body, path }, { expect }) => {
    const { id: postId, author } = await newPost();
    const answer = await author.client.post(`/api/posts/${postId}/comments`, body);
    expect([answer.status, answer.body.code]).toEqual([422, "validation_failed"]);
    expect(new Set(paths(answer.body))).toEqual(new Set([path]));
    expect([await thread(postId), (await readPost(postId)).commentCount]).toEqual([[], 0]);
  });

  it.for([
    { rule: "JSON that does not parse", body: '{"content":', type: "application/json", status: 400 },
    { rule: "a form", body: "content=x", type: "application/x-www-form-urlencoded", status: 415 },
    {
      rule: "a body over 64 KiB",
      body: `{"content":"${"x".repeat(65_536)}"}`,
      type: "application/json",
      status: 413,
    },
  ])("answers $rule with $status", async ({ body, type, status }, { expect }) => {
    const { id: postId, author } = await newPost();
    const answer = await author.client.request("POST", `/api/posts/${postId}/comments`, {
      body,
      headers: { "content-type": type },
    });
    expect(answer.status).toBe(status);
    expect(await thread(postId)).toEqual([]);
  });

  it("does not find a post that never was, was deleted, or has no id", async ({ expect }) => {
    const { id: deleted, author } = await newPost();
    bodyOf(await author.client.delete<string>(`/api/posts/${deleted}`), 204);
    for (const id of [MISSING, deleted]) {
      const { status, body } = await writeComment(author, id, "x");
      expect([status, body.code]).toEqual([404, "not_found"]);
    }
    for (const id of ["0", "-1", "1.5", "x", "9".repeat(20)]) {
      const { status, body } = await author.client.post(`/api/posts/${id}/comments`, { content: "x" });
      expect([status, body.code]).toEqual([422, "validation_failed"]);
    }
  });
});

describe("PATCH /comments/{id}", () => {
  it("changes the content, raises the version and keeps the rest", async ({ expect }) => {
    const { id: postId, author } = await newPost();
    const before = await comment(author, postId);
    const answer = await author.client.patch<Comment>(`/api/comments/${before.id}`, {
      content: "두 번째 🙂",
    });
    const { updatedAt } = answer.body;
    expect([answer.status, answer.body]).toEqual([
      200,
      { ...before, content: "두 번째 🙂", version: 2, updatedAt },
    ]);
    expect(updatedAt > before.updatedAt).toBe(true);
    expect(await thread(postId, author.client)).toEqual([answer.body]);
  });

  it.for(REFUSALS)("refuses $rule, and changes nothing", async ({ body, path }, { expect }) => {
    const { id: postId, author } = await newPost();
    const before = await comment(author, postId);
    const answer = await author.client.patch(`/api/comments/${before.id}`, body);
    expect([answer.status, answer.body.code]).toEqual([422, "validation_failed"]);
    expect(new Set(paths(answer.body))).toEqual(new Set([path]));
    expect(await thread(postId, author.client)).toEqual([before]);
  });

  it("lets one of 10 simultaneous edits of one version through", async ({ expect }) => {
    const { id: postId, author } = await newPost();
    const { id } = await comment(author, postId);
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        author.client.patch<Comment>(`/api/comments/${id}`, { content: `${index}` }, { "if-match": '"1"' }),
      ),
    );
    const winners = answers.filter(({ status }) => status === 200);
    expect(winners).toHaveLength(1);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 412]));
    expect(await thread(postId, author.client)).toEqual([winners[0]?.body]);
  });
});

describe("DELETE /comments/{id}", () => {
  it("leaves an empty place and gives nothing of the comment away", async ({ expect }) => {
    const { id: postId, author } = await newPost();
    const before = await comment(author, postId, "a secret");
    const { status, body } = await author.client.delete<string>(`/api/comments/${before.id}`);
    expect([status, body]).toEqual([204, ""]);
    const [tombstone] = await thread(postId, author.client);
    expect(tombstone).toEqual({
      ...before,
      author: null,
      content: null,
      updatedAt: tombstone?.deletedAt,
      deletedAt: expect.any(String) as string,
    });
    expect((await commentRow(before.id)).content).not.toContain("secret");
  });

  it("happens once: what is deleted is not found by later writes", async ({ expect }) => {
    const { id: postId, author } = await newPost();
    const { id } = await comment(author, postId);
    const path = `/api/comments/${id}`;
    const first = await Promise.all(Array.from({ length: 8 }, () => author.client.delete(path)));
    expect(first.map(({ status }) => status).sort((a, b) => a - b)).toEqual([
      204,
      ...Array<number>(7).fill(404),
    ]);
    for (const { status, body } of [
      await author.client.delete(path),
      await author.client.patch(path, { content: "x" }),
      await author.client.put(`${path}/like`),
      await author.client.delete(`${path}/like`),
    ]) {
      expect([status, body.code]).toEqual([404, "not_found"]);
    }
    expect((await readPost(postId)).commentCount).toBe(0);
  });
});

describe("a comment of a deleted post", () => {
  it.for([
    { method: "PATCH", path: "", json: { content: "x" } },
    { method: "DELETE", path: "" },
    { method: "PUT", path: "/like" },
    { method: "DELETE", path: "/like" },
  ])("is not found by $method $path, and stays as it was", async ({ method, path, json }, { expect }) => {
    const { id: postId, author } = await newPost();
    const { id } = await comment(author, postId);
    bodyOf(await author.client.put(`/api/comments/${id}/like`), 200);
    bodyOf(await author.client.delete<string>(`/api/posts/${postId}`), 204);
    const { content, version, deletedAt, likeCount } = await commentRow(id);
    const answer = await author.client.request(method, `/api/comments/${id}${path}`, json ? { json } : {});
    expect([answer.status, answer.body.code]).toEqual([404, "not_found"]);
    expect(await commentRow(id)).toMatchObject({ content, version, deletedAt, likeCount });
  });
});

describe("If-Match on a comment", () => {
  const send = (method: string, author: Account, id: number, tag: string) =>
    author.client.request(method, `/api/comments/${id}`, {
      headers: { "if-match": tag },
      ...(method === "PATCH" ? { json: { content: "x" } } : {}),
    });

  it.for(["PATCH", "DELETE"])("lets a %s of the right version through", async (method, { expect }) => {
    const { id: postId, author } = await newPost();
    for (const tag of ['"1"', "*", 'W/"1"']) {
      const { id } = await comment(author, postId);
      expect((await send(method, author, id, tag)).status).toBe(method === "PATCH" ? 200 : 204);
    }
  });

  it.for(["PATCH", "DELETE"])("stops a %s of another version", async (method, { expect }) => {
    const { id: postId, author } = await newPost();
    const { id } = await comment(author, postId);
    bodyOf(await author.client.patch<Comment>(`/api/comments/${id}`, { content: "second" }), 200);
    for (const tag of ['"1"', '"3"', '"0"']) {
      const { status, body } = await send(method, author, id, tag);
      expect([status, body.code]).toEqual([412, "version_mismatch"]);
    }
    expect(await thread(postId)).toMatchObject([{ content: "second", version: 2, deletedAt: null }]);
  });

  it.for(["PATCH", "DELETE"])("that is no version refuses a %s", async (method, { expect }) => {
    const { id: postId, author } = await newPost();
    const { id } = await comment(author, postId);
    for (const tag of ["1", '"x"', '""', `"${"9".repeat(30)}"`]) {
      const { status, body } = await send(method, author, id, tag);
      expect([status, body.code, paths(body)]).toEqual([422, "validation_failed", ["if-match"]]);
    }
    expect(await thread(postId)).toMatchObject([{ version: 1, deletedAt: null }]);
  });

  it("does not tell a stranger which version there is", async ({ expect }) => {
    const { id: postId, author } = await newPost();
    const { id } = await comment(author, postId);
    const stranger = await registerUser();
    for (const method of ["PATCH", "DELETE"]) {
      expect((await send(method, stranger, id, '"7"')).status).toBe(403);
    }
  });
});

describe("who may change a comment", () => {
  it("an admin, whose edit stays the author's", async ({ expect }) => {
    const { id: postId, author } = await newPost();
    const written = await comment(author, postId);
    const { client } = await sharedAdmin();
    const edited = await client.patch<Comment>(`/api/comments/${written.id}`, { content: "moderated" });
    expect([edited.status, edited.body.author, edited.body.version]).toEqual([200, written.author, 2]);
    expect((await client.delete<string>(`/api/comments/${written.id}`)).status).toBe(204);
  });

  it("not the author of the post", async ({ expect }) => {
    const [host, guest] = [await registerUser(), await registerUser()];
    const { id: postId } = await newPost(host);
    const written = await comment(guest, postId);
    for (const { status, body } of [
      await host.client.patch(`/api/comments/${written.id}`, { content: "x" }),
      await host.client.delete(`/api/comments/${written.id}`),
    ]) {
      expect([status, body.code]).toEqual([403, "forbidden"]);
    }
    expect(await thread(postId, guest.client)).toEqual([written]);
  });

  it("nobody, where there is no comment", async ({ expect }) => {
    for (const { client } of [await registerUser(), await sharedAdmin()]) {
      expect((await client.patch(`/api/comments/${MISSING}`, { content: "x" })).status).toBe(404);
      expect((await client.delete(`/api/comments/${MISSING}`)).status).toBe(404);
    }
  });
});

describe("a comment of an erased account", () => {
  it("keeps its place and content without an author", async ({ expect }) => {
    const guest = await registerUser();
    const { id: postId } = await newPost();
    const written = await comment(guest, postId);
    bodyOf(
      await guest.client.request<string>("DELETE", "/api/users/me", {
        json: { password: guest.password },
      }),
      204,
    );
    expect(await thread(postId)).toEqual([{ ...written, author: null, likedByMe: null }]);
    expect((await readPost(postId)).commentCount).toBe(1);
  });
});

describe("without a user", () => {
  it("nothing is written", async ({ expect }) => {
    const { id: postId } = await newPost();
    const { status } = await anonymous().post(`/api/posts/${postId}/comments`, { content: "x" });
    expect(status).toBe(401);
    const [row] = await db
      .select({ count: sql<number>`count(*)`.mapWith(Number) })
      .from(comments)
      .where(sql`${comments.postId} = ${postId}`);
    expect(row?.count).toBe(0);
  });
});
