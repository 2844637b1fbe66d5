/** Writing, reading, changing and deleting posts. */
import { eq } from "drizzle-orm";
import { describe, it } from "vitest";
import { posts } from "../src/db/schema/posts.ts";
import { anonymous, type Post, type Problem, signedIn } from "./support/client.ts";
import { db } from "./support/database.ts";
import { admin, board, bodyOf, post, registerUser, unique } from "./support/factories.ts";

const paths = (problem: Problem) => problem.errors?.map((error) => error.path);
const read = (id: number) => anonymous().get<Post>(`/api/posts/${id}`);

describe("POST /posts", () => {
  it("creates a post and says where it is", async ({ expect }) => {
    const author = await registerUser();
    const { id: boardId, name, slug } = await board();
    const input = { boardId, title: "Hello", content: "First post." };
    const { status, body, headers } = await author.client.post<Post>("/api/posts", input);
    expect(status).toBe(201);
    expect(body).toEqual({
      id: expect.any(Number) as number,
      board: { id: boardId, name, slug },
      author: { id: author.id, username: author.username },
      title: "Hello",
      content: "First post.",
      viewCount: 0,
      likeCount: 0,
      commentCount: 0,
      version: 1,
      createdAt: expect.any(String) as string,
      updatedAt: body.createdAt,
      likedByMe: false,
    });
    expect(headers.get("location")).toBe(`/api/posts/${body.id}`);
    const answer = await read(body.id);
    expect(answer.body).toEqual({ ...body, viewCount: 1, likedByMe: null });
    expect(answer.headers.get("etag")).toBe(headers.get("etag"));
  });

  it.for([
    { name: "Hangul", text: "안녕하세요, 세상 — 한글" },
    { name: "emoji of several code points", text: "👩‍👩‍👧‍👦 🏳️‍🌈 🇰🇷 👍🏽" },
    { name: "markup", text: "<script>alert('x')</script><!-- & &amp; -->" },
    { name: "quotes and backslashes", text: `'"\`\\ \\' \\" \\\\ '' "" \\0 \\n` },
    { name: "placeholders of SQL and of drivers", text: "? ?? :name ${x} %s $1 -- ; /* */ # {0}" },
    { name: "control characters", text: "a\u0000b\u0001c\u001A\u007F\u0085 d" },
    { name: "line ends", text: "a\nb\r\nc\rd\u2028e\u2029f\tg" },
    { name: "white space around", text: "  \u00A0x\u3000  " },
    { name: "decomposed characters", text: "e\u0301 한글".normalize("NFD") },
    { name: "invisible characters", text: "a\u200Bb\u200Dc\uFEFFd\u202Ee" },
    { name: "a byte order mark in front", text: "\uFEFFx" },
    { name: "characters that are no characters", text: "\uFFFE\uFFFF\u{1FFFE}\u{10FFFF}" },
    { name: "JSON", text: '{"a":[1,null,"\\u0000"]}' },
  ])("stores and returns $name byte for byte", async ({ text }, { expect }) => {
    const author = await registerUser();
    const created = await post(author, { title: text, content: text });
    expect([created.title, created.content]).toEqual([text, text]);
    for (let round = 0; round < 2; round += 1) {
      const { body } = await read(created.id);
      expect([body.title, body.content]).toEqual([text, text]);
    }
  });

  it.for([
    { field: "title", count: 200, character: "x" },
    { field: "title", count: 200, character: "가" },
    { field: "title", count: 200, character: "🙂" },
    { field: "content", count: 20_000, character: "x" },
    { field: "content", count: 20_000, character: "가" },
    { field: "content", count: 16_000, character: "🙂" },
  ])("takes a $field of $count times $character", async ({ field, count, character }, { expect }) => {
    const text = character.repeat(count);
    const created = await post(await registerUser(), { [field]: text });
    const { body } = await read(created.id);
    expect(body[field as "title"] === text).toBe(true);
  });

  it.for([
    { rule: "a title of 201 characters", path: "title", change: { title: "x".repeat(201) } },
    { rule: "a title of 201 emoji", path: "title", change: { title: "🙂".repeat(201) } },
    { rule: "an empty title", path: "title", change: { title: "" } },
    { rule: "a blank title", path: "title", change: { title: " \u3000\n" } },
    { rule: "no title", path: "title", change: { title: undefined } },
    { rule: "a title that is no text", path: "title", change: { title: 7 } },
    { rule: "a lone high surrogate", path: "title", change: { title: "a\uD83Db" } },
    { rule: "a lone low surrogate", path: "content", change: { content: "a\uDE42" } },
    { rule: "a content of 20,001 characters", path: "content", change: { content: "x".repeat(20_001) } },
    { rule: "an empty content", path: "content", change: { content: "" } },
    { rule: "a board that is not there", path: "boardId", change: { boardId: Number.MAX_SAFE_INTEGER } },
    { rule: "a board as text", path: "boardId", change: { boardId: "1" } },
    { rule: "a board that is no id", path: "boardId", change: { boardId: 1.5 } },
    { rule: "a board of 0", path: "boardId", change: { boardId: 0 } },
    { rule: "an author", path: "authorId", change: { authorId: 1 } },
    { rule: "an id", path: "id", change: { id: 1 } },
  ])("refuses $rule by naming $path", async ({ path, change }, { expect }) => {
    const author = await registerUser();
    const { id: boardId } = await board();
    const input = { boardId, title: "t", content: "c", ...change };
    const { status, body } = await author.client.post("/api/posts", input);
    expect([status, body.code]).toEqual([422, "validation_failed"]);
    expect(new Set(paths(body))).toEqual(new Set([path]));
  });

  it("names all that is wrong at once", async ({ expect }) => {
    const { client } = await registerUser();
    const { body } = await client.post("/api/posts", { title: "", views: 1, score: 2 });
    expect(new Set(paths(body))).toEqual(new Set(["boardId", "title", "content", "views", "score"]));
  });

  it("does not take a field that JavaScript gives a meaning", async ({ expect }) => {
    const { client } = await registerUser();
    const { id: boardId } = await board();
    const body = `{"boardId":${boardId},"title":"t","content":"c","__proto__":{"role":"admin"}}`;
    const answer = await client.request("POST", "/api/posts", {
      body,
      headers: { "content-type": "application/json" },
    });
    expect(answer.status).toBe(422);
    expect(paths(answer.body)).toEqual(["__proto__"]);
  });
});

