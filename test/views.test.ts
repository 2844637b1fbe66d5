/** Counting views: who counts, how often, and how counts reach the database exactly once. */
import { createExecutionContext, createScheduledController, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { eq, inArray } from "drizzle-orm";
import { describe, it } from "vitest";
import { keys } from "../src/cache/keys.ts";
import { posts } from "../src/db/schema/posts.ts";
import worker from "../src/index.ts";
import { createPostCache, type PostCache } from "../src/posts/cache.ts";
import { flushViews } from "../src/posts/views.ts";
import {
  anonymous,
  type Client,
  type Page,
  type Post,
  type PostSummary,
  signedIn,
} from "./support/client.ts";
import { db, redis } from "./support/database.ts";
import { board, bodyOf, login, post, registerUser } from "./support/factories.ts";
import { waitUntil } from "./support/patience.ts";

const cache = createPostCache(redis);
/** A cache under which a flush dies after the database has the views. */
const dying = { ...cache, endViews: () => Promise.reject(new Error("the Worker died")) };

const view = async (client: Client, id: number) =>
  bodyOf(await client.get<Post>(`/api/posts/${id}`), 200).viewCount;

async function stored(id: number): Promise<number | undefined> {
  const [row] = await db.select({ viewCount: posts.viewCount }).from(posts).where(eq(posts.id, id));
  return row?.viewCount;
}

/** What cron does every minute. */
async function runEveryMinute(): Promise<void> {
  const context = createExecutionContext();
  await worker.scheduled(createScheduledController({ cron: "* * * * *" }), env, context);
  await waitOnExecutionContext(context);
}

/** Waits until the view is counted that a cold read leaves to be counted behind its answer. */
async function counted(id: number, count: number): Promise<void> {
  await waitUntil(async () => {
    const [cached, pending, batch] = await Promise.all([
      redis.run<string | null>((pipe) => pipe.hget(keys.post(id), "v")),
      redis.run<string | null>((pipe) => pipe.hget(keys.pendingViews(), String(id))),
      redis.run<string | null>((pipe) => pipe.hget(keys.viewBatch(), String(id))),
    ]);
    const uncached = ((await stored(id)) ?? 0) + Number(pending ?? 0) + Number(batch ?? 0);
    return Number(cached ?? uncached) >= count;
  });
}

describe("a view", () => {
  it("is in the answer that it is counted for, cached or not", async ({ expect }) => {
    const { id } = await post(await registerUser());
    for (let count = 1; count <= 5; count += 1) {
      expect(await view(anonymous(), id)).toBe(count);
      await counted(id, count);
    }
  });

  it("counts once for a viewer, however often and from however many tabs", async ({ expect }) => {
    const { id } = await post(await registerUser());
    const client = anonymous();
    expect(await view(client, id)).toBe(1);
    await counted(id, 1);
    const counts = await Promise.all(Array.from({ length: 20 }, () => view(client, id)));
    expect(counts).toEqual(Array<number>(20).fill(1));
  });

  it("counts once for a viewer whose first 20 requests come at once", async ({ expect }) => {
    const { id } = await post(await registerUser());
    const client = anonymous();
    const counts = await Promise.all(Array.from({ length: 20 }, () => view(client, id)));
    expect(new Set(counts)).toEqual(new Set([1]));
    await counted(id, 1);
    expect(await view(anonymous(), id)).toBe(2);
  });

  it("is lost for none of 20 viewers that come at once", async ({ expect }) => {
    const { id } = await post(await registerUser());
    const counts = await Promise.all(Array.from({ length: 20 }, () => view(anonymous(), id)));
    for (const count of counts) expect(count).toBeGreaterThanOrEqual(1);
    await counted(id, 20);
    expect(await view(anonymous(), id)).toBe(21);
  });

  it("counts a user once over addresses, agents and sessions, and apart from anonymous reading", async ({
    expect,
  }) => {
    const account = await registerUser();
    const { id } = await post(account);
    const address = "203.0.113.9";
    expect(await view(signedIn(account.session, { address }), id)).toBe(1);
    await counted(id, 1);
    expect(await view(signedIn(await login(account), { userAgent: "Phone/1.0" }), id)).toBe(1);
    expect(await view(anonymous({ address }), id)).toBe(2);
  });

  it("tells anonymous viewers apart by network and agent", async ({ expect }) => {
    const { id } = await post(await registerUser());
    const at = async (address: string, userAgent = "Browser/1.0") => {
      const count = await view(anonymous({ address, userAgent }), id);
      await counted(id, count);
      return count;
    };
    expect(await at("203.0.113.1")).toBe(1);
    expect(await at("203.0.113.1")).toBe(1);
    expect(await at("203.0.113.2")).toBe(2);
    expect(await at("203.0.113.1", "Browser/2.0")).toBe(3);
    expect(await at("2001:db8:1:2::1")).toBe(4);
    expect(await at("2001:db8:1:2:ffff::9")).toBe(4);
    expect(await at("2001:db8:1:3::1")).toBe(5);
  });

  it("counts again after an hour", async ({ expect }) => {
    const account = await registerUser();
    const { id } = await post(account);
    expect(await view(account.client, id)).toBe(1);
    await counted(id, 1);
    const key = keys.viewed(id, `u${account.id}`);
    const ttlSeconds = await redis.run<number>((pipe) => pipe.ttl(key));
    expect(ttlSeconds).toBeLessThanOrEqual(3_600);
    expect(ttlSeconds).toBeGreaterThan(3_500);
    await redis.run((pipe) => pipe.del(key));
    expect(await view(account.client, id)).toBe(2);
  });

  it.for([
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; Yeti/1.1; +https://naver.me/spd) NaverBot/1.0",
    "facebookexternalhit/1.1",
    "Mozilla/5.0 (compatible; Baiduspider/2.0)",
  ])("of a crawler does not count, signed in or not: %s", async (userAgent, { expect }) => {
    const account = await registerUser();
    const { id } = await post(account);
    expect(await view(anonymous({ userAgent }), id)).toBe(0);
    expect(await view(signedIn(account.session, { userAgent }), id)).toBe(0);
    expect(await view(anonymous(), id)).toBe(1);
    await counted(id, 1);
    expect(await view(anonymous({ userAgent }), id)).toBe(1);
  });

  it("leaves neither address nor agent in Redis", async ({ expect }) => {
    const { id } = await post(await registerUser());
    const [address, userAgent] = ["203.0.113.77", "Secretive/7.7"];
    await view(anonymous({ address, userAgent }), id);
    await counted(id, 1);
    const names = await redis.run<string[]>((pipe) => pipe.keys(`lf:1:viewed:${id}:*`));
    expect(names).toHaveLength(1);
    expect(names[0]).toMatch(/:[\w-]{22}$/);
  });
});

describe("the flush", () => {
  /** Posts seen by 1, 2, 3 … viewers. */
  async function seen(count: number): Promise<number[]> {
    const author = await registerUser();
    const { id: boardId } = await board();
    const ids: number[] = [];
    for (let viewers = 1; viewers <= count; viewers += 1) {
      const { id } = await post(author, { boardId });
      for (let viewer = 1; viewer <= viewers; viewer += 1) {
        await view(anonymous(), id);
        await counted(id, viewer);
      }
      ids.push(id);
    }
    return ids;
  }
  const storedAll = (ids: number[]) => Promise.all(ids.map(stored));

  it("writes what was counted, for each post its own count, once", async ({ expect }) => {
    const ids = await seen(3);
    await runEveryMinute();
    expect(await storedAll(ids)).toEqual([1, 2, 3]);
    await runEveryMinute();
    expect(await storedAll(ids)).toEqual([1, 2, 3]);
  });

  it("changes no answer: not the next read, nor one after the cache is gone; and lists follow", async ({
    expect,
  }) => {
    const ids = await seen(2);
    const reader = anonymous();
    const [, id = 0] = ids;
    expect(await view(reader, id)).toBe(3);
    await counted(id, 3);
    await runEveryMinute();
    expect(await view(reader, id)).toBe(3);
    await redis.run((pipe) => pipe.del(keys.post(id)));
    expect(await view(reader, id)).toBe(3);
    const { board } = bodyOf(await reader.get<Post>(`/api/posts/${id}`), 200);
    const list = await reader.get<Page<PostSummary>>(`/api/posts?boardId=${board.id}`);
    expect(list.body.items.map(({ viewCount }) => viewCount)).toEqual([3, 1]);
  });

  it("counts once when it dies after the database has the views", async ({ expect }) => {
    const ids = await seen(3);
    for (let round = 0; round < 2; round += 1) {
      await flushViews(db, dying, new Date()).catch(() => undefined);
      expect(await storedAll(ids)).toEqual([1, 2, 3]);
    }
    await runEveryMinute();
    expect(await storedAll(ids)).toEqual([1, 2, 3]);
  });

  it("loses nothing when it dies before the database has the views", async ({ expect }) => {
    const ids = await seen(3);
    await cache.takeViews();
    await runEveryMinute();
    expect(await storedAll(ids)).toEqual([1, 2, 3]);
  });

  it("counts once when it dies between two statements of a large batch", async ({ expect }) => {
    const author = await registerUser();
    const { id: boardId } = await board();
    const at = new Date();
    const shared = { boardId, authorId: author.id, title: "t", content: "c", excerpt: "c" };
    await db
      .insert(posts)
      .values(
        Array.from({ length: 1_100 }, () => ({ ...shared, counted: true, createdAt: at, updatedAt: at })),
      );
    const rows = await db.select({ id: posts.id }).from(posts).where(eq(posts.boardId, boardId));
    const ids = rows.map(({ id }) => id);
    await Promise.all(ids.map((id) => redis.run((pipe) => pipe.hincrby(keys.pendingViews(), String(id), 2))));
    let statements = 0;
    const broken = new Proxy(db, {
      get(target, name, receiver) {
        if (name !== "execute") return Reflect.get(target, name, receiver) as unknown;
        return (...args: Parameters<typeof db.execute>) => {
          statements += 1;
          // The first registers the batch, the second writes 500 posts, the third dies.
          if (statements === 3) return Promise.reject(new Error("the database is gone"));
          return target.execute(...args);
        };
      },
    });
    await flushViews(broken, cache, new Date()).catch(() => undefined);
    // Redis gives a batch that it gives again in any order.
    const reversed: PostCache = {
      ...cache,
      async takeViews() {
        const batch = await cache.takeViews();
        return batch && { ...batch, views: new Map([...batch.views].toReversed()) };
      },
    };
    await flushViews(db, reversed, new Date());
    const counts = await db.select({ viewCount: posts.viewCount }).from(posts).where(inArray(posts.id, ids));
    expect(counts).toHaveLength(1_100);
    expect(new Set(counts.map(({ viewCount }) => viewCount))).toEqual(new Set([2]));
  });

  it("counts once when several run at the same time", async ({ expect }) => {
    const ids = await seen(3);
    await Promise.all([runEveryMinute(), runEveryMinute(), runEveryMinute(), runEveryMinute()]);
    expect(await storedAll(ids)).toEqual([1, 2, 3]);
  });

  it("keeps views that are counted while it runs", async ({ expect }) => {
    const [id = 0] = await seen(1);
    await flushViews(db, dying, new Date()).catch(() => undefined);
    await view(anonymous(), id);
    await counted(id, 2);
    await runEveryMinute();
    await runEveryMinute();
    expect(await stored(id)).toBe(2);
  });

  it("takes no views away from a post that is read from the database meanwhile", async ({ expect }) => {
    const author = await registerUser();
    const { id } = await post(author);
    for (let count = 1; count <= 3; count += 1) {
      await view(anonymous(), id);
      await counted(id, count);
    }
    await cache.takeViews();
    await redis.run((pipe) => pipe.del(keys.post(id)));
    expect(await view(anonymous(), id)).toBe(4);
    await runEveryMinute();
    await runEveryMinute();
    expect(await view(anonymous(), id)).toBe(5);
  });
});
