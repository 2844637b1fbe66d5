/** That nobody reads an older state of a post than one that was answered, however slow fills and writes meet. */
import { describe, it, onTestFinished, vi } from "vitest";
import type { Hold } from "../src/cache/hold.ts";
import { createPostCache, type FillTicket, type StoredPost } from "../src/posts/cache.ts";
import { FILL_POST, FINAL_REVISION, HOLD_POST, RELEASE_POST } from "../src/posts/scripts.ts";
import { keys } from "../src/cache/keys.ts";
import { anonymous, type Client, type Post, signedIn, withToken } from "./support/client.ts";
import { redis } from "./support/database.ts";
import { servicesOf } from "./support/effects.ts";
import { bodyOf, registerUser } from "./support/factories.ts";
import { orders } from "./support/orders.ts";
import { waitUntil } from "./support/patience.ts";
import { accessToken, freshId } from "./support/sockets.ts";
import {
  comment,
  like,
  newPost,
  newSeed,
  postRow,
  randomNumbers,
  readPost,
  settledRows,
  unlike,
} from "./support/threads.ts";

const cache = createPostCache(redis);

/** A post whose title tells its revision. */
function postAt(id: number, revision: number): StoredPost {
  const at = "2026-11-22T06:00:00.000Z";
  return {
    id,
    board: { id: 1, name: "b", slug: "b" },
    author: null,
    title: `${revision}`,
    content: "c",
    excerpt: "c",
    viewCount: 0,
    likeCount: 0,
    commentCount: 0,
    version: 1,
    createdAt: at,
    updatedAt: at,
  };
}

/** The revision that a read finds in the cache; undefined: none. */
async function cachedRevision(id: number): Promise<number | undefined> {
  const read = await cache.read(id, null);
  return read.hit ? Number(read.post.title) : undefined;
}

const fillWith = (post: StoredPost, revision: number, ticket: FillTicket) =>
  cache.fill(ticket, post, revision, null);

/** Fills as a reader does that saw this revision. */
async function fill(id: number, revision: number, ticket?: FillTicket): Promise<void> {
  let known = ticket;
  if (!known) {
    const read = await cache.read(id, null);
    if (read.hit) return;
    known = read.ticket;
  }
  await fillWith(postAt(id, revision), revision, known);
}

/** Fills until the revision is cached: names may change at any moment by what other files do, and a fill is refused then. */
async function filled(id: number, revision: number): Promise<void> {
  await waitUntil(async () => {
    await fill(id, revision);
    return (await cachedRevision(id)) === revision;
  });
}

/** The steps of one participant, in order. */
type Steps = (() => Promise<void> | void)[];
/** What is true of a post while participants take their turns. */
type World = { id: number; stored: number; answered: number };

/** Reads, looks into the database, fills: each in a step of its own. */
function reader(world: World): Steps {
  let ticket: FillTicket | undefined;
  let seen = 0;
  return [
    async () => {
      const read = await cache.read(world.id, null);
      ticket = read.hit ? undefined : read.ticket;
    },
    () => {
      seen = world.stored;
    },
    async () => {
      if (ticket) await fill(world.id, seen, ticket);
    },
  ];
}

/** A like or a comment: holds, writes and answers, releases. */
function holder(world: World): Steps {
  let hold: Hold | undefined;
  let revision = 0;
  return [
    async () => {
      hold = cache.hold(world.id);
      await hold.held;
    },
    () => {
      revision = world.stored += 1;
      world.answered = revision;
    },
    () => hold?.release(revision),
  ];
}

/** An edit: writes, fences, answers. */
function fencer(world: World): Steps {
  let revision = 0;
  return [
    () => {
      revision = world.stored += 1;
    },
    async () => {
      await cache.fence(world.id, revision);
      world.answered = Math.max(world.answered, revision);
    },
  ];
}

/** A write that is refused: holds, releases without a revision. */
function refused(world: World): Steps {
  let hold: Hold | undefined;
  return [
    async () => {
      hold = cache.hold(world.id);
      await hold.held;
    },
    () => hold?.release(0),
  ];
}

