/**
 * Where the client package is tested: a Worker of its own, proxies in front of it, accounts and posts.
 * @module
 */
import { setTimeout as pause } from "node:timers/promises";
import mysql, { type ResultSetHeader } from "mysql2/promise";
import { inject } from "vitest";
import { LiveForum, type Post, type ThreadView, UnreachableError } from "../../../client/src/client.ts";
import { FaultProxy } from "./fault-proxy.ts";
import { type LiveWorker, startLiveWorker } from "./live-worker.ts";

export type Credentials = { email: string; password: string };
export type ProxiedSite = { proxy: FaultProxy; url: string };

export type Stage = {
  worker: LiveWorker;
  /** Ways to the Worker that fail on demand. */
  sites: ProxiedSite[];
  /** A client with a new account, past all proxies unless a `url` is given. */
  forum: (url?: string) => Promise<LiveForum & { credentials: Credentials }>;
  post: (author: LiveForum) => Promise<Post>;
  close: () => Promise<void>;
};

/** A connection is taken for dead a quarter of this after a ping: what stands still for less is a busy machine. */
const PING_INTERVAL_MS = 28_000;

/** @param count how many proxies; pages that they serve may call the Worker */
export async function openStage(count: number): Promise<Stage> {
  const { settings } = inject("cloud");
  const sites: ProxiedSite[] = [];
  for (let index = 0; index < count; index += 1) {
    const proxy = new FaultProxy(settings["JWT_KEYS"] ?? "");
    sites.push({ proxy, url: await proxy.listen() });
  }
  const worker = await startLiveWorker({
    ...settings,
    CORS_ORIGINS: sites.map(({ url }) => url).join(","),
    // Nothing sweeps up what a busy machine was too slow for.
    EFFECTS_PATIENCE_MS: "25000",
  });
  for (const { proxy } of sites) proxy.target = worker.url;
  const boardId = await newBoard();
  const opened: LiveForum[] = [];
  return {
    worker,
    sites,
    async forum(url = worker.url) {
      const forum = new LiveForum({ url, pingIntervalMs: PING_INTERVAL_MS });
      opened.push(forum);
      return Object.assign(forum, { credentials: await register(forum) });
    },
    post: (author) => author.posts.create({ boardId, title: "A post", content: "With a room" }),
    async close() {
      for (const forum of opened) forum.close();
      for (const { proxy } of sites) await proxy.close();
      await worker.close();
    },
  };
}

/** Makes an account; another one where no answer came, which is nothing that a client may repeat by itself. */
async function register(forum: LiveForum, attemptsLeft = 3): Promise<Credentials> {
  const username = `u${crypto.randomUUID().replaceAll("-", "").slice(0, 16)}`;
  const credentials = { email: `${username}@example.com`, password: "correct horse" };
  try {
    await forum.auth.register({ ...credentials, username });
    return credentials;
  } catch (error) {
    if (!(error instanceof UnreachableError) || attemptsLeft <= 1) throw error;
    return register(forum, attemptsLeft - 1);
  }
}

/** Past the API: making a board needs an admin. */
async function newBoard(): Promise<number> {
  const database = await mysql.createConnection(inject("cloud").mysql);
  const [{ insertId }] = await database.query<ResultSetHeader>(
    "insert into boards (name, slug, description, created_at) values ('Client', ?, '', now(3))",
    [`client-${crypto.randomUUID()}`],
  );
  await database.end();
  return insertId;
}

/** Waits until a condition holds. @throws after a minute, naming what was waited for */
export async function eventually(what: () => string, look: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpAt = Date.now() + 60_000;
  while (!(await look())) {
    if (Date.now() > giveUpAt) throw new Error(`waited in vain for ${what()}`);
    await pause(20);
  }
}

/** What REST says of a thread, as a text that can be compared with `shownText`. */
export async function restText(reader: LiveForum, postId: number): Promise<string> {
  const [post, comments] = await Promise.all([
    reader.posts.get(postId),
    Array.fromAsync(reader.comments.list(postId, { limit: 100 })),
  ]);
  return shownText({ post, comments });
}

/** A thread as a text, without the views, which no frame tells. */
export function shownText({ post, comments }: { post: object; comments: ThreadView["comments"] }): string {
  return JSON.stringify({ post: { ...post, viewCount: 0 }, comments }, sortedKeys);
}

function sortedKeys(_: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
