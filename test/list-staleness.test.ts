/** That nobody reads an older state of a list than one that was answered, however slow fills and writes meet. */
import { describe, it, onTestFinished, vi } from "vitest";
import type { Hold } from "../src/cache/hold.ts";
import { keys, type ListName } from "../src/cache/keys.ts";
import { createListCache } from "../src/cache/lists.ts";
import type { FillTicket } from "../src/posts/cache.ts";
import { createPostListCache } from "../src/posts/list-cache.ts";
import { FILL_LISTED } from "../src/posts/scripts.ts";
import {
  anonymous,
  type Board,
  type Client,
  type Page,
  type Post,
  type PostSummary,
} from "./support/client.ts";
import { redis } from "./support/database.ts";
import { board, bodyOf, registerUser, sharedAdmin, unique } from "./support/factories.ts";
import { orders } from "./support/orders.ts";
import { waitUntil } from "./support/patience.ts";
import { freshId } from "./support/sockets.ts";
import { comment, like, newSeed, randomNumbers, unlike } from "./support/threads.ts";

const lists = createListCache(redis);
const posts = createPostListCache(redis);

/** A list whose one id tells its state. `fills` end up in it. */
type World = { name: ListName; stored: number; answered: number };
type Steps = (() => Promise<void> | void)[];

/** The state that a read finds in the cache; undefined: none. */
async function cachedState({ name }: World): Promise<number | undefined> {
  return (await posts.read(name, 1)).ids?.[0];
}

function reader(world: World): Steps {
  let ticket: FillTicket | undefined;
  let seen = 0;
  return [
    async () => {
      const page = await posts.read(world.name, 1);
      ticket = page.ids ? undefined : page.ticket;
    },
    () => {
      seen = world.stored;
    },
    async () => {
      if (ticket) await posts.fill(world.name, [seen], [], ticket);
    },
  ];
}

/** A new post: holds, writes and answers, releases. */
function creator(world: World): Steps {
  let hold: Hold | undefined;
  return [
    async () => {
      hold = lists.hold(["boards", world.name]);
      await hold.held;
    },
    () => {
      world.answered = world.stored += 1;
    },
    () => hold?.release(1),
  ];
}

/** A deletion: writes, fences, answers. */
function deleter(world: World): Steps {
  let state = 0;
  return [
    () => {
      state = world.stored += 1;
    },
    async () => {
      await lists.fence([world.name]);
      world.answered = Math.max(world.answered, state);
    },
  ];
}

/** A post that is refused: holds, releases. */
function refused(world: World): Steps {
  let hold: Hold | undefined;
  return [
    async () => {
      hold = lists.hold([world.name]);
      await hold.held;
    },
    () => hold?.release(0),
  ];
}

const newWorld = (): World => ({ name: `posts:*:${freshId()}`, stored: 1, answered: 1 });

/** Fills until the list is cached. */
async function filled(world: World): Promise<void> {
  await waitUntil(async () => {
    for (const step of reader(world)) await step();
    return (await cachedState(world)) === world.stored;
  });
}

