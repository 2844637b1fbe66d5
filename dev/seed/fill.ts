/**
 * Fills a database for load tests: what `npm run seed` does.
 * @module
 */
import { CloudProblem } from "../cloud/problem.ts";
import { fillComments, fillPosts } from "./fill-content.ts";
import { fillLikes } from "./fill-likes.ts";
import { fillBoards, fillUsers } from "./fill-people.ts";
import { fillStats } from "./fill-stats.ts";
import type { BulkOptions } from "./options.ts";
import { createRun, lookAround, type Report, type Targets } from "./run.ts";
import { openWriter } from "./writer.ts";

export type FilledTable = "users" | "posts" | "comments" | "likes";

export type FillProgress = {
  /** Some rows are in. Called for each chunk. */
  onRows: (table: FilledTable, rows: number) => void;
  /** A table and the counters that depend on it are finished. */
  onTable: (table: FilledTable, rows: number, seconds: number) => void;
};

export type FillReport = { rows: Record<FilledTable, number>; seconds: number };

const NOTHING: Targets = { count: 0, id: () => 0, createdAt: () => 0, postId: () => 0, fresh: false };

/**
 * Adds what `options` asks for. Aborted by `signal` it stops early, with counters and statistics as exact as at the end.
 * @throws {CloudProblem} when the database cannot be reached, or lacks tables, users or posts; nothing is written then
 */
export async function fill(
  options: BulkOptions,
  { onRows, onTable }: FillProgress,
  signal: AbortSignal,
): Promise<FillReport> {
  const startedAt = performance.now();
  const rows: FillReport["rows"] = { users: 0, posts: 0, comments: 0, likes: 0 };
  const writer = await openWriter(options.mysqlUrl, options.connections);

  /** Skipped when none are asked for or the run was aborted. */
  async function step<T>(table: FilledTable, work: (report: Report) => Promise<T>): Promise<T | undefined> {
    if (options[table] === 0 || signal.aborted) return undefined;
    const stepStartedAt = performance.now();
    const result = await work((written) => {
      rows[table] = written;
      onRows(table, written);
    });
    onTable(table, rows[table], secondsSince(stepStartedAt));
    return result;
  }

  try {
    const run = createRun(writer, options, signal);
    const found = await lookAround(run);
    const boardIds = found.boardIds.length > 0 ? found.boardIds : await fillBoards(run);
    const people = found.people ?? (await step("users", (report) => fillUsers(run, report)));
    if (people) {
      const made = await step("posts", (report) => fillPosts(run, boardIds, people, report));
      const posts = made ?? found.posts ?? NOTHING;
      const comments = await step("comments", (report) => fillComments(run, posts, people, report));
      await step("likes", (report) => fillLikes(run, posts, comments ?? NOTHING, people, report));
      await fillStats(run);
    }
    return { rows, seconds: secondsSince(startedAt) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ER_NO_SUCH_TABLE") {
      throw new CloudProblem("The database has no tables yet", "`npm run dev` makes them when it starts");
    }
    throw error;
  } finally {
    await writer.close();
  }
}

function secondsSince(startedAt: number): number {
  return (performance.now() - startedAt) / 1_000;
}
