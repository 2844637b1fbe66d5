/** Lists of posts: filters, pages, cursors. */
import { env } from "cloudflare:workers";
import { describe, it } from "vitest";
import { keys } from "../src/cache/keys.ts";
import { likes } from "../src/db/schema/likes.ts";
import { createPostCache } from "../src/posts/cache.ts";
import { FINAL_REVISION } from "../src/posts/scripts.ts";
import { anonymous, type Client, type Page, type PostSummary } from "./support/client.ts";
import { db, redis } from "./support/database.ts";
import { type Account, board, bodyOf, post, registerUser } from "./support/factories.ts";
import { waitUntil } from "./support/patience.ts";
import { like } from "./support/threads.ts";

type List = Page<PostSummary>;

/** Ids of a list from its first page to its last, with something happening between pages. */
async function walk(
  path: string,
  limit: number,
  between?: () => Promise<unknown>,
  client: Client = anonymous(),
): Promise<number[]> {
  const ids: number[] = [];
  for (let cursor: string | null = ""; cursor !== null;) {
    const query: string = `${path.includes("?") ? "&" : "?"}limit=${limit}${cursor === "" ? "" : `&cursor=${cursor}`}`;
    const body: List = bodyOf(await client.get<List>(path + query), 200);
    ids.push(...body.items.map(({ id }) => id));
    cursor = body.nextCursor;
    await between?.();
  }
  return ids;
}

/** Ids of `count` new posts, newest first. */
async function write(author: Account, boardId: number, count: number): Promise<number[]> {
  const ids: number[] = [];
  for (let index = 0; index < count; index += 1) ids.unshift((await post(author, { boardId })).id);
  return ids;
}

