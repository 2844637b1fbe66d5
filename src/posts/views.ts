/**
 * Who counts as a viewer, and how counted views reach the database.
 * @module
 */
import { inArray, lt, sql } from "drizzle-orm";
import { dailyPseudonym } from "../common/crypto.ts";
import type { Db } from "../db/client.ts";
import { retryOnDeadlock } from "../db/errors.ts";
import { posts, viewBatches } from "../db/schema/posts.ts";
import { sqlTime } from "../db/time.ts";
import type { PostCache } from "./cache.ts";

/** Programs that say of themselves that they read on nobody's behalf. */
const CRAWLER =
  /(?<!cu)bots?\b|crawl|spider|slurp|facebookexternalhit|embedly|preview|lighthouse|headless|monitor|pingdom|archiver|scrapy/i;

/** What tells one viewer from another. */
export type ViewerTraits = { userId: number | null; network: string; userAgent: string | undefined };

/**
 * The viewer under which a view counts, or null when it does not count. An anonymous viewer is a pseudonym of network and
 * agent for the day.
 */
export async function viewerKey(traits: ViewerTraits, secret: string, now: Date): Promise<string | null> {
  if (traits.userAgent !== undefined && CRAWLER.test(traits.userAgent)) return null;
  if (traits.userId !== null) return `u${traits.userId}`;
  return dailyPseudonym(secret, now, ["viewer", traits.network, traits.userAgent ?? ""]);
}

/** Posts per statement of a flush. */
const FLUSH_CHUNK_POSTS = 500;

/**
 * Writes the counted views to the database, each batch exactly once: a chunk is added to the posts by the statement
 * that marks it as applied. Statements: one, and one more for every 500 posts.
 * @returns how many views were written
 */
export async function flushViews(db: Db, cache: PostCache, now: Date): Promise<number> {
  const batch = await cache.takeViews();
  if (!batch) return 0;
  // In an order of their own: Redis gives a batch that is taken again in another, and chunks are known by their place.
  const entries = [...batch.views].filter(([, count]) => count > 0).sort(([a], [b]) => a - b);
  const chunks: [number, number][][] = [];
  for (let at = 0; at < entries.length; at += FLUSH_CHUNK_POSTS)
    chunks.push(entries.slice(at, at + FLUSH_CHUNK_POSTS));
  if (chunks.length > 0) {
    const ids = chunks.map((_, index) => `${batch.batchId}:${index}`);
    const rows = ids.map((id) => sql`(${id}, ${sqlTime(now)})`);
    await db.execute(
      sql`insert ignore into ${viewBatches} (id, created_at) values ${sql.join(rows, sql`, `)}`,
    );
    await Promise.all(chunks.map((chunk, index) => applyChunk(db, ids[index] ?? "", chunk)));
  }
  await cache.endViews(batch.batchId);
  return entries.reduce((sum, [, count]) => sum + count, 0);
}

async function applyChunk(db: Db, chunkId: string, chunk: [number, number][]): Promise<void> {
  const cases = chunk.map(([id, count]) => sql`when ${id} then ${count}`);
  const ids = chunk.map(([id]) => id);
  await retryOnDeadlock(() =>
    db.execute(sql`
      update ${posts} join ${viewBatches} on ${viewBatches.id} = ${chunkId}
      set ${posts.viewCount} = ${posts.viewCount} + case ${posts.id} ${sql.join(cases, sql` `)} else 0 end,
        ${viewBatches.applied} = true
      where ${inArray(posts.id, ids)} and ${viewBatches.applied} = false`),
  );
}

/** Batches are remembered for this long: far longer than a flush that died waits for the next one. */
const BATCH_DAYS = 7;

/** Forgets batches that were done long ago, at most `limit` of them. One statement. @returns how many */
export async function forgetViewBatches(db: Db, now: Date, limit: number): Promise<number> {
  const before = new Date(now.getTime() - BATCH_DAYS * 86_400_000);
  const result = await db.delete(viewBatches).where(lt(viewBatches.createdAt, before)).limit(limit);
  return result.rowsAffected;
}
