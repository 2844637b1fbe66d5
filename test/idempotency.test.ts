/** `Idempotency-Key` on `POST /posts`. */
import { eq, sql } from "drizzle-orm";
import { describe, it } from "vitest";
import { posts } from "../src/db/schema/posts.ts";
import { anonymous, type Page, type Post, type Problem } from "./support/client.ts";
import { db } from "./support/database.ts";
import { type Account, board, bodyOf, registerUser, unique } from "./support/factories.ts";

const write = (author: Account, boardId: number, key: string, fields: Record<string, unknown> = {}) =>
  author.client.post<Post & Problem>(
    "/api/posts",
    { boardId, title: "t", content: "c", ...fields },
    { "idempotency-key": key },
  );

const countOf = async (boardId: number) => {
  const [row] = await db
    .select({ count: sql<number>`count(*)`.mapWith(Number) })
    .from(posts)
    .where(eq(posts.boardId, boardId));
  return row?.count;
};

describe("Idempotency-Key", () => {
  it("makes 20 simultaneous requests one post, of which all are told", async ({ expect }) => {
    const author = await registerUser();
    const { id: boardId } = await board();
    const key = unique("key ");
    const answers = await Promise.all(Array.from({ length: 20 }, () => write(author, boardId, key)));
    expect(answers.map(({ status }) => status)).toEqual(Array<number>(20).fill(201));
    const ids = new Set(answers.map(({ body }) => body.id));
    expect(ids.size).toBe(1);
    expect(new Set(answers.map(({ headers }) => headers.get("location"))).size).toBe(1);
    expect(await countOf(boardId)).toBe(1);
    const { body } = await anonymous().get<Page<Post>>(`/api/posts?boardId=${boardId}`);
    expect(body.items.map(({ id }) => id)).toEqual([...ids]);
  });

  it("gives the same answer to a repeat, also when fields come in another order", async ({ expect }) => {
    const author = await registerUser();
    const { id: boardId } = await board();
    const key = unique("key-");
    const first = await write(author, boardId, key);
    const reordered = await author.client.request<Post>("POST", "/api/posts", {
      body: `{ "content": "c",\n "title": "\\u0074", "boardId": ${boardId} }`,
      headers: { "content-type": "application/json; charset=utf-8", "idempotency-key": key },
    });
    expect([reordered.status, reordered.body]).toEqual([201, first.body]);
    expect(reordered.headers.get("location")).toBe(first.headers.get("location"));
    expect(reordered.headers.get("etag")).toBe(first.headers.get("etag"));
    expect(await countOf(boardId)).toBe(1);
  });

  it("refuses another body under the same key, and writes nothing", async ({ expect }) => {
    const author = await registerUser();
    const [{ id: boardId }, other] = [await board(), await board()];
    const key = unique("key-");
    bodyOf(await write(author, boardId, key), 201);
    for (const fields of [{ title: "T" }, { content: "c " }, { boardId: other.id }]) {
      const { status, body } = await write(author, boardId, key, fields);
      expect([status, body.code]).toEqual([422, "idempotency_conflict"]);
    }
    expect([await countOf(boardId), await countOf(other.id)]).toEqual([1, 0]);
  });

  it("belongs to its user, and other keys make other posts", async ({ expect }) => {
    const [one, two] = [await registerUser(), await registerUser()];
    const { id: boardId } = await board();
    const key = unique("key-");
    const answers = [
      await write(one, boardId, key),
      await write(two, boardId, key),
      await write(one, boardId, `${key}x`),
      await write(one, boardId, key.toUpperCase()),
      await one.client.post<Post & Problem>("/api/posts", { boardId, title: "t", content: "c" }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201, 201]);
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(5);
  });

  it("is not used up by a refused request", async ({ expect }) => {
    const author = await registerUser();
    const { id: boardId } = await board();
    const key = unique("key-");
    expect((await write(author, boardId, key, { title: "" })).status).toBe(422);
    expect((await write(author, Number.MAX_SAFE_INTEGER, key)).status).toBe(422);
    expect((await write(author, boardId, key)).status).toBe(201);
  });

  it("does not bring back a deleted post", async ({ expect }) => {
    const author = await registerUser();
    const { id: boardId } = await board();
    const key = unique("key-");
    const { body } = await write(author, boardId, key);
    bodyOf(await author.client.delete<string>(`/api/posts/${body.id}`), 204);
    const repeat = await write(author, boardId, key);
    expect([repeat.status, repeat.body.code]).toEqual([409, "conflict"]);
  });

  it.for([
    { name: "255 characters", key: () => unique("").padEnd(255, "x") },
    { name: "every printable ASCII character", key: () => `!"#$%&'()*+,-./:;<=>?@[]^_{|}~\\ ${unique("")}` },
  ])("may have $name", async ({ key }, { expect }) => {
    const author = await registerUser();
    const { id: boardId } = await board();
    const value = key();
    const [first, second] = [await write(author, boardId, value), await write(author, boardId, value)];
    expect([first.status, second.status, second.body.id]).toEqual([201, 201, first.body.id]);
  });

  it.for([
    { name: "256 characters", key: "x".repeat(256) },
    { name: "no characters", key: "" },
    { name: "a tab inside", key: "a\tb" },
  ])("is refused with $name", async ({ key }, { expect }) => {
    const author = await registerUser();
    const { id: boardId } = await board();
    const { status, body } = await write(author, boardId, key);
    expect([status, body.code]).toEqual([422, "validation_failed"]);
    expect(body.errors?.[0]?.path).toBe("idempotency-key");
  });
});