describe("GET /posts", () => {
  it("shows summaries with an excerpt instead of the content", async ({ expect }) => {
    const author = await registerUser();
    const { content: _, ...created } = await post(author, {
      content: `  First line\n\nsecond   line ${"word ".repeat(100)}`,
    });
    const path = `/api/posts?boardId=${created.board.id}`;
    const [item] = (await anonymous().get<List>(path)).body.items;
    expect(item).toEqual({ ...created, likedByMe: null, excerpt: item?.excerpt });
    expect(item?.excerpt).toMatch(/^First line second line word .+…$/);
    expect(Array.from(item?.excerpt ?? "").length).toBeLessThanOrEqual(280);
    expect((await author.client.get<List>(path)).body.items[0]?.likedByMe).toBe(false);
  });

  it("filters by board, by author, and by both", async ({ expect }) => {
    const [one, two] = [await registerUser(), await registerUser()];
    const [left, right] = [await board(), await board()];
    const ids = {
      oneLeft: await write(one, left.id, 2),
      twoLeft: await write(two, left.id, 1),
      oneRight: await write(one, right.id, 1),
    };
    expect(await walk(`/api/posts?boardId=${left.id}`, 100)).toEqual([...ids.twoLeft, ...ids.oneLeft]);
    expect(await walk(`/api/posts?authorId=${one.id}`, 100)).toEqual([...ids.oneRight, ...ids.oneLeft]);
    expect(await walk(`/api/posts?authorId=${one.id}&boardId=${left.id}&sort=latest`, 1)).toEqual(
      ids.oneLeft,
    );
    expect(await walk(`/api/posts?boardId=${Number.MAX_SAFE_INTEGER}`, 1)).toEqual([]);
  });

  it("lists the whole forum newest first", async ({ expect }) => {
    const author = await registerUser();
    const ids = await write(author, (await board()).id, 3);
    const { body } = await anonymous().get<List>("/api/posts?limit=100");
    const seen = body.items.map(({ id }) => id);
    expect(seen).toEqual([...seen].sort((a, b) => b - a));
    for (const id of ids) expect(seen).toContain(id);
  });

  it.for([1, 2, 3, 7, 8, 100])("shows each post once in pages of %i", async (limit, { expect }) => {
    const author = await registerUser();
    const { id: boardId } = await board();
    const ids = await write(author, boardId, 7);
    expect(await walk(`/api/posts?boardId=${boardId}`, limit)).toEqual(ids);
  });

  it("has 20 posts to a page by default and no cursor on the last", async ({ expect }) => {
    const author = await registerUser();
    const { id: boardId } = await board();
    const ids = await write(author, boardId, 21);
    const first = (await anonymous().get<List>(`/api/posts?boardId=${boardId}`)).body;
    expect(first.items.map(({ id }) => id)).toEqual(ids.slice(0, 20));
    const second = (await anonymous().get<List>(`/api/posts?boardId=${boardId}&cursor=${first.nextCursor}`))
      .body;
    expect(second).toMatchObject({ items: [{ id: ids[20] }], nextCursor: null });
  });

  it("neither repeats nor skips a post while others come and go", async ({ expect }) => {
    const author = await registerUser();
    const { id: boardId } = await board();
    const ids = await write(author, boardId, 9);
    const doomed = [...ids];
    const deleted: number[] = [];
    const shown = await walk(`/api/posts?boardId=${boardId}`, 2, async () => {
      await post(author, { boardId });
      // Of what was shown and of what is to come alike: the first and the last that are left.
      for (const id of [doomed.shift(), doomed.pop()]) {
        if (id === undefined) continue;
        bodyOf(await author.client.delete<string>(`/api/posts/${id}`), 204);
        deleted.push(id);
      }
    });
    expect(new Set(shown).size).toBe(shown.length);
    expect(shown).toEqual(ids.filter((id) => shown.includes(id)));
    for (const id of ids) if (!deleted.includes(id)) expect(shown).toContain(id);
  });

  it("goes on behind a page with a post whose deletion the list has not heard of yet", async ({ expect }) => {
    const author = await registerUser();
    const { id: boardId } = await board();
    const [newest = 0, ...others] = await write(author, boardId, 5);
    const path = `/api/posts?boardId=${boardId}`;
    await waitUntil(async () => {
      await walk(path, 2);
      return (await redis.run((pipe) => pipe.hexists(keys.list(`posts:${boardId}:*`), "i"))) === 1;
    });
    await createPostCache(redis).fence(newest, FINAL_REVISION);
    expect(await walk(path, 3)).toEqual(others);
  });

  it("goes on behind a deleted post to which the cursor points", async ({ expect }) => {
    const author = await registerUser();
    const { id: boardId } = await board();
    const ids = await write(author, boardId, 4);
    const path = `/api/posts?boardId=${boardId}&limit=2`;
    const { nextCursor } = (await anonymous().get<List>(path)).body;
    bodyOf(await author.client.delete<string>(`/api/posts/${ids[1]}`), 204);
    const { body } = await anonymous().get<List>(`${path}&cursor=${nextCursor}`);
    expect(body.items.map(({ id }) => id)).toEqual(ids.slice(2));
  });

  it.for([
    "limit=0",
    "limit=101",
    "limit=-1",
    "limit=1.5",
    "limit=x",
    "limit=",
    "boardId=x",
    "boardId=0",
    "authorId=-1",
    "sort=oldest",
  ])("refuses %s by name", async (query, { expect }) => {
    const { status, body } = await anonymous().get(`/api/posts?${query}`);
    expect([status, body.code]).toEqual([422, "validation_failed"]);
    expect(body.errors?.[0]?.path).toBe(query.split("=")[0]);
  });
});