describe("a slow fill of a list and writes", () => {
  const cast = { reader, creator, deleter, refused };
  it.for([
    { names: ["reader", "creator"], warm: false },
    { names: ["reader", "creator"], warm: true },
    { names: ["reader", "deleter"], warm: true },
    { names: ["reader", "reader", "creator"], warm: false },
    { names: ["reader", "reader", "deleter"], warm: true },
    { names: ["reader", "creator", "creator"], warm: true },
    { names: ["reader", "creator", "deleter"], warm: false },
    { names: ["reader", "creator", "refused"], warm: true },
  ] as const)(
    "of $names (warm: $warm) show no older state in any order",
    async ({ names, warm }, { expect }) => {
      const lengths = names.map((name) => cast[name](newWorld()).length);
      const stale: string[] = [];
      await Promise.all(
        [...orders(lengths)].map(async (order) => {
          const world = newWorld();
          if (warm) await filled(world);
          const steps = names.map((name) => cast[name](world));
          for (const [turn, who] of order.entries()) {
            await steps[who]?.shift()?.();
            const seen = await cachedState(world);
            if (seen !== undefined && seen < world.answered) {
              stale.push(
                `${order.map((each) => names[each]).join(" ")}: ${seen} < ${world.answered} after ${turn + 1}`,
              );
            }
          }
        }),
      );
      expect(stale).toEqual([]);
    },
  );

  it("leave the list in the cache again once all is done", async ({ expect }) => {
    for (const steps of [creator, deleter, refused]) {
      const world = newWorld();
      await filled(world);
      for (const step of steps(world)) await step();
      await filled(world);
      expect(await cachedState(world)).toBe(world.stored);
    }
  });

  it("leave a list cached that a refused post would have been in", async ({ expect }) => {
    const world = newWorld();
    await filled(world);
    for (const step of refused(world)) await step();
    expect(await cachedState(world)).toBe(1);
  });

  it("are kept out by a writer that died, whose list is read anew when its time is up", async ({
    expect,
  }) => {
    const world = newWorld();
    await filled(world);
    await redis.run((pipe) =>
      pipe.zadd(keys.listHolds(world.name), { score: Date.now() + 60_000, member: "dead" }),
    );
    world.stored = 2;
    expect(await cachedState(world)).toBeUndefined();
    for (const step of reader(world)) await step();
    expect(await cachedState(world)).toBeUndefined();
    await redis.run((pipe) => pipe.zadd(keys.listHolds(world.name), { score: 1, member: "dead" }));
    // What was cached before it is not trusted again.
    expect(await cachedState(world)).toBeUndefined();
    await filled(world);
    expect(await cachedState(world)).toBe(2);
  });

  it("that are refused do not bring back what a writer that died may have changed", async ({ expect }) => {
    const world = newWorld();
    await filled(world);
    const { held, release } = lists.hold([world.name]);
    await held;
    await redis.run((pipe) => pipe.zadd(keys.listHolds(world.name), { score: 1, member: "dead" }));
    for (const step of reader(world)) await step();
    await release(0);
    expect(await cachedState(world)).toBeUndefined();
  });
});

/** Half of the fills come up to 80 ms late. */
function slowFills(random: () => number): void {
  const original = globalThis.fetch;
  const spy = vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const sha1 = FILL_LISTED.sha1 ?? "none";
    if (typeof init?.body === "string" && init.body.includes(sha1) && random() < 0.5)
      await scheduler.wait(random() * 80);
    return original(input, init);
  });
  onTestFinished(() => {
    spy.mockRestore();
  });
}

describe("200 writes, each followed by reads of lists through another connection", () => {
  it("with 8 readers and fills that come up to 80 ms late, are never read stale", async ({ expect }) => {
    const seed = newSeed();
    const random = randomNumbers(seed);
    slowFills(random);
    const [author, guest] = [await registerUser(), await registerUser()];
    const { id: boardId } = await board();
    type Expected = Pick<PostSummary, "id" | "title" | "likeCount" | "commentCount"> & { liked: boolean };
    const rows: Expected[] = [];
    const shown = ({ id, title, likeCount, commentCount }: Omit<Expected, "liked">) =>
      JSON.stringify({ id, title, likeCount, commentCount });
    const expected = () => rows.toReversed().map(shown);
    const list = async (client: Client, path: string) =>
      bodyOf(await client.get<Page<PostSummary>>(path), 200).items.map(shown);
    const paths = [
      `/api/posts?boardId=${boardId}&limit=100`,
      `/api/posts?boardId=${boardId}&authorId=${author.id}&limit=100`,
      `/api/users/${author.id}/posts?limit=100`,
    ];
    const pick = () => rows[Math.floor(random() * rows.length)];
    const write = async (count: number) => {
      const draw = random();
      const row = pick();
      if (!row || draw < 0.25) {
        const input = { boardId, title: `title ${count}`, content: "c" };
        const { id, title } = bodyOf(await author.client.post<Post>("/api/posts", input), 201);
        rows.push({ id, title, likeCount: 0, commentCount: 0, liked: false });
      } else if (draw < 0.4) {
        row.title = `edited ${count}`;
        bodyOf(await author.client.patch(`/api/posts/${row.id}`, { title: row.title }), 200);
      } else if (draw < 0.5) {
        bodyOf(await author.client.delete<string>(`/api/posts/${row.id}`), 204);
        rows.splice(rows.indexOf(row), 1);
      } else if (draw < 0.75) {
        row.liked = !row.liked;
        row.likeCount += row.liked ? 1 : -1;
        await (row.liked ? like : unlike)(guest.client, { type: "post", id: row.id });
      } else {
        row.commentCount += 1;
        await comment(guest, row.id);
      }
    };
    let writing = true;
    const readers = Array.from({ length: 8 }, async (_, index) => {
      const client = index % 2 === 0 ? anonymous() : guest.client;
      while (writing) {
        await list(client, paths[index % paths.length] ?? "");
        await scheduler.wait(random() * 100);
      }
    });
    for (let count = 0; count < 200; count += 1) {
      await write(count);
      const path = paths[count % paths.length] ?? "";
      expect(await list(anonymous(), path), `seed ${seed}, write ${count}, ${path}`).toEqual(expected());
      const { postCount } = bodyOf(await anonymous().get<Board>(`/api/boards/${boardId}`), 200);
      expect(postCount, `seed ${seed}, write ${count}`).toBe(rows.length);
    }
    writing = false;
    await Promise.all(readers);
    const { items } = bodyOf(await guest.client.get<Page<PostSummary>>(paths[0] ?? ""), 200);
    expect(items.map(({ likedByMe }) => likedByMe)).toEqual(rows.toReversed().map(({ liked }) => liked));
  });
});

