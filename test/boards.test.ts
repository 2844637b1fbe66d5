/** Boards: order, permissions, conflicts, counts. */
import { eq, sql } from "drizzle-orm";
import { describe, it } from "vitest";
import { posts } from "../src/db/schema/posts.ts";
import {
  anonymous,
  type Board,
  type Page,
  type Post,
  type PostSummary,
  type Problem,
} from "./support/client.ts";
import { db } from "./support/database.ts";
import { board, bodyOf, post, registerUser, sharedAdmin, unique } from "./support/factories.ts";
import { waitUntil } from "./support/patience.ts";

const paths = (problem: Problem) => problem.errors?.map((error) => error.path);
const find = async (id: number) => bodyOf(await anonymous().get<Board>(`/api/boards/${id}`), 200);

/** All boards, in pages of `limit`. */
async function walk(limit = 100, between?: () => Promise<unknown>): Promise<Board[]> {
  const items: Board[] = [];
  for (let cursor: string | null = ""; cursor !== null;) {
    const query: string = cursor === "" ? "" : `&cursor=${cursor}`;
    const { body } = await anonymous().get<Page<Board>>(`/api/boards?limit=${limit}${query}`);
    items.push(...body.items);
    cursor = body.nextCursor;
    await between?.();
  }
  return items;
}

describe("POST /boards", () => {
  it("creates a board", async ({ expect }) => {
    const { client } = await sharedAdmin();
    const input = {
      name: "공지 📣 <b>&amp;</b>",
      slug: unique("board-"),
      description: `It's "quoted" \\ ? :name`,
      position: 5,
    };
    const { status, body, headers } = await client.post<Board>("/api/boards", input);
    expect(status).toBe(201);
    expect(body).toMatchObject({ ...input, postCount: 0 });
    expect(headers.get("location")).toBe(`/api/boards/${body.id}`);
    expect(await find(body.id)).toEqual(body);
  });

  it("fills in what is left out", async ({ expect }) => {
    const { client } = await sharedAdmin();
    const { body } = await client.post<Board>("/api/boards", { name: "x", slug: unique("b") });
    expect(body).toMatchObject({ description: "", position: 0, postCount: 0 });
  });

  it("counts characters, not UTF-16 units or bytes", async ({ expect }) => {
    const { client } = await sharedAdmin();
    const fits = { name: "🙂".repeat(100), slug: unique("b"), description: "가".repeat(500) };
    expect((await client.post<Board>("/api/boards", fits)).body).toMatchObject(fits);
    const over = { name: "🙂".repeat(101), slug: unique("b"), description: "가".repeat(501) };
    const { status, body } = await client.post("/api/boards", over);
    expect([status, paths(body)]).toEqual([422, ["name", "description"]]);
  });

  it("names the slug that is taken", async ({ expect }) => {
    const { slug } = await board();
    const { client } = await sharedAdmin();
    const { status, body } = await client.post("/api/boards", { name: "x", slug });
    expect([status, body.code, paths(body)]).toEqual([409, "conflict", ["slug"]]);
  });

  it.for(
    [
      { rule: "capital letters", change: { slug: "Upper" } },
      { rule: "two hyphens in a row", change: { slug: "a--b" } },
      { rule: "a hyphen in front", change: { slug: "-a" } },
      { rule: "an underscore", change: { slug: "a_b" } },
      { rule: "Hangul", change: { slug: "한글" } },
      { rule: "nothing in it", change: { slug: "" } },
      { rule: "a line feed at its end", change: { slug: "a\n" } },
      { rule: "61 characters", change: { slug: "x".repeat(61) } },
      { rule: "nothing in it", change: { name: "" } },
      { rule: "white space alone", change: { name: " \u3000\t" } },
      { rule: "a lone surrogate", change: { name: "\uD83D" } },
      { rule: "a fraction", change: { position: 1.5 } },
      { rule: "more than a million", change: { position: 1_000_001 } },
      { rule: "a text", change: { position: "1" } },
      { rule: "any value", change: { postCount: 7 } },
    ].map((row) => ({ ...row, path: Object.keys(row.change)[0] })),
  )("refuses $path with $rule", async ({ path, change }, { expect }) => {
    const { client } = await sharedAdmin();
    const { status, body } = await client.post("/api/boards", { name: "x", slug: unique("b"), ...change });
    expect([status, body.code]).toEqual([422, "validation_failed"]);
    expect(new Set(paths(body))).toEqual(new Set([path]));
  });
});

