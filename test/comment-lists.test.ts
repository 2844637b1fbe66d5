/** Lists of comments: order, places, pages, cursors. */
import { describe, it } from "vitest";
import { anonymous, type Client, type Page } from "./support/client.ts";
import { bodyOf, registerUser } from "./support/factories.ts";
import {
  type Comment,
  comment,
  home,
  like,
  newPost,
  newSeed,
  randomNumbers,
  thread,
  unlike,
} from "./support/threads.ts";

const MISSING = Number.MAX_SAFE_INTEGER;

/** The ids of a list from its first page to its last, with something happening between pages. */
async function walk(
  path: string,
  limit: number,
  between?: () => Promise<unknown>,
  client: Client = anonymous(),
): Promise<Comment[]> {
  const items: Comment[] = [];
  for (let cursor: string | null = ""; cursor !== null;) {
    const query: string = `?limit=${limit}${cursor === "" ? "" : `&cursor=${cursor}`}`;
    const body: Page<Comment> = bodyOf(await client.get<Page<Comment>>(path + query), 200);
    items.push(...body.items);
    cursor = body.nextCursor;
    await between?.();
  }
  return items;
}

const idsOf = (items: { id: number }[]) => items.map(({ id }) => id);

/** `count` new comments, in order. */
async function write(postId: number, count: number): Promise<Comment[]> {
  const { author } = await home();
  const written: Comment[] = [];
  for (let index = 0; index < count; index += 1) written.push(await comment(author, postId));
  return written;
}