describe("GET /posts/{id}", () => {
  it("tells a signed-in reader that it is not liked, and an anonymous one nothing", async ({ expect }) => {
    const { id } = await post(await registerUser());
    const { client } = await registerUser();
    expect((await client.get<Post>(`/api/posts/${id}`)).body.likedByMe).toBe(false);
    expect((await read(id)).body.likedByMe).toBeNull();
  });

  it("sends an ETag that does not depend on who asks, nor on views, nor on the cache", async ({ expect }) => {
    const author = await registerUser();
    const { id } = await post(author);
    const readers = [
      anonymous(),
      author.client,
      anonymous(),
      (await registerUser()).client,
      (await admin()).client,
    ];
    const tags = new Set<string | null>();
    for (const client of readers) tags.add((await client.get<Post>(`/api/posts/${id}`)).headers.get("etag"));
    expect(tags.size).toBe(1);
    expect([...tags][0]).toMatch(/^"1[-"]/);
  });

  it("answers 304 without a body to whoever has the state already", async ({ expect }) => {
    const { id } = await post(await registerUser());
    const client = anonymous();
    const path = `/api/posts/${id}`;
    const etag = (await client.get<Post>(path)).headers.get("etag") ?? "";
    for (const header of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
      const { status, body, headers } = await client.get<string>(path, { "if-none-match": header });
      expect([status, body, headers.get("etag")]).toEqual([304, "", etag]);
    }
    expect((await client.get(path, { "if-none-match": '"other"' })).status).toBe(200);
  });

  it("does not find what never was or was deleted", async ({ expect }) => {
    const author = await registerUser();
    const { id } = await post(author);
    await read(id);
    bodyOf(await author.client.delete<string>(`/api/posts/${id}`), 204);
    for (const missing of [id, Number.MAX_SAFE_INTEGER]) {
      const { status, body } = await anonymous().get(`/api/posts/${missing}`);
      expect([status, body.code]).toEqual([404, "not_found"]);
    }
  });

  it("shows a renamed author at once, in the cache too", async ({ expect }) => {
    const author = await registerUser();
    const { id } = await post(author);
    for (let round = 0; round < 3; round += 1) {
      await read(id);
      const username = unique("renamed-");
      bodyOf(await author.client.patch("/api/users/me", { username }), 200);
      expect((await read(id)).body.author).toEqual({ id: author.id, username });
    }
  });
});

