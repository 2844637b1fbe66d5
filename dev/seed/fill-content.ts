/**
 * Posts and comments of `npm run seed`.
 * @module
 */
import { excerptOf } from "../../src/common/text.ts";
import { type Report, type Run, tally, type Targets } from "./run.ts";
import { sqlInside } from "./texts.ts";
import { attention, authorAt, evenSeries, type People, type Series, sqlInstant } from "./timeline.ts";

/** Posts throughout the year, most of them in the first boards, and the boards' counts. */
export async function fillPosts(
  run: Run,
  boardIds: readonly number[],
  people: People,
  report: Report,
): Promise<Targets> {
  const { writer, options } = run;
  const firstId = await writer.reserveIds("posts", options.posts);
  const series = evenSeries(firstId, options.posts, run.fromMs, run.toMs);
  const perBoard = new Map<number, number>();
  const written = await writer.insert(
    "posts",
    "id,board_id,author_id,title,content,excerpt,view_count,counted,created_at,updated_at",
    postRows(run, series, boardIds, people, perBoard),
    { duplicateFree: true, onProgress: report },
  );
  await writer.increment("boards", "post_count", perBoard);
  return { ...series, count: written, fresh: true, postId: series.id };
}

function* postRows(
  { random, texts, signal, fromMs, toMs }: Run,
  series: Series,
  boardIds: readonly number[],
  people: People,
  perBoard: Map<number, number>,
): Generator<string> {
  for (let index = 0; index < series.count && !signal.aborted; index += 1) {
    const atMs = series.createdAt(index);
    const boardId = boardIds[Math.floor(boardIds.length * random.next() ** 1.5)] ?? 0;
    const authorId = authorAt(people, (atMs - fromMs) / (toMs - fromMs), random);
    const { sql: title } = texts.title();
    const content = texts.post();
    const excerpt = sqlInside(excerptOf(content.raw));
    const views = Math.floor(random.next() ** 6 * 5_000);
    const time = sqlInstant(atMs);
    perBoard.set(boardId, (perBoard.get(boardId) ?? 0) + 1);
    yield `(${series.id(index)},${boardId},${authorId},'${title}','${content.sql}','${excerpt}',${views},1,'${time}','${time}')`;
  }
}

/** Comments from the first post on, some posts with very many, and the posts' counts. */
export async function fillComments(
  run: Run,
  posts: Targets,
  people: People,
  report: Report,
): Promise<Targets> {
  const { writer, options } = run;
  const firstId = await writer.reserveIds("comments", options.comments);
  const series = evenSeries(firstId, options.comments, posts.createdAt(0), run.toMs);
  const postIndexes = new Uint32Array(options.comments);
  const perPost = new Uint32Array(posts.count);
  const written = await writer.insert(
    "comments",
    "id,post_id,author_id,content,counted,created_at,updated_at",
    commentRows(run, series, posts, people, postIndexes, perPost),
    { duplicateFree: true, onProgress: report },
  );
  await writer.increment("posts", "comment_count", tally(posts, perPost));
  return {
    ...series,
    count: written,
    fresh: true,
    postId: (index) => posts.id(postIndexes[index] ?? 0),
  };
}

function* commentRows(
  { random, texts, signal, fromMs, toMs }: Run,
  series: Series,
  posts: Targets,
  people: People,
  postIndexes: Uint32Array,
  perPost: Uint32Array,
): Generator<string> {
  const answeredAt = attention(posts, random);
  for (let index = 0; index < series.count && !signal.aborted; index += 1) {
    const atMs = series.createdAt(index);
    const postIndex = answeredAt(atMs);
    const authorId = authorAt(people, (atMs - fromMs) / (toMs - fromMs), random);
    const time = sqlInstant(atMs);
    postIndexes[index] = postIndex;
    perPost[postIndex] = (perPost[postIndex] ?? 0) + 1;
    yield `(${series.id(index)},${posts.id(postIndex)},${authorId},'${texts.comment()}',1,'${time}','${time}')`;
  }
}