describe("GET /posts/{id}/comments", () => {
  it("is empty where nobody has said anything", async ({ expect }) => {
    const { id } = await newPost();
    const { body } = await anonymous().get(`/api/posts/${id}/comments`);
    expect(body).toEqual({ items: [], nextCursor: null });
  });

  it("shows the comments of the post alone, oldest first", async ({ expect }) => {
    const [one, two] = [await newPost(), await newPost()];
    const written = [...(await write(one.id, 2))];
    const elsewhere = await write(two.id, 1);
    written.push(...(await write(one.id, 1)));
    expect(idsOf(await thread(one.id))).toEqual(idsOf(written));
    expect(idsOf(await thread(two.id))).toEqual(idsOf(elsewhere));
  });

  it.for([1, 2, 3, 7, 8, 100])("shows each comment once in pages of %i", async (limit, { expect }) => {
    const { id } = await newPost();
    const written = await write(id, 7);
    expect(idsOf(await walk(`/api/posts/${id}/comments`, limit))).toEqual(idsOf(written));
  });

  it("has 20 comments to a page by default and no cursor on the last", async ({ expect }) => {
    const { id } = await newPost();
    const written = await write(id, 21);
    const path = `/api/posts/${id}/comments`;
    const first = (await anonymous().get<Page<Comment>>(path)).body;
    expect(idsOf(first.items)).toEqual(idsOf(written.slice(0, 20)));
    const second = await anonymous().get<Page<Comment>>(`${path}?cursor=${first.nextCursor}`);
    expect(second.body).toMatchObject({ items: [{ id: written[20]?.id }], nextCursor: null });
  });

  it("keeps the place of a deleted comment: first, last, in between, and all of them", async ({ expect }) => {
    const { id, author } = await newPost();
    const written = await write(id, 5);
    for (const index of [0, 4, 2, 1, 3]) {
      bodyOf(await author.client.delete<string>(`/api/comments/${written[index]?.id}`), 204);
      expect(idsOf(await thread(id))).toEqual(idsOf(written));
      expect(idsOf(await walk(`/api/posts/${id}/comments`, 2))).toEqual(idsOf(written));
    }
    expect((await thread(id)).map(({ content, author }) => content ?? author)).toEqual(Array(5).fill(null));
  });

  it("neither repeats nor skips a comment while others come and go, in any of 5 seeded walks", async ({
    expect,
  }) => {
    for (let round = 0; round < 5; round += 1) {
      const seed = newSeed();
      const random = randomNumbers(seed);
      const { id, author } = await newPost();
      const written = await write(id, 6);
      const shown = await walk(`/api/posts/${id}/comments`, 1 + Math.floor(random() * 3), async () => {
        if (written.length < 12 && random() < 0.5) written.push(await comment(author, id));
        const doomed = written[Math.floor(random() * written.length)];
        await author.client.delete(`/api/comments/${doomed?.id}`);
      });
      // What came after the last page was read is not in it; all that was there before is, in its place.
      expect(idsOf(shown), `seed ${seed}`).toEqual(idsOf(written).slice(0, shown.length));
      expect(shown.length, `seed ${seed}`).toBeGreaterThanOrEqual(written.length - 1);
    }
  });

  it("goes on behind the last comment once there are more", async ({ expect }) => {
    const { id } = await newPost();
    const before = await write(id, 3);
    const path = `/api/posts/${id}/comments?limit=2`;
    const { nextCursor } = (await anonymous().get<Page<Comment>>(path)).body;
    const after = await write(id, 1);
    const { body } = await anonymous().get<Page<Comment>>(`${path}&cursor=${nextCursor}`);
    expect(idsOf(body.items)).toEqual(idsOf([...before.slice(2), ...after]));
  });

  it("tells each reader what that reader likes, and an anonymous one nothing", async ({ expect }) => {
    const { id, author } = await newPost();
    const [first, second] = await write(id, 2);
    const reader = await registerUser();
    await like(reader.client, { type: "comment", id: second?.id ?? 0 });
    await like(author.client, { type: "comment", id: first?.id ?? 0 });
    await unlike(author.client, { type: "comment", id: first?.id ?? 0 });
    const seen = async (client?: Client) =>
      (await thread(id, client)).map(({ likedByMe, likeCount }) => [likedByMe, likeCount]);
    expect(await seen(reader.client)).toEqual([
      [false, 0],
      [true, 1],
    ]);
    expect(await seen(author.client)).toEqual([
      [false, 0],
      [false, 1],
    ]);
    expect(await seen()).toEqual([
      [null, 0],
      [null, 1],
    ]);
  });

  it("does not find a post that never was or was deleted, on a later page either", async ({ expect }) => {
    const { id, author } = await newPost();
    await write(id, 2);
    const { nextCursor } = (await anonymous().get<Page<Comment>>(`/api/posts/${id}/comments?limit=1`)).body;
    bodyOf(await author.client.delete<string>(`/api/posts/${id}`), 204);
    for (const path of [
      `/api/posts/${MISSING}/comments`,
      `/api/posts/${id}/comments`,
      `/api/posts/${id}/comments?cursor=${nextCursor}`,
    ]) {
      const { status, body } = await anonymous().get(path);
      expect([status, body.code]).toEqual([404, "not_found"]);
    }
  });

  it("refuses a cursor that was tampered with, made up, or comes from another list", async ({ expect }) => {
    const [one, two] = [await newPost(), await newPost()];
    await write(one.id, 2);
    const path = (id: number, cursor: string) => `/api/posts/${id}/comments?limit=1&cursor=${cursor}`;
    const first = await anonymous().get<Page<Comment>>(`/api/posts/${one.id}/comments?limit=1`);
    const cursor = first.body.nextCursor ?? "";
    for (const wrong of [
      path(two.id, cursor),
      path(
        one.id,
        cursor.replace(/^\d/, (digit) => String((Number(digit) % 9) + 1)),
      ),
      path(one.id, cursor.slice(0, -1) + (cursor.endsWith("A") ? "B" : "A")),
      path(one.id, "1"),
      path(one.id, ""),
      path(one.id, encodeURIComponent("1' or '1'='1")),
      `/api/users/${one.author.id}/comments?limit=1&cursor=${cursor}`,
    ]) {
      const { status, body } = await anonymous().get(wrong);
      expect([wrong, status, body.code]).toEqual([wrong, 400, "invalid_cursor"]);
    }
    expect((await anonymous().get(path(one.id, cursor))).status).toBe(200);
  });

  it.for(["0", "101", "-1", "1.5", "x", ""])("refuses a limit of %s", async (limit, { expect }) => {
    const { id, author } = await newPost();
    for (const path of [`/api/posts/${id}/comments`, `/api/users/${author.id}/comments`]) {
      const { status, body } = await anonymous().get(`${path}?limit=${limit}`);
      expect([status, body.code, body.errors?.[0]?.path]).toEqual([422, "validation_failed", "limit"]);
    }
  });
});