describe("PATCH /boards/{id}", () => {
  it("changes what is given and nothing else", async ({ expect }) => {
    const before = await board({ description: "before" });
    const { client } = await sharedAdmin();
    const { status, body } = await client.patch<Board>(`/api/boards/${before.id}`, { description: "" });
    expect(status).toBe(200);
    expect(body).toEqual({ ...before, description: "" });
    expect(await find(before.id)).toEqual(body);
  });

  it("shows a new name and slug at once in posts that are cached", async ({ expect }) => {
    const { id, board } = await post(await registerUser());
    const { client } = await sharedAdmin();
    const reader = anonymous();
    const path = `/api/posts/${id}`;
    await reader.get<Post>(path);
    const before = await reader.get<Post>(path);
    for (let round = 0; round < 3; round += 1) {
      const change = { name: unique("Renamed "), slug: unique("renamed-") };
      bodyOf(await client.patch<Board>(`/api/boards/${board.id}`, change), 200);
      const { body, headers } = await reader.get<Post>(path);
      expect(body.board).toEqual({ id: board.id, ...change });
      expect(headers.get("etag")).not.toBe(before.headers.get("etag"));
      const list = await reader.get<Page<PostSummary>>(`/api/posts?boardId=${board.id}`);
      expect(list.body.items).toMatchObject([{ board: change }]);
      const { body: written } = await client.post<Post>("/api/posts", {
        boardId: board.id,
        title: "t",
        content: "c",
      });
      expect(written.board).toEqual({ id: board.id, ...change });
      bodyOf(await client.delete<string>(`/api/posts/${written.id}`), 204);
    }
  });

  it("names the slug that is taken, and lets a board keep its own", async ({ expect }) => {
    const [one, two] = [await board(), await board()];
    const { client } = await sharedAdmin();
    const { status, body } = await client.patch(`/api/boards/${one.id}`, { slug: two.slug });
    expect([status, body.code, paths(body)]).toEqual([409, "conflict", ["slug"]]);
    expect((await client.patch(`/api/boards/${one.id}`, { slug: one.slug })).status).toBe(200);
  });

  it("refuses nothing, unknown fields, and boards that are not there", async ({ expect }) => {
    const { id } = await board();
    const { client } = await sharedAdmin();
    expect((await client.patch(`/api/boards/${id}`, {})).status).toBe(422);
    expect(paths((await client.patch(`/api/boards/${id}`, { id: 7 })).body)).toEqual(["id"]);
    const { status, body } = await client.patch("/api/boards/9007199254740991", { name: "x" });
    expect([status, body.code]).toEqual([404, "not_found"]);
  });
});

describe("DELETE /boards/{id}", () => {
  it("deletes a board without posts", async ({ expect }) => {
    const { id } = await board();
    const { client } = await sharedAdmin();
    const { status, body } = await client.delete<string>(`/api/boards/${id}`);
    expect([status, body]).toEqual([204, ""]);
    expect((await anonymous().get(`/api/boards/${id}`)).status).toBe(404);
    expect((await client.delete(`/api/boards/${id}`)).status).toBe(404);
  });

  it("refuses while there are posts, and not after the last one was deleted", async ({ expect }) => {
    const { id: boardId } = await board();
    const author = await registerUser();
    const written = [await post(author, { boardId }), await post(author, { boardId })];
    const { client } = await sharedAdmin();
    for (const { id } of written) {
      const { status, body } = await client.delete(`/api/boards/${boardId}`);
      expect([status, body.code]).toEqual([409, "conflict"]);
      bodyOf(await author.client.delete<string>(`/api/posts/${id}`), 204);
    }
    expect((await client.delete<string>(`/api/boards/${boardId}`)).status).toBe(204);
  });

  it("never leaves a post without its board when both happen at once", async ({ expect }) => {
    const { client } = await sharedAdmin();
    const author = await registerUser();
    for (let round = 0; round < 5; round += 1) {
      const { id: boardId } = await board();
      const [written, deleted] = await Promise.all([
        author.client.post("/api/posts", { boardId, title: "t", content: "c" }),
        client.delete(`/api/boards/${boardId}`),
      ]);
      expect([
        [201, 409],
        [422, 204],
      ]).toContainEqual([written.status, deleted.status]);
    }
  });
});

