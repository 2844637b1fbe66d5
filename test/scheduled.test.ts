/** What the cron triggers do, and that nothing is lost when one of them dies. */
import { createExecutionContext, createScheduledController, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { eq } from "drizzle-orm";
import { describe, it, vi } from "vitest";
import { keys } from "../src/cache/keys.ts";
import { boards } from "../src/db/schema/boards.ts";
import { posts } from "../src/db/schema/posts.ts";
import { sessions } from "../src/db/schema/users.ts";
import worker from "../src/index.ts";
import { anonymous, type Post, type Problem } from "./support/client.ts";
import { CLOSED_PORT, db, redis } from "./support/database.ts";
import { type Account, board, login, post, registerUser, unique } from "./support/factories.ts";
import { linesOf, withoutOthers } from "./support/log-lines.ts";
import { waitUntil } from "./support/patience.ts";
import { claimsOf } from "./support/tokens.ts";

async function run(cron: string, settings: Record<string, string> = {}): Promise<void> {
  const context = createExecutionContext();
  const controller = createScheduledController({ cron });
  await worker.scheduled(controller, { ...env, ...settings }, context);
  await waitOnExecutionContext(context);
}
const EVERY_MINUTE = "* * * * *";
const HOURLY = "17 * * * *";

const secondsAgo = (seconds: number) => new Date(Date.now() - seconds * 1000);
const HOUR = 3_600;

async function rowOf(id: number) {
  const [row] = await db.select().from(posts).where(eq(posts.id, id));
  if (!row) throw new Error("the post has no row");
  return row;
}
async function storedCount(boardId: number): Promise<number | undefined> {
  const [row] = await db.select().from(boards).where(eq(boards.id, boardId));
  return row?.postCount;
}

/** A post whose Worker died right after the statement that wrote it. */
async function orphan(author: Account, boardId: number, effectsDueAt: Date): Promise<number> {
  const { insertId } = await db.insert(posts).values({
    boardId,
    authorId: author.id,
    title: "t",
    content: "c",
    excerpt: "c",
    effectsDueAt,
    createdAt: effectsDueAt,
    updatedAt: effectsDueAt,
  });
  return Number(insertId);
}

/** Waits until a read finds the post cached. */
async function cached(id: number): Promise<void> {
  await waitUntil(async () => {
    await anonymous().get(`/api/posts/${id}`);
    return (await redis.run<string | null>((pipe) => pipe.hget(keys.post(id), "c"))) !== null;
  });
}

describe("every minute", () => {
  it("counts a post whose effects were lost into its board, once", async ({ expect }) => {
    const author = await registerUser();
    const { id: boardId } = await board();
    const ids = [
      await orphan(author, boardId, secondsAgo(60)),
      await orphan(author, boardId, secondsAgo(7 * 24 * HOUR)),
    ];
    await Promise.all([run(EVERY_MINUTE), run(EVERY_MINUTE)]);
    await run(EVERY_MINUTE);
    for (const id of ids) expect(await rowOf(id)).toMatchObject({ counted: true, effectsDueAt: null });
    expect(await storedCount(boardId)).toBe(2);
  });

  it("leaves effects alone that are under way", async ({ expect }) => {
    const author = await registerUser();
    const { id: boardId } = await board();
    const id = await orphan(author, boardId, secondsAgo(1));
    await run(EVERY_MINUTE);
    expect(await rowOf(id)).toMatchObject({ counted: false, effectsDueAt: expect.any(Date) as Date });
  });

  it("takes an old state out of the cache that a lost edit left there", async ({ expect }) => {
    const { id } = await post(await registerUser());
    await waitUntil(async () => (await rowOf(id)).effectsDueAt === null);
    await cached(id);
    const title = unique("Edited ");
    await db
      .update(posts)
      .set({ title, version: 2, revision: 2, effectsDueAt: secondsAgo(60) })
      .where(eq(posts.id, id));
    await run(EVERY_MINUTE);
    expect((await anonymous().get<Post>(`/api/posts/${id}`)).body).toMatchObject({ title, version: 2 });
  });

  it("takes a post out of the cache whose deletion was lost", async ({ expect }) => {
    const { id } = await post(await registerUser());
    await waitUntil(async () => (await rowOf(id)).effectsDueAt === null);
    await cached(id);
    await db
      .update(posts)
      .set({ deletedAt: new Date(), revision: 2, effectsDueAt: secondsAgo(60) })
      .where(eq(posts.id, id));
    await run(EVERY_MINUTE);
    expect((await anonymous().get(`/api/posts/${id}`)).status).toBe(404);
  });

  it("keeps effects due while Redis is away, and makes up for them on its return", async ({ expect }) => {
    const author = await registerUser();
    const { id: boardId } = await board();
    // Older than what other tests leave due, so that it is among the first.
    const id = await orphan(author, boardId, secondsAgo(30 * 24 * HOUR));
    await run(EVERY_MINUTE, { UPSTASH_REDIS_REST_URL: `http://${CLOSED_PORT}` });
    expect((await rowOf(id)).effectsDueAt).not.toBeNull();
    await run(EVERY_MINUTE);
    expect(await rowOf(id)).toMatchObject({ counted: true, effectsDueAt: null });
    expect(await storedCount(boardId)).toBe(1);
  });

  it("ranks the popular posts of all boards", async ({ expect }) => {
    const startedAt = Date.now();
    await run(EVERY_MINUTE);
    const [ids, readAt] = await redis.run<[string, string]>((pipe) =>
      pipe.hmget(keys.popular("all"), "i", "t"),
    );
    expect(Number(readAt)).toBeGreaterThanOrEqual(startedAt);
    expect(ids).not.toBe("");
  });

  it("does the other tasks when one fails, and logs which", async ({ expect }) => {
    const error = vi.spyOn(console, "error").mockImplementation(() => undefined);
    await run(EVERY_MINUTE, { DATABASE_URL: `http://lf:secret-password@${CLOSED_PORT}` });
    const lines = linesOf(error.mock.calls);
    const labels = lines.map((line) => line["label"]);
    error.mockRestore();
    expect(labels).toContain("sweep effects of posts");
    expect(labels).toContain("rank popular posts");
    expect(JSON.stringify(lines)).not.toContain("secret-password");
  });
});

describe("every hour", () => {
  it("deletes sessions that ended over a day ago and no others", async ({ expect }) => {
    const account = await registerUser();
    const ended = await login(account);
    const recent = await login(account);
    const expire = (session: typeof ended, expiresAt: Date) =>
      db
        .update(sessions)
        .set({ expiresAt })
        .where(eq(sessions.id, Number(claimsOf(session)["sid"])));
    await expire(ended, secondsAgo(25 * HOUR));
    await expire(recent, secondsAgo(23 * HOUR));
    await run(HOURLY);
    const rows = await db.select({ id: sessions.id }).from(sessions).where(eq(sessions.userId, account.id));
    const left = [account.session, recent].map((session) => Number(claimsOf(session)["sid"]));
    expect(new Set(rows.map(({ id }) => id))).toEqual(new Set(left));
  });

  it("forgets idempotency keys after two days and not within one", async ({ expect }) => {
    const author = await registerUser();
    const { id: boardId } = await board();
    const write = async (key: string) =>
      author.client.post<Post & Problem>(
        "/api/posts",
        { boardId, title: "t", content: "c" },
        { "idempotency-key": key },
      );
    const [young, old] = [await write("young"), await write("old")];
    await db
      .update(posts)
      .set({ createdAt: secondsAgo(24 * HOUR) })
      .where(eq(posts.id, young.body.id));
    await db
      .update(posts)
      .set({ createdAt: secondsAgo(49 * HOUR) })
      .where(eq(posts.id, old.body.id));
    await run(HOURLY);
    expect((await write("young")).body.id).toBe(young.body.id);
    const again = await write("old");
    expect([again.status, again.body.id > old.body.id]).toEqual([201, true]);
  });
});

describe("a trigger", () => {
  it("without settings names them in the log and does nothing", async ({ expect }) => {
    const error = vi.spyOn(console, "error").mockImplementation(() => undefined);
    await run(EVERY_MINUTE, { JWT_KEYS: "k1:short-secret" });
    const lines = withoutOthers(linesOf(error.mock.calls)).map((line) => JSON.stringify(line));
    error.mockRestore();
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain("JWT_KEYS");
    expect(lines[0]).not.toContain("short-secret");
  });

  it("that is not in the schedule does nothing", async ({ expect }) => {
    await expect(run("0 0 1 1 *")).resolves.toBeUndefined();
  });
});