describe("PATCH /posts/{id}", () => {
  it("changes what is given, raises the version and keeps the rest", async ({ expect }) => {
    const author = await registerUser();
    const before = await post(author);
    const { status, body, headers } = await author.client.patch<Post>(`/api/posts/${before.id}`, {
      title: "제목 🙂",
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({ ...before, title: "제목 🙂", version: 2, updatedAt: body.updatedAt });
    expect(body.updatedAt > before.updatedAt).toBe(true);
    const after = await read(before.id);
    expect(after.body).toMatchObject({ title: "제목 🙂", content: before.content, version: 2 });
    expect(after.headers.get("etag")).toBe(headers.get("etag"));
    expect(after.headers.get("etag")).toMatch(/^"2[-"]/);
  });

  it("is seen by the very next read, however often", async ({ expect }) => {
    const author = await registerUser();
    const { id } = await post(author);
    for (let version = 2; version <= 6; version += 1) {
      await read(id);
      bodyOf(await author.client.patch<Post>(`/api/posts/${id}`, { content: `content ${version}` }), 200);
      expect((await read(id)).body).toMatchObject({ content: `content ${version}`, version });
    }
  });

  it("never shows an older state after a newer one to readers at the same time", async ({ expect }) => {
    const author = await registerUser();
    const { id } = await post(author);
    let writing = true;
    const readers = Array.from({ length: 4 }, async () => {
      const seen: number[] = [];
      while (writing) seen.push((await read(id)).body.version);
      return seen;
    });
    for (let count = 0; count < 8; count += 1) {
      bodyOf(await author.client.patch<Post>(`/api/posts/${id}`, { content: `${count}` }), 200);
    }
    writing = false;
    for (const seen of await Promise.all(readers)) expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect((await read(id)).body.version).toBe(9);
  });

  it.for([
    { rule: "nothing", change: {}, path: "" },
    { rule: "a blank title", change: { title: " " }, path: "title" },
    { rule: "an empty content", change: { content: "" }, path: "content" },
    { rule: "null", change: { title: null }, path: "title" },
    { rule: "another board", change: { boardId: 1 }, path: "boardId" },
    { rule: "a version", change: { version: 7 }, path: "version" },
  ])("refuses $rule", async ({ change, path }, { expect }) => {
    const author = await registerUser();
    const { id } = await post(author);
    const { status, body } = await author.client.patch(`/api/posts/${id}`, change);
    expect([status, body.code]).toEqual([422, "validation_failed"]);
    expect(paths(body)).toEqual([path]);
    expect((await read(id)).body.version).toBe(1);
  });
});

describe("If-Match", () => {
  it.for(["PATCH", "DELETE"])(
    "lets a %s through with the right version, an ETag, or *",
    async (method, { expect }) => {
      const author = await registerUser();
      for (const form of [
        () => '"1"',
        () => "*",
        () => 'W/"1"',
        (etag: string) => etag,
        (etag: string) => `W/${etag}`,
      ]) {
        const { id } = await post(author);
        const etag = (await read(id)).headers.get("etag") ?? "";
        const { status } = await author.client.request(method, `/api/posts/${id}`, {
          headers: { "if-match": form(etag) },
          ...(method === "PATCH" ? { json: { title: "t" } } : {}),
        });
        expect(status).toBe(method === "PATCH" ? 200 : 204);
      }
    },
  );

  it.for(["PATCH", "DELETE"])(
    "stops a %s of another version, which changes nothing",
    async (method, { expect }) => {
      const author = await registerUser();
      const { id } = await post(author);
      const stale = (await read(id)).headers.get("etag") ?? "";
      bodyOf(await author.client.patch<Post>(`/api/posts/${id}`, { title: "second" }), 200);
      for (const header of ['"1"', '"3"', '"0"', stale]) {
        const { status, body } = await author.client.request(method, `/api/posts/${id}`, {
          headers: { "if-match": header },
          ...(method === "PATCH" ? { json: { title: "third" } } : {}),
        });
        expect([status, body.code]).toEqual([412, "version_mismatch"]);
      }
      expect((await read(id)).body).toMatchObject({ title: "second", version: 2 });
    },
  );

  it.for(["2", '"x"', '"-1"', '""', '"1" or 1=1', `"${"9".repeat(30)}"`])(
    "is refused when it is %s",
    async (header, { expect }) => {
      const author = await registerUser();
      const { id } = await post(author);
      const { status, body } = await author.client.patch(
        `/api/posts/${id}`,
        { title: "t" },
        { "if-match": header },
      );
      expect([status, body.code]).toEqual([422, "validation_failed"]);
      expect(paths(body)).toEqual(["if-match"]);
    },
  );

  it("lets one of 10 simultaneous edits of one version through", async ({ expect }) => {
    const author = await registerUser();
    const { id } = await post(author);
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        author.client.patch<Post & Problem>(`/api/posts/${id}`, { title: `${index}` }, { "if-match": '"1"' }),
      ),
    );
    const winners = answers.filter(({ status }) => status === 200);
    expect(winners).toHaveLength(1);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 412]));
    expect((await read(id)).body).toMatchObject({ title: winners[0]?.body.title, version: 2 });
  });

  it("says who may before it says which version", async ({ expect }) => {
    const { id } = await post(await registerUser());
    const { client } = await registerUser();
    const { status } = await client.patch(`/api/posts/${id}`, { title: "t" }, { "if-match": '"7"' });
    expect(status).toBe(403);
  });
});