describe("who may", () => {
  it("change boards: admins alone", async ({ expect }) => {
    const { id } = await board();
    const { client } = await registerUser();
    const answers = [
      await client.post("/api/boards", { name: "x", slug: unique("b") }),
      await client.patch(`/api/boards/${id}`, { name: "x" }),
      await client.delete(`/api/boards/${id}`),
    ];
    for (const { status, body } of answers) expect([status, body.code]).toEqual([403, "forbidden"]);
    expect((await find(id)).name).not.toBe("x");
  });
});

describe("GET /boards", () => {
  it("lists by position, then by age, in pages of any size", async ({ expect }) => {
    const made = [
      await board({ position: 7 }),
      await board({ position: -3 }),
      await board({ position: 7 }),
      await board({ position: -4 }),
    ];
    const ids = new Set(made.map(({ id }) => id));
    const wanted = [made[3], made[1], made[0], made[2]].map((item) => item?.id);
    for (const limit of [100, 37]) {
      const boards = await walk(limit);
      expect(boards.map(({ id }) => id).filter((id) => ids.has(id))).toEqual(wanted);
      expect(new Set(boards.map(({ id }) => id)).size).toBe(boards.length);
    }
  });

  it("neither repeats nor skips a board while others come and go", async ({ expect }) => {
    const { client } = await sharedAdmin();
    const staying = [
      await board({ position: -500 }),
      await board({ position: 0 }),
      await board({ position: 500 }),
    ];
    const boards = await walk(50, async () => {
      const early = await board({ position: -999_999 });
      bodyOf(await client.delete<string>(`/api/boards/${early.id}`), 204);
      await board({ position: 999_999 });
    });
    const seen = boards.map(({ id }) => id);
    for (const { id } of staying) expect(seen.filter((other) => other === id)).toEqual([id]);
    expect(new Set(seen).size).toBe(seen.length);
  });
});

describe("postCount", () => {
  it("follows posts as they are written and deleted", async ({ expect }) => {
    const { id: boardId } = await board();
    const author = await registerUser();
    const written: Post[] = [];
    for (let count = 1; count <= 3; count += 1) {
      written.push(await post(author, { boardId }));
      expect((await find(boardId)).postCount).toBe(count);
    }
    for (const [index, { id }] of written.entries()) {
      bodyOf(await author.client.delete<string>(`/api/posts/${id}`), 204);
      expect((await find(boardId)).postCount).toBe(2 - index);
    }
  });

  it("is exact for 20 posts written and half of them deleted side by side", async ({ expect }) => {
    const { id: boardId } = await board();
    const author = await registerUser();
    const written = await Promise.all(Array.from({ length: 20 }, () => post(author, { boardId })));
    await Promise.all(written.slice(0, 10).map(({ id }) => author.client.delete<string>(`/api/posts/${id}`)));
    expect((await find(boardId)).postCount).toBe(10);
    const due = () =>
      db
        .select({ left: sql<number>`count(*)`.mapWith(Number) })
        .from(posts)
        .where(sql`${posts.boardId} = ${boardId} and ${posts.effectsDueAt} is not null`);
    await waitUntil(async () => (await due())[0]?.left === 0);
    expect((await find(boardId)).postCount).toBe(10);
  });

  it("includes a post whose effects are still due", async ({ expect }) => {
    const { id: boardId } = await board();
    const author = await registerUser();
    await post(author, { boardId });
    await waitUntil(async () => {
      const [row] = await db.select().from(posts).where(eq(posts.boardId, boardId));
      return row?.counted === true;
    });
    await db.insert(posts).values({
      boardId,
      authorId: author.id,
      title: "t",
      content: "c",
      excerpt: "c",
      effectsDueAt: new Date(),
      createdAt: new Date(),
      updatedAt: new Date(),
    });
    expect((await find(boardId)).postCount).toBe(2);
    const listed = (await walk()).find(({ id }) => id === boardId);
    expect(listed?.postCount).toBe(2);
  });
});