describe("the cached list of boards", () => {
  const listed = async () => bodyOf(await anonymous().get<Page<Board>>("/api/boards?limit=100"), 200).items;
  /** Boards in front of all others: other tests make many. */
  const front = async (name: string) => {
    const { client } = await sharedAdmin();
    const input = { name, slug: unique("front-").toLowerCase(), description: "", position: -1_000_000 };
    return bodyOf(await client.post<Board>("/api/boards", input), 201);
  };

  it("shows a board that was made, changed, written to or deleted at once", async ({ expect }) => {
    const { client } = await sharedAdmin();
    const author = await registerUser();
    const { id } = await front("one");
    const seen = async () => (await listed()).find((each) => each.id === id);
    expect(await seen()).toMatchObject({ name: "one", postCount: 0 });
    for (const name of ["two", "three"]) {
      bodyOf(await client.patch(`/api/boards/${id}`, { name }), 200);
      expect(await seen()).toMatchObject({ name });
    }
    bodyOf(await client.patch(`/api/boards/${id}`, { description: "d" }), 200);
    expect(await seen()).toMatchObject({ description: "d" });
    const input = { boardId: id, title: "t", content: "c" };
    const { id: postId } = bodyOf(await author.client.post<Post>("/api/posts", input), 201);
    expect(await seen()).toMatchObject({ postCount: 1 });
    bodyOf(await author.client.delete<string>(`/api/posts/${postId}`), 204);
    expect(await seen()).toMatchObject({ postCount: 0 });
    bodyOf(await client.delete<string>(`/api/boards/${id}`), 204);
    expect(await seen()).toBeUndefined();
  });
});

describe("a cached list of a user's posts", () => {
  it("shows a new name at once, and is not found once the account is gone", async ({ expect }) => {
    const author = await registerUser();
    const { id: boardId } = await board();
    bodyOf(await author.client.post<Post>("/api/posts", { boardId, title: "t", content: "c" }), 201);
    const paths = [`/api/users/${author.id}/posts`, `/api/posts?authorId=${author.id}`];
    const names = async () =>
      Promise.all(
        paths.map(async (path) => (await anonymous().get<Page<PostSummary>>(path)).body.items[0]?.author),
      );
    await waitUntil(async () => {
      await names();
      return (await redis.run<number>((pipe) => pipe.hexists(keys.list(`posts:*:${author.id}`), "i"))) === 1;
    });
    const username = unique("renamed-");
    bodyOf(await author.client.patch("/api/users/me", { username }), 200);
    expect(await names()).toEqual([
      { id: author.id, username },
      { id: author.id, username },
    ]);
    bodyOf(await author.client.delete<string>("/api/users/me"), 204);
    for (let count = 0; count < 3; count += 1) {
      expect((await anonymous().get(paths[0] ?? "")).status).toBe(404);
      const { status, body } = await anonymous().get<Page<PostSummary>>(paths[1] ?? "");
      expect([status, body.items[0]?.author]).toEqual([200, null]);
    }
  });

  it("that is empty is told from one of nobody", async ({ expect }) => {
    const author = await registerUser();
    const nobody = freshId();
    for (let count = 0; count < 3; count += 1) {
      for (const id of [author.id, nobody]) {
        expect((await anonymous().get<Page<PostSummary>>(`/api/posts?authorId=${id}`)).body.items).toEqual(
          [],
        );
      }
      expect((await anonymous().get(`/api/users/${author.id}/posts`)).status).toBe(200);
      expect((await anonymous().get(`/api/users/${nobody}/posts`)).status).toBe(404);
    }
  });
});