describe("a cursor", () => {
  async function cursorOf(path: string): Promise<string> {
    const { body } = await anonymous().get<List>(`${path}${path.includes("?") ? "&" : "?"}limit=1`);
    if (body.nextCursor === null) throw new Error("there is no further page");
    return body.nextCursor;
  }
  const outcome = async (path: string) => {
    const { status, body } = await anonymous().get(path);
    return [status, body.code];
  };
  const INVALID = [400, "invalid_cursor"];

  it("is good for its own list alone", async ({ expect }) => {
    const author = await registerUser();
    const [left, right] = [await board(), await board()];
    await write(author, left.id, 2);
    const cursor = await cursorOf(`/api/posts?boardId=${left.id}`);
    expect((await anonymous().get(`/api/posts?boardId=${left.id}&cursor=${cursor}`)).status).toBe(200);
    for (const path of [
      `/api/posts?boardId=${right.id}`,
      "/api/posts?sort=latest",
      `/api/posts?boardId=${left.id}&authorId=${author.id}`,
      `/api/posts?authorId=${left.id}`,
    ]) {
      expect(await outcome(`${path}&cursor=${cursor}`)).toEqual(INVALID);
    }
    expect(await outcome(`/api/boards?cursor=${cursor}`)).toEqual(INVALID);
  });

  const changes: Record<string, (cursor: string) => string> = {
    "another key": (cursor) => cursor.replace(/^\d+/, (key) => String(Number(key) + 1)),
    "another signature": (cursor) => cursor.replace(/.$/, (last) => (last === "A" ? "B" : "A")),
    "its end cut off": (cursor) => cursor.slice(0, -1),
    "its beginning cut off": (cursor) => cursor.slice(1),
    "something behind it": (cursor) => `${cursor}A`,
    "a sign in front": (cursor) => `-${cursor}`,
    "a further sort key": (cursor) => cursor.replace(".", "~1."),
    "nothing but a key": (cursor) => cursor.replace(/\..*$/, ""),
    "nothing in it": () => "",
    "SQL in it": () => encodeURIComponent("1' or '1'='1"),
    "a NUL in it": () => "%00",
    "Hangul in it": () => encodeURIComponent("다음"),
    "300 characters": () => "A".repeat(300),
  };
  it.for(Object.entries(changes))("with %s is refused", async ([, change], { expect }) => {
    const author = await registerUser();
    const { id: boardId } = await board();
    await write(author, boardId, 2);
    const cursor = await cursorOf(`/api/posts?boardId=${boardId}`);
    expect(await outcome(`/api/posts?boardId=${boardId}&cursor=${change(cursor)}`)).toEqual(INVALID);
  });

  it("outlives a rotation of keys", async ({ expect }) => {
    const author = await registerUser();
    const { id: boardId } = await board();
    const [, second] = await write(author, boardId, 2);
    const path = `/api/posts?boardId=${boardId}`;
    const cursor = await cursorOf(path);
    const key = "k2:fedcba9876543210fedcba9876543210";
    const rotated = anonymous({ settings: { JWT_KEYS: `${key},${env.JWT_KEYS}` } });
    const { body } = await rotated.get<List>(`${path}&cursor=${cursor}`);
    expect(body.items.map(({ id }) => id)).toEqual([second]);
    const { status } = await anonymous({ settings: { JWT_KEYS: key } }).get(`${path}&cursor=${cursor}`);
    expect(status).toBe(400);
  });
});

describe("likedByMe in lists", () => {
  it("is right for a reader who likes more newer posts elsewhere than are looked at at once", async ({
    expect,
  }) => {
    const author = await registerUser();
    const reader = await registerUser();
    const { id: boardId } = await board();
    const [newest = 0, middle = 0, oldest = 0] = await write(author, boardId, 3);
    for (const id of [newest, oldest]) await like(reader.client, { type: "post", id });
    const at = new Date();
    const elsewhere = Array.from({ length: 250 }, (_, index) => ({
      userId: reader.id,
      targetType: "post" as const,
      targetId: newest + 1_000_000_000 + index,
      postId: newest + 1_000_000_000 + index,
      active: true,
      createdAt: at,
      updatedAt: at,
    }));
    await db.insert(likes).values(elsewhere);
    for (const path of [
      `/api/posts?boardId=${boardId}`,
      `/api/posts/popular?boardId=${boardId}`,
      `/api/users/${author.id}/posts`,
    ]) {
      for (let count = 0; count < 2; count += 1) {
        const { items } = bodyOf(await reader.client.get<List>(path), 200);
        const liked = new Map(items.map((item) => [item.id, item.likedByMe]));
        expect([liked.get(newest), liked.get(middle), liked.get(oldest)], path).toEqual([true, false, true]);
      }
    }
  });
});
