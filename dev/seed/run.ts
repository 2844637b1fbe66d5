/**
 * What one run of `npm run seed` works with, and what it finds in the database before it writes.
 * @module
 */
import { CloudProblem } from "../cloud/problem.ts";
import type { BulkOptions } from "./options.ts";
import { createRandom, type Random } from "./random.ts";
import { createTexts, type Texts } from "./texts.ts";
import { existingSeries, type People, type Series } from "./timeline.ts";
import type { Writer } from "./writer.ts";

const YEAR_MS = 365 * 86_400_000;
/** Of the existing rows that take part when a run makes none of their kind: the newest. */
const EXISTING_MAX = 100_000;

export type Run = {
  writer: Writer;
  options: BulkOptions;
  /** Aborted: writing ends early, counters are brought up to date all the same. */
  signal: AbortSignal;
  random: Random;
  texts: Texts;
  /** Rows are made between these moments, milliseconds since the epoch. */
  fromMs: number;
  toMs: number;
};

/** Is told how many rows of the table at hand are in. */
export type Report = (rows: number) => void;

/** What can be answered and liked. */
export type Targets = Series & {
  /** Made by this run: nobody likes them yet. */
  fresh: boolean;
  /** The post that a row is or belongs to. */
  postId: (index: number) => number;
};

/** Existing rows that take part; undefined where the run makes its own. */
export type Found = { boardIds: number[]; people: People | undefined; posts: Targets | undefined };

export function createRun(writer: Writer, options: BulkOptions, signal: AbortSignal): Run {
  const random = createRandom(options.seed);
  const toMs = Date.now();
  return { writer, options, signal, random, texts: createTexts(random), fromMs: toMs - YEAR_MS, toMs };
}

/** Reads what exists. @throws {CloudProblem} when it cannot carry what is asked for */
export async function lookAround({ writer, options }: Run): Promise<Found> {
  const boards = await writer.query<{ id: number }>("select id from boards order by position, id");
  const people = options.users > 0 ? undefined : await existingPeople(writer);
  const posts = options.posts > 0 || options.comments === 0 ? undefined : await existingPosts(writer);
  if (people?.count === 0 && options.posts + options.comments > 0) {
    throw new CloudProblem("The database has no users who could write", "Ask for some with --users");
  }
  if (posts?.count === 0) {
    throw new CloudProblem("The database has no posts to comment on", "Ask for some with --posts");
  }
  const peopleCount = people?.count ?? options.users;
  const likesMax = Math.floor((peopleCount * (options.posts + options.comments)) / 2);
  if (options.likes > likesMax) {
    throw new CloudProblem(
      `--likes ${options.likes} is too many for ${peopleCount} users`,
      `Ask for at most ${likesMax}, or for more users`,
    );
  }
  return { boardIds: boards.map(({ id }) => id), people, posts };
}

/** The rows that a table of counts by index stands for, as pairs of id and count. */
export function* tally(series: Series, counts: Uint32Array): Generator<readonly [number, number]> {
  for (let index = 0; index < series.count; index += 1) yield [series.id(index), counts[index] ?? 0];
}

type ExistingRow = { id: number; createdAt: Date };

async function existingPeople(writer: Writer): Promise<People> {
  const rows = await writer.query<ExistingRow>(
    `select id, created_at as createdAt from users where erased_at is null order by id desc limit ${EXISTING_MAX}`,
  );
  return { ...existingSeries(rows.toReversed()), growing: false };
}

async function existingPosts(writer: Writer): Promise<Targets> {
  const rows = await writer.query<ExistingRow>(
    `select id, created_at as createdAt from posts where deleted_at is null order by created_at desc, id desc limit ${EXISTING_MAX}`,
  );
  const series = existingSeries(rows.toReversed());
  return { ...series, fresh: false, postId: series.id };
}
