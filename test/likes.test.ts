/** Likes of posts and comments: what is answered, what is counted, what it costs. */
import { and, eq, sql } from "drizzle-orm";
import { describe, it } from "vitest";
import { likes } from "../src/db/schema/likes.ts";
import {
  anonymous,
  type Client,
  type ClientOptions,
  type Page,
  type PostSummary,
  signedIn,
  withToken,
} from "./support/client.ts";
import { db } from "./support/database.ts";
import { bodyOf, registerUser } from "./support/factories.ts";
import { join } from "./support/rooms.ts";
import { accessToken, freshId, until } from "./support/sockets.ts";
import {
  comment,
  commentRow,
  home,
  like,
  likePath,
  newPost,
  newSeed,
  postRow,
  randomNumbers,
  readPost,
  type Target,
  thread,
  unlike,
} from "./support/threads.ts";
import { roundTrips, statements, type UpstreamCall, watchUpstreams } from "./support/upstreams.ts";

const KINDS = ["post", "comment"] as const;

/** Something new to like. `read` shows it to a client, `stored` tells the count in its row. */
async function newTarget(type: Target["type"]) {
  const { id: postId, author } = await newPost();
  if (type === "post") {
    return {
      target: { type, id: postId },
      postId,
      author,
      read: (client?: Client) => readPost(postId, client),
      stored: async () => (await postRow(postId)).likeCount,
    };
  }
  const { id } = await comment(author, postId);
  return {
    target: { type, id },
    postId,
    author,
    read: async (client?: Client) => {
      const [item] = await thread(postId, client);
      if (!item) throw new Error("the comment is not listed");
      return item;
    },
    stored: async () => (await commentRow(id)).likeCount,
  };
}

/** A signed-in user that nobody registered: enough for whoever only likes. */
async function liker(options: ClientOptions = {}): Promise<Client> {
  return withToken(await accessToken({ userId: freshId() }), options);
}

/** Rows of the likes table that count. */
async function activeLikes({ type, id }: Target): Promise<number> {
  const [row] = await db
    .select({ count: sql<number>`count(*)`.mapWith(Number) })
    .from(likes)
    .where(and(eq(likes.targetType, type), eq(likes.targetId, id), eq(likes.active, true)));
  return row?.count ?? 0;
}