describe("a slow fill and writes", () => {
  const cast = { reader, holder, fencer, refused };
  it.for([
    { names: ["reader", "holder"], warm: false },
    { names: ["reader", "holder"], warm: true },
    { names: ["reader", "fencer"], warm: false },
    { names: ["reader", "fencer"], warm: true },
    { names: ["reader", "reader", "holder"], warm: true },
    { names: ["reader", "reader", "fencer"], warm: false },
    { names: ["reader", "holder", "holder"], warm: true },
    { names: ["reader", "holder", "fencer"], warm: true },
    { names: ["reader", "fencer", "fencer"], warm: true },
    { names: ["reader", "holder", "refused"], warm: true },
  ] as const)(
    "of $names (warm: $warm) show no older state in any order",
    async ({ names, warm }, { expect }) => {
      const lengths = names.map((name) => cast[name]({ id: 0, stored: 0, answered: 0 }).length);
      const stale: string[] = [];
      await Promise.all(
        [...orders(lengths)].map(async (order) => {
          const world: World = { id: freshId(), stored: 1, answered: 1 };
          if (warm) await fill(world.id, 1);
          const steps = names.map((name) => cast[name](world));
          for (const [turn, who] of order.entries()) {
            await steps[who]?.shift()?.();
            const seen = await cachedRevision(world.id);
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

  it("leave the post in the cache again once all is done", async ({ expect }) => {
    for (const steps of [holder, fencer, refused]) {
      const world: World = { id: freshId(), stored: 1, answered: 1 };
      await filled(world.id, 1);
      for (const step of steps(world)) await step();
      await filled(world.id, world.stored);
      expect(await cachedRevision(world.id)).toBe(world.stored);
    }
  });

  it("of a deleted post never bring it back", async ({ expect }) => {
    const id = freshId();
    const ticket = (await ticketOf(id)) ?? { readAt: "0" };
    await cache.fence(id, FINAL_REVISION);
    await fill(id, 1, ticket);
    await fill(id, 1_000_000);
    const hold = cache.hold(id);
    await hold.held;
    await hold.release(2);
    await fill(id, 2);
    expect(await cachedRevision(id)).toBeUndefined();
  });

  it("are kept out by a writer that died only until its time is up", async ({ expect }) => {
    const id = freshId();
    await filled(id, 1);
    const holds = [keys.post(id), keys.postHolds(id)];
    await redis.script(HOLD_POST, holds, ["dead", 60_000]);
    expect(await cachedRevision(id)).toBeUndefined();
    await fill(id, 1);
    expect(await cachedRevision(id)).toBeUndefined();
    // Its time is up, without a wait for it.
    await redis.run((pipe) => pipe.zadd(keys.postHolds(id), { score: 1, member: "dead" }));
    await filled(id, 1);
    // Its release, should it come after all, still takes the older state away.
    await redis.script(RELEASE_POST, holds, ["dead", 2, "", ""]);
    expect(await cachedRevision(id)).toBeUndefined();
  });

  it("that are refused do not bring back what a writer that died may have changed", async ({ expect }) => {
    const id = freshId();
    await filled(id, 1);
    const { held, release } = cache.hold(id);
    await held;
    const ticket = await ticketOf(id);
    await redis.run((pipe) => pipe.zadd(keys.postHolds(id), { score: 1, member: "dead" }));
    await fill(id, 1, ticket);
    await release(0);
    expect(await cachedRevision(id)).toBeUndefined();
    await filled(id, 2);
  });

  it("of two writers are kept out until both are done, whichever is first", async ({ expect }) => {
    for (const first of [0, 1]) {
      const id = freshId();
      const holds = [cache.hold(id), cache.hold(id)];
      await Promise.all(holds.map(({ held }) => held));
      await holds[first]?.release(first + 2);
      await fill(id, 3);
      expect(await cachedRevision(id)).toBeUndefined();
      await holds[1 - first]?.release(3 - first);
      await fill(id, 2);
      expect(await cachedRevision(id)).toBeUndefined();
      await filled(id, 3);
    }
  });

  async function ticketOf(id: number): Promise<FillTicket | undefined> {
    const read = await cache.read(id, null);
    return read.hit ? undefined : read.ticket;
  }
});

describe("a comment that somebody else counts first", () => {
  it("is in the count that is read after it was answered, also when a fill comes late", async ({
    expect,
  }) => {
    const { id, author } = await newPost();
    await settledRows(() => postRow(id));
    const before = await cache.read(id, null);
    if (before.hit) throw new Error("nobody has read it yet");
    const { title, content, viewCount, likeCount, commentCount, revision } = await postRow(id);
    const old = { ...postAt(id, revision), title, content, viewCount, likeCount, commentCount };
    // The Worker that made the comment has answered; its effects are still to come when a sweep, or an edit, counts it.
    const [creator, other] = [servicesOf(id), servicesOf(id, { fence: () => new Promise(() => undefined) })];
    const actor = {
      id: author.id,
      username: author.username,
      role: "user" as const,
      sessionId: 1,
      nonce: "0".repeat(32),
      epoch: 1,
    };
    const hold = cache.hold(id);
    await hold.held;
    await creator.comments.create(actor, id, { content: "c" }, null, hold);
    void other.comments.sweep();
    await waitUntil(async () => (await postRow(id)).commentCount === 1);
    await creator.settle();
    await fillWith(old, revision, before.ticket);
    expect((await readPost(id)).commentCount).toBe(1);
  });
});

/** Calls of Redis whose pipeline `matches` wait for `delayMs` before they are sent. */
function slowRedis(matches: (pipeline: string) => boolean, delayMs: () => number): void {
  const original = globalThis.fetch;
  const spy = vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    if (typeof init?.body === "string" && matches(init.body)) await scheduler.wait(delayMs());
    return original(input, init);
  });
  onTestFinished(() => {
    spy.mockRestore();
  });
}

describe("a write whose post cannot be held at once", () => {
  /** Waits until a read finds the post cached. */
  async function cached(id: number): Promise<void> {
    await waitUntil(async () => {
      await readPost(id);
      return (await cache.read(id, null)).hit;
    });
  }
  const WRITES = {
    comment: async (client: Client, id: number) => {
      await comment({ client }, id);
      return { commentCount: 1 };
    },
    like: async (client: Client, id: number) => {
      await like(client, { type: "post", id });
      return { likeCount: 1 };
    },
  };

  it.for(["comment", "like"] as const)(
    "because the isolate is new: a %s is seen by whoever reads after its answer",
    async (kind, { expect }) => {
      const { id, author } = await newPost();
      await cached(id);
      const sha1 = HOLD_POST.sha1 ?? "";
      expect(sha1).not.toBe("");
      slowRedis(
        (pipeline) => pipeline.includes(sha1),
        () => 150,
      );
      // What an isolate knows before its first write.
      Reflect.deleteProperty(HOLD_POST, "sha1");
      const client = signedIn(author.session, { settings: {} });
      const expected = await WRITES[kind](client, id);
      expect(await readPost(id)).toMatchObject(expected);
      await client.settled();
      expect(await readPost(id)).toMatchObject(expected);
    },
  );

  it.for(["comment", "like"] as const)(
    "because Redis has forgotten the scripts: a %s is seen by whoever reads after its answer",
    async (kind, { expect }) => {
      const { id, author } = await newPost();
      await cached(id);
      const { sha1 } = HOLD_POST;
      slowRedis(
        (pipeline) => pipeline.includes("ZADD"),
        () => 150,
      );
      // A hash that Redis does not know: it must be sent the text.
      HOLD_POST.sha1 = crypto.randomUUID().replaceAll("-", "").padEnd(40, "0");
      onTestFinished(() => {
        if (sha1 !== undefined) HOLD_POST.sha1 = sha1;
      });
      const client = signedIn(author.session, { settings: {} });
      const expected = await WRITES[kind](client, id);
      expect(await readPost(id)).toMatchObject(expected);
      await client.settled();
      expect(await readPost(id)).toMatchObject(expected);
    },
  );
});

describe("200 writes, each followed by a read through another connection", () => {
  it("with 8 readers and fills that come up to 80 ms late, are never read stale", async ({ expect }) => {
    const seed = newSeed();
    const random = randomNumbers(seed);
    const { id, author } = await newPost();
    const guest = await registerUser();
    await readPost(id);
    const sha1 = FILL_POST.sha1 ?? "";
    expect(sha1).not.toBe("");
    slowRedis(
      (pipeline) => pipeline.includes(sha1) && random() < 0.5,
      () => random() * 80,
    );
    const expected = { title: (await readPost(id)).title, version: 1, likeCount: 0, commentCount: 0 };
    /** Every state that was answered, in order, and the one that is being written. */
    const states = [textOf(expected)];
    let coming = "";
    const stale: string[] = [];
    const look = async (client: Client) => {
      const since = states.length - 1;
      const seen = textOf(await readPost(id, client));
      if (seen !== coming && states.lastIndexOf(seen) < since)
        stale.push(`${seen} after ${states[since]} was answered`);
    };
    let writing = true;
    const readers = Array.from({ length: 8 }, async (_, index) => {
      const client = index % 2 === 0 ? anonymous() : guest.client;
      while (writing) {
        await look(client);
        await scheduler.wait(random() * 100);
      }
    });
    const written: number[] = [];
    const likers: Client[] = [];
    const post = { type: "post", id } as const;
    const turn = (count: number) => {
      const draw = random();
      if (draw < 0.3) {
        expected.title = `title ${count}`;
        expected.version += 1;
        return async () =>
          bodyOf(await author.client.patch<Post>(`/api/posts/${id}`, { title: `title ${count}` }), 200);
      }
      if (draw < 0.55) {
        expected.commentCount += 1;
        return async () => written.push((await comment(guest, id)).id);
      }
      const last = draw < 0.65 && written.pop();
      if (last) {
        expected.commentCount -= 1;
        return async () => bodyOf(await guest.client.delete<string>(`/api/comments/${last}`), 204);
      }
      const fan = draw < 0.75 && likers.pop();
      if (fan) {
        expected.likeCount -= 1;
        return () => unlike(fan, post);
      }
      expected.likeCount += 1;
      return async () => {
        const client = withToken(await accessToken({ userId: freshId() }));
        likers.push(client);
        await like(client, post);
      };
    };
    for (let count = 0; count < 200; count += 1) {
      const write = turn(count);
      coming = textOf(expected);
      await write();
      states.push(coming);
      expect(textOf(await readPost(id)), `seed ${seed}, write ${count}`).toBe(coming);
    }
    writing = false;
    await Promise.all(readers);
    expect(stale, `seed ${seed}`).toEqual([]);
  });

  const textOf = ({
    title,
    version,
    likeCount,
    commentCount,
  }: Pick<Post, "title" | "version" | "likeCount" | "commentCount">) =>
    JSON.stringify({ title, version, likeCount, commentCount });
});