describe("GET /users/{id}/comments", () => {
  it("shows the user's comments on all posts, newest first", async ({ expect }) => {
    const [guest, stranger] = [await registerUser(), await registerUser()];
    const [one, two] = [await newPost(), await newPost()];
    const written = [
      await comment(guest, one.id),
      await comment(guest, two.id),
      await comment(guest, one.id),
    ];
    await comment(stranger, one.id);
    const path = `/api/users/${guest.id}/comments`;
    expect((await anonymous().get(path)).body).toEqual({
      items: written.toReversed().map((item) => ({ ...item, likedByMe: null })),
      nextCursor: null,
    });
    for (const limit of [1, 2, 3, 4]) {
      expect(idsOf(await walk(path, limit))).toEqual(idsOf(written.toReversed()));
    }
  });

  it("leaves out deleted ones, and those of deleted posts", async ({ expect }) => {
    const guest = await registerUser();
    const [kept, doomed] = [await newPost(), await newPost()];
    const stays = await comment(guest, kept.id);
    await comment(guest, doomed.id);
    const gone = await comment(guest, kept.id);
    bodyOf(await guest.client.delete<string>(`/api/comments/${gone.id}`), 204);
    bodyOf(await doomed.author.client.delete<string>(`/api/posts/${doomed.id}`), 204);
    for (const client of [anonymous(), guest.client]) {
      const { body } = await client.get<Page<Comment>>(`/api/users/${guest.id}/comments`);
      expect([idsOf(body.items), body.nextCursor]).toEqual([[stays.id], null]);
    }
  });

  it("neither repeats nor skips one while others come and go", async ({ expect }) => {
    const guest = await registerUser();
    const { id } = await newPost();
    const written: Comment[] = [];
    for (let count = 0; count < 6; count += 1) written.push(await comment(guest, id));
    const doomed = [written[5], written[0]];
    const shown = await walk(`/api/users/${guest.id}/comments`, 2, async () => {
      await comment(guest, id);
      await guest.client.delete(`/api/comments/${doomed.pop()?.id}`);
    });
    expect(idsOf(shown)).toEqual(idsOf(written.slice(1).toReversed()));
  });

  it("tells the reader's likes, not the user's", async ({ expect }) => {
    const [guest, reader] = [await registerUser(), await registerUser()];
    const { id } = await comment(guest, (await newPost()).id);
    await like(reader.client, { type: "comment", id });
    const seen = async (client: Client) => {
      const { body } = await client.get<Page<Comment>>(`/api/users/${guest.id}/comments`);
      return body.items.map(({ likedByMe }) => likedByMe);
    };
    expect([await seen(reader.client), await seen(guest.client), await seen(anonymous())]).toEqual([
      [true],
      [false],
      [null],
    ]);
  });

  it("is empty for somebody who has said nothing, and not found for nobody", async ({ expect }) => {
    const silent = await registerUser();
    const { body } = await anonymous().get(`/api/users/${silent.id}/comments`);
    expect(body).toEqual({ items: [], nextCursor: null });
    expect((await anonymous().get(`/api/users/${MISSING}/comments`)).status).toBe(404);
  });
});
