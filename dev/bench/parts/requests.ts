/**
 * Requests under load, ours and the bare Worker's in turn.
 * @module
 */
import type { Forum } from "../forum.ts";
import type { HttpRequest, HttpResult, HttpTask } from "../load/http.ts";
import { type LoadProcess, startLoad } from "../load/process.ts";
import type { Table } from "../report.ts";
import type { Runtime } from "../runtime.ts";
import { medianOf } from "../statistics.ts";

/** As many requests at a time as a small forum has in a busy second. */
const LANES = 8;
const ROUND_MS = 1_500;
const BARE_ROUND_MS = 700;
const ALONE_MS = 400;
const REQUESTS_MAX = 30_000;
const WARM_UP = 200;

type Round = HttpResult & { cpuMs: number };
type Load = LoadProcess<HttpTask, HttpResult>;

/** What is measured: requests that are sent in turn. */
export type Subject = { what: string; requests: HttpRequest[]; bare?: string };

const COLUMNS = [
  "request",
  "posts",
  "req/s",
  "alone p50 ms",
  "p50 ms",
  "p99 ms",
  "CPU ms",
  "bare req/s",
  "bare p50 ms",
  "bare p99 ms",
  "bare CPU ms",
  "p50 ratio",
  "CPU ratio",
];

const NOTE = `${LANES} requests at a time (alone: 1). CPU is that of the Worker's process for each request, with the work behind the answer. Bare is a Worker that answers a constant of the same size, measured in turn; "one call" is one that makes a call to Redis first, as a warm read does.`;

/** One measurement of some length. */
async function round(
  load: Load,
  runtime: Runtime,
  requests: HttpRequest[],
  lanes: number,
  durationMs: number,
): Promise<Round> {
  const before = runtime.cpuMs();
  const result = await load.run({
    origin: runtime.url,
    requests,
    lanes,
    durationMs,
    requestsMax: REQUESTS_MAX,
  });
  const statuses = Object.entries(result.refused);
  if (statuses.length > 0) throw new Error(`${requests[0]?.path} was refused: ${JSON.stringify(statuses)}`);
  await runtime.idle();
  return { ...result, cpuMs: (runtime.cpuMs() - before) / result.count };
}

async function row(forum: Forum, load: Load, subject: Subject, posts: number, rounds: number) {
  const { ours, bare, signal } = forum;
  const { what, requests } = subject;
  const warmUp = { requests, lanes: LANES, durationMs: 5_000, requestsMax: WARM_UP };
  const { bytes } = await load.run({ ...warmUp, origin: ours.url });
  const constant = [{ method: "GET", path: `${subject.bare ?? "/"}?size=${bytes}`, headers: {} }];
  await load.run({ ...warmUp, origin: bare.url, requests: constant });
  const alone = await round(load, ours, requests, 1, ALONE_MS);
  const mine: Round[] = [];
  const theirs: Round[] = [];
  for (let count = 0; count < rounds; count += 1) {
    signal.throwIfAborted();
    mine.push(await round(load, ours, requests, LANES, ROUND_MS));
    theirs.push(await round(load, bare, constant, LANES, BARE_ROUND_MS));
  }
  const [p50, cpu] = [medianOf(mine, (one) => one.p50), medianOf(mine, (one) => one.cpuMs)];
  const [bareP50, bareCpu] = [medianOf(theirs, (one) => one.p50), medianOf(theirs, (one) => one.cpuMs)];
  return [
    what,
    posts,
    medianOf(mine, (one) => one.count / one.seconds),
    alone.p50,
    p50,
    medianOf(mine, (one) => one.p99),
    cpu,
    medianOf(theirs, (one) => one.count / one.seconds),
    bareP50,
    medianOf(theirs, (one) => one.p99),
    bareCpu,
    p50 / bareP50,
    cpu / bareCpu,
  ];
}

const get = (path: string, headers: Record<string, string> = {}): HttpRequest => ({
  method: "GET",
  path: `/api${path}`,
  headers,
});

/** Reads of one post and writes to some, by people of whom none meets a limit. */
async function ordinary(forum: Forum): Promise<Subject[]> {
  const { boardId, userIds, call, signedIn } = forum;
  const people = await Promise.all(userIds.slice(0, 40).map(signedIn));
  const [author = {}] = people;
  const postIds: number[] = [];
  for (let count = 0; count < 20; count += 1) {
    const body = { boardId, title: "A post that is measured", content: "안녕하세요 ".repeat(60) };
    postIds.push((await call<{ id: number }>("POST", "/posts", { headers: author, body })).id);
  }
  const hot = `/posts/${postIds[0]}`;
  const pick = (list: number[], index: number) => list[index % list.length];
  const writes = (method: string, path: string, body?: unknown): HttpRequest[] =>
    people.map((headers, index) => ({
      method,
      path: `/api/posts/${pick(postIds, index)}${path}`,
      headers: body === undefined ? headers : { ...headers, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }));
  return [
    { what: "GET post, warm", requests: [get(hot)] },
    { what: "GET post, warm, one call", requests: [get(hot)], bare: "/redis" },
    { what: "GET post, signed in", requests: [get(hot, author)] },
    { what: "GET comments", requests: [get(`/posts/${postIds[0]}/comments`)] },
    { what: "POST comment", requests: writes("POST", "/comments", { content: "As many as there are" }) },
    { what: "PUT and DELETE like", requests: [...writes("PUT", "/like"), ...writes("DELETE", "/like")] },
  ];
}

/** @returns hot reads, comments and likes in a forum of 1,000 posts */
export async function measureRequests(forum: Forum, rounds: number): Promise<Table> {
  const load: Load = startLoad("http");
  try {
    const rows = [];
    for (const subject of await ordinary(forum)) rows.push(await row(forum, load, subject, 1_000, rounds));
    return { title: "Requests", columns: COLUMNS, rows, note: NOTE };
  } finally {
    load.stop();
  }
}

/** @returns lists at each size, the deep page always of the same oldest posts */
export async function measureSizes(forum: Forum, sizes: number[], rounds: number): Promise<Table> {
  const load: Load = startLoad("http");
  try {
    const rows = [];
    // Cursors last: what lies behind this one is page 2 from the end, at any size.
    const oldest = await cursorNearTheEnd(forum);
    for (const size of sizes) {
      await forum.grow(size);
      const newest = await forum.call<{ items: { id: number }[] }>("GET", "/posts?limit=1");
      const { boardId } = forum;
      const subjects: Subject[] = [
        { what: "GET posts, first page", requests: [get("/posts")] },
        { what: "GET posts, oldest page", requests: [get(`/posts?cursor=${oldest}`)] },
        { what: "GET posts of a board, first page", requests: [get(`/posts?boardId=${boardId}`)] },
        { what: "GET popular", requests: [get("/posts/popular?limit=20")] },
        { what: "GET newest post", requests: [get(`/posts/${newest.items[0]?.id}`)] },
      ];
      for (const subject of subjects) rows.push(await row(forum, load, subject, size, rounds));
    }
    return { title: "Lists by size of the forum", columns: COLUMNS, rows, note: NOTE };
  } finally {
    load.stop();
  }
}

async function cursorNearTheEnd({ call }: Forum): Promise<string> {
  const page = (cursor: string | null) =>
    call<{ nextCursor: string | null }>(
      "GET",
      `/posts?limit=20${cursor === null ? "" : `&cursor=${cursor}`}`,
    );
  const cursors: string[] = [];
  for (let next = (await page(null)).nextCursor; next !== null; next = (await page(next)).nextCursor) {
    cursors.push(next);
  }
  return cursors.at(-2) ?? "";
}
