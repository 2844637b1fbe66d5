/**
 * Likes of `npm run seed`.
 * @module
 */
import type { Random } from "./random.ts";
import { type Report, type Run, tally, type Targets } from "./run.ts";
import { attention, evenSeries, type People, type Series, sqlInstant } from "./timeline.ts";

/** Of the likes; the others go to comments. */
const POST_SHARE = 0.6;

/** Likes of what this run made, one for each pair of user and target, and the counts of their targets. @returns how many */
export async function fillLikes(
  run: Run,
  posts: Targets,
  comments: Targets,
  people: People,
  report: Report,
): Promise<number> {
  const { writer, options, random } = run;
  const kinds = [
    { type: "post", table: "posts", targets: posts, share: comments.count > 0 ? POST_SHARE : 1 },
    { type: "comment", table: "comments", targets: comments, share: 1 },
  ] as const;
  const liked = kinds
    .filter(({ targets }) => targets.fresh && targets.count > 0)
    .map((kind) => ({ ...kind, likes: chooseLikes(kind.targets, people.count, random) }));
  const firstId = await writer.reserveIds("likes", options.likes);
  const fromMs = Math.max(...liked.map(({ targets }) => targets.createdAt(0)));
  const written = await writer.insert(
    "likes",
    "id,user_id,target_type,target_id,post_id,active,created_at,updated_at",
    likeRows(run, evenSeries(firstId, options.likes, fromMs, run.toMs), liked, people),
    { onProgress: report },
  );
  for (const { table, targets, likes } of liked) {
    await writer.increment(table, "like_count", tally(targets, likes.perTarget));
  }
  return written;
}

type LikedKind = { type: string; targets: Targets; share: number; likes: ReturnType<typeof chooseLikes> };

function* likeRows(
  { random, signal }: Run,
  series: Series,
  kinds: readonly LikedKind[],
  people: People,
): Generator<string> {
  for (let index = 0; index < series.count && !signal.aborted; index += 1) {
    const atMs = series.createdAt(index);
    const share = random.next();
    const kind = kinds.find((candidate) => share < candidate.share);
    if (!kind) return;
    const { type, targets } = kind;
    const { target, person } = kind.likes.choose(atMs);
    const time = sqlInstant(atMs);
    yield `(${series.id(index)},${people.id(person)},'${type}',${targets.id(target)},${targets.postId(target)},1,'${time}','${time}')`;
  }
}

/** Chooses pairs of target and person, none twice. */
function chooseLikes(targets: Targets, peopleCount: number, random: Random) {
  const perTarget = new Uint32Array(targets.count);
  const noticedAt = attention(targets, random);
  return {
    perTarget,
    choose(atMs: number): { target: number; person: number } {
      let target = noticedAt(atMs);
      // Where everybody likes it already, its neighbour is liked.
      while ((perTarget[target] ?? 0) >= peopleCount) target = (target + 1) % targets.count;
      const before = perTarget[target] ?? 0;
      perTarget[target] = before + 1;
      // People in a row from a place of each target's own: distinct without a list of who liked before.
      return { target, person: (((target * 7_919) % peopleCount) + before) % peopleCount };
    },
  };
}