describe("DELETE /posts/{id}", () => {
  it("takes the post away everywhere at once", async ({ expect }) => {
    const author = await registerUser();
    const { id, board } = await post(author);
    await read(id);
    await anonymous().get(`/api/posts/popular?boardId=${board.id}`);
    const { status, body } = await author.client.delete<string>(`/api/posts/${id}`);
    expect([status, body]).toEqual([204, ""]);
    expect((await read(id)).status).toBe(404);
    for (const path of [
      `/api/posts?boardId=${board.id}`,
      `/api/posts/popular?boardId=${board.id}`,
      `/api/users/${author.id}/posts`,
    ]) {
      expect((await anonymous().get(path)).body).toEqual({ items: [], nextCursor: null });
    }
    const [row] = await db.select().from(posts).where(eq(posts.id, id));
    expect(row).toMatchObject({ title: "", content: "", excerpt: "" });
    expect((await author.client.delete(`/api/posts/${id}`)).status).toBe(404);
    expect((await author.client.patch(`/api/posts/${id}`, { title: "t" })).status).toBe(404);
  });
});

describe("who may", () => {
  it("change a post: its author and admins", async ({ expect }) => {
    const author = await registerUser();
    const { id } = await post(author);
    const stranger = await registerUser();
    for (const [method, json] of [
      ["PATCH", { title: "t" }],
      ["DELETE", undefined],
    ] as const) {
      const options = json === undefined ? {} : { json };
      const { status, body } = await stranger.client.request(method, `/api/posts/${id}`, options);
      expect([status, body.code]).toEqual([403, "forbidden"]);
    }
    expect((await read(id)).body.version).toBe(1);
    const { client } = await admin();
    const edited = await client.patch<Post>(`/api/posts/${id}`, { title: "by an admin" });
    expect([edited.status, edited.body.author?.id]).toEqual([200, author.id]);
    expect((await client.delete<string>(`/api/posts/${id}`)).status).toBe(204);
  });

  it("is not told by a token's claim alone: a signed-out admin may nothing", async ({ expect }) => {
    const { id } = await post(await registerUser());
    const account = await admin();
    bodyOf(await account.client.post<string>("/api/auth/logout"), 204);
    expect((await signedIn(account.session).delete(`/api/posts/${id}`)).status).toBe(401);
    expect((await read(id)).status).toBe(200);
  });
});