describe.for(KINDS)("a like of a %s", (type) => {
  it("is answered with the state after it, and is seen at once by everybody", async ({ expect }) => {
    const { target, read } = await newTarget(type);
    const [one, two] = [(await registerUser()).client, (await registerUser()).client];
    expect(await read()).toMatchObject({ likeCount: 0, likedByMe: null });
    expect(await like(one, target)).toEqual({ liked: true, likeCount: 1 });
    expect(await read(one)).toMatchObject({ likeCount: 1, likedByMe: true });
    expect(await read(two)).toMatchObject({ likeCount: 1, likedByMe: false });
    expect(await like(two, target)).toEqual({ liked: true, likeCount: 2 });
    expect(await read()).toMatchObject({ likeCount: 2, likedByMe: null });
    expect(await unlike(one, target)).toEqual({ liked: false, likeCount: 1 });
    expect(await read(one)).toMatchObject({ likeCount: 1, likedByMe: false });
    expect(await read(two)).toMatchObject({ likeCount: 1, likedByMe: true });
  });

  it("counts once, however often it is sent, and goes once", async ({ expect }) => {
    const { target, stored } = await newTarget(type);
    const [one, two] = [await liker(), await liker()];
    await like(two, target);
    expect(await unlike(one, target)).toEqual({ liked: false, likeCount: 1 });
    for (let round = 0; round < 3; round += 1) {
      for (let count = 0; count < 3; count += 1) {
        expect(await like(one, target)).toEqual({ liked: true, likeCount: 2 });
      }
      for (let count = 0; count < 3; count += 1) {
        expect(await unlike(one, target)).toEqual({ liked: false, likeCount: 1 });
      }
    }
    expect([await stored(), await activeLikes(target)]).toEqual([1, 1]);
  });

  it("counts once of 20 that one user sends at once, and goes once of 20", async ({ expect }) => {
    const { target, stored, read } = await newTarget(type);
    const client = await liker();
    const twenty = <T>(item: T) => Array.from({ length: 20 }, () => item);
    const all = <T>(call: () => Promise<T>) => Promise.all(twenty(call).map((each) => each()));
    expect(await all(() => like(client, target))).toEqual(twenty({ liked: true, likeCount: 1 }));
    expect([await stored(), (await read()).likeCount]).toEqual([1, 1]);
    expect(await all(() => unlike(client, target))).toEqual(twenty({ liked: false, likeCount: 0 }));
    expect([await stored(), (await read()).likeCount]).toEqual([0, 0]);
  });

  it("and its withdrawal at once leave one of both, in the row, the count and the answer", async ({
    expect,
  }) => {
    const { target, stored, read } = await newTarget(type);
    const client = await liker();
    for (let round = 0; round < 5; round += 1) {
      await Promise.all([like, unlike, like, unlike].map((change) => change(client, target)));
      const { likeCount, likedByMe } = await read(client);
      expect([0, 1]).toContain(likeCount);
      expect([await stored(), await activeLikes(target), likedByMe]).toEqual([
        likeCount,
        likeCount,
        likeCount === 1,
      ]);
    }
  });

  it("may be one's own", async ({ expect }) => {
    const { target, author, read } = await newTarget(type);
    expect(await like(author.client, target)).toEqual({ liked: true, likeCount: 1 });
    expect((await read(author.client)).likedByMe).toBe(true);
  });

  it("does not change version or time of what is liked", async ({ expect }) => {
    const { target, read } = await newTarget(type);
    const { version, updatedAt } = await read();
    await like(await liker(), target);
    expect(await read()).toMatchObject({ version, updatedAt });
  });

  it("survives an edit, and goes with what is liked", async ({ expect }) => {
    const { target, author, read } = await newTarget(type);
    const client = await liker();
    await like(client, target);
    bodyOf(await author.client.patch(`/api/${type}s/${target.id}`, { content: "edited" }), 200);
    expect(await read(client)).toMatchObject({ content: "edited", likeCount: 1, likedByMe: true });
    bodyOf(await author.client.delete<string>(`/api/${type}s/${target.id}`), 204);
    for (const { status, body } of [
      await client.put(likePath(target)),
      await client.delete(likePath(target)),
    ]) {
      expect([status, body.code]).toEqual([404, "not_found"]);
    }
  });

  it("of what never was is not found, and of what has no id is refused", async ({ expect }) => {
    const client = await liker();
    for (const method of ["PUT", "DELETE"]) {
      const send = (id: string) => client.request(method, `/api/${type}s/${id}/like`);
      const missing = await send(String(Number.MAX_SAFE_INTEGER));
      expect([missing.status, missing.body.code]).toEqual([404, "not_found"]);
      for (const id of ["0", "-1", "1.5", "x", "9".repeat(20)]) {
        const { status, body } = await send(id);
        expect([status, body.code]).toEqual([422, "validation_failed"]);
      }
    }
  });

  it("is not mistaken for one of the other kind with the same id", async ({ expect }) => {
    const { target, read } = await newTarget(type);
    const client = await liker();
    await db.insert(likes).values({
      userId: freshId(),
      targetType: type === "post" ? "comment" : "post",
      targetId: target.id,
      postId: target.id,
      active: true,
      createdAt: new Date(),
      updatedAt: new Date(),
    });
    expect(await like(client, target)).toEqual({ liked: true, likeCount: 1 });
    expect((await read()).likeCount).toBe(1);
  });

  it("costs the same with none and with 1,000 before it", async ({ expect }) => {
    const { target } = await newTarget(type);
    const watch = watchUpstreams(0);
    const change = async (turn: typeof like, client: Client) => {
      const { calls } = await watch.during(() => turn(client, target));
      const texts = statements(calls);
      await client.settled();
      return texts;
    };
    const run = async () => {
      const client = await liker({ settings: {} });
      const texts: string[][] = [];
      for (const turn of [like, like, unlike, unlike]) texts.push(await change(turn, client));
      return texts;
    };
    const shapes = (texts: string[][]) =>
      texts.map((each) => each.map((text) => text.replaceAll(/\d+/g, "0").replaceAll(/'[^']*'/g, "''")));
    await run();
    const few = await run();
    const now = new Date();
    await db.insert(likes).values(
      Array.from({ length: 1_000 }, () => ({
        userId: freshId(),
        targetType: type,
        targetId: target.id,
        postId: target.id,
        active: true,
        createdAt: now,
        updatedAt: now,
      })),
    );
    const many = await run();
    expect(shapes(many)).toEqual(shapes(few));
    // Each of the statements finds its rows by a key that fits at most one.
    for (const text of many.flat()) {
      const { rows } = await db.execute(sql.raw(`explain ${text}`));
      for (const row of rows as { table: string | null; rows: string | number | null }[]) {
        expect([row.table, Number(row.rows ?? 0) <= 1]).toEqual([row.table, true]);
      }
    }
  });

  it("is changed and settled by way of one key, so that neither of two is a deadlock's victim", async ({
    expect,
  }) => {
    const { target } = await newTarget(type);
    const client = await liker({ settings: {} });
    const { calls } = await watchUpstreams(0).during(async () => {
      for (const turn of [like, unlike, like]) {
        await turn(client, target);
        await client.settled();
      }
    });
    const changes = statements(calls).filter((text) => /^\s*update `likes`/.test(text));
    expect(changes).toHaveLength(6);
    // Named in the statement: what EXPLAIN says of it depends on whether the like is on at that moment.
    for (const text of changes) expect(text).toContain("update `likes` force index (likes_user_target)");
  });
});

describe("a like of a post", () => {
  it("is counted in lists at once, for everybody", async ({ expect }) => {
    const { boardId } = await home();
    const { target } = await newTarget("post");
    const client = await liker();
    const shown = async (reader: Client) => {
      for (const path of [`/api/posts?boardId=${boardId}&limit=100`, `/api/posts?limit=100`]) {
        const { body } = await reader.get<Page<PostSummary>>(path);
        const item = body.items.find(({ id }) => id === target.id);
        expect(item).toMatchObject({ likeCount: 1 });
        expect(item?.likedByMe).toBe(reader === client ? true : null);
      }
    };
    await like(client, target);
    await shown(client);
    await shown(anonymous());
  });
});

describe("the budget", () => {
  /** Limits are on: they travel with everything else. */
  const settings = { RATE_LIMIT_SCALE: "1000" };

  it("of likes and comments: round trips between request and answer, and statements", async ({ expect }) => {
    const { author } = await home();
    const client = signedIn(author.session, { settings });
    const [{ target: post }, { target: other }] = [await newTarget("post"), await newTarget("comment")];
    const write = () => client.post(`/api/posts/${post.id}/comments`, { content: "x" });
    // Redis knows every script after this, and the isolate every hash of one.
    for (const warmUp of [() => like(client, post), () => unlike(client, post), write]) {
      await warmUp();
      await client.settled();
    }
    const watch = watchUpstreams();
    const cost = async (request: () => Promise<unknown>) => {
      await client.settled();
      const { calls } = await watch.during(request);
      await client.settled();
      return told(calls);
    };
    const told = (calls: UpstreamCall[]) => ({
      roundTrips: roundTrips(calls),
      sql: statements(calls).length,
    });
    for (const target of [post, other]) {
      expect(await cost(() => like(client, target))).toEqual({ roundTrips: 3, sql: 2 });
      expect(await cost(() => like(client, target))).toEqual({ roundTrips: 3, sql: 2 });
      expect(await cost(() => unlike(client, target))).toEqual({ roundTrips: 2, sql: 1 });
      expect(await cost(() => unlike(client, target))).toEqual({ roundTrips: 3, sql: 2 });
    }
    expect(await cost(write)).toEqual({ roundTrips: 2, sql: 1 });
  });

  it("is what Server-Timing tells of it", async ({ expect }) => {
    const client = await liker();
    const { target } = await newTarget("post");
    const calls = async (request: Promise<{ headers: Headers }>) =>
      /db;[^,]*desc="(\d+)"/.exec((await request).headers.get("server-timing") ?? "")?.[1];
    expect(await calls(client.put(likePath(target)))).toBe("2");
    expect(await calls(client.put(likePath(target)))).toBe("2");
    expect(await calls(client.delete(likePath(target)))).toBe("1");
    const { author } = await home();
    expect(await calls(author.client.post(`/api/posts/${target.id}/comments`, { content: "x" }))).toBe("1");
  });
});

describe("a storm", () => {
  it("of 2,000 likes and withdrawals by 200 people leaves exactly the right count everywhere, told in few frames", async ({
    expect,
  }) => {
    const seed = newSeed();
    const random = randomNumbers(seed);
    const { target, stored, author } = await newTarget("post");
    const { socket } = await join(`post:${target.id}`, author.session.accessToken);
    const people = await Promise.all(Array.from({ length: 200 }, liker));
    const liking = people.map(() => false);
    // What each does is in order, what all do is not.
    const turns = Array.from({ length: 2_000 }, () => Math.floor(random() * people.length));
    const queues = people.map((_, person) =>
      turns.filter((turn) => turn === person).map(() => random() < 0.6),
    );
    let next = 0;
    const run = async () => {
      for (let person = next++; person < people.length; person = next++) {
        const client = people[person];
        for (const wanted of queues[person] ?? []) {
          if (client) expect((await (wanted ? like : unlike)(client, target)).liked).toBe(wanted);
          liking[person] = wanted;
        }
      }
    };
    await Promise.all(Array.from({ length: 24 }, run));
    const expected = liking.filter(Boolean).length;
    const told = {
      rest: (await readPost(target.id)).likeCount,
      row: await stored(),
      table: await activeLikes(target),
    };
    expect(told, `seed ${seed}`).toEqual({ rest: expected, row: expected, table: expected });
    const frames = () => socket.events().filter((event) => event.type === "post_liked");
    await until(`the count ${expected}, seed ${seed}`, () => frames().at(-1)?.data.likeCount === expected);
    const times = frames().map(({ at }) => Date.parse(at));
    const inASecond = times.map((from) => times.filter((at) => at >= from && at < from + 1_000).length);
    expect(Math.max(...inASecond)).toBeLessThanOrEqual(4);
  }, 240_000);
});
