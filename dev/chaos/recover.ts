/**
 * What follows a play: everybody is back, time passes, sweeps run, jobs arrive, until nothing is wrong any more.
 * @module
 */
import type { RedisClient } from "../../src/cache/client.ts";
import type { Db } from "../../src/db/client.ts";
import { letTimePass, truthOf } from "./database.ts";
import type { Cast, History, Stage } from "./play.ts";
import { quietOf } from "./quiet.ts";
import { SLOW_MS } from "./taps.ts";
import { type Shown, verdict } from "./verdict.ts";
import { quietVerdict } from "./verdict-quiet.ts";

/** Sweeps until everything must be well. */
const ROUNDS = 6;
/** Frames of likes are held back for 300 ms, and jobs take their time. */
const ROUND_PATIENCE_MS = 1_500;
const LOOK_EVERY_MS = 300;

export type Recovery = {
  db: Db;
  /** The Redis that Workers use. */
  redis: RedisClient;
  send: Stage["send"];
  /** What is due is made due since then. */
  dueSince: Date;
  /** What the cron trigger of every minute does, and the delivery of what comes of it. */
  sweep: () => Promise<void>;
};

/** @returns what stays wrong, by run; a run without is not named */
export async function recover(
  histories: readonly History[],
  { db, redis, send, dueSince, sweep }: Recovery,
): Promise<Map<History, string[]>> {
  // What is still on its way arrives. The author's own view is counted before views are written for the last time.
  await new Promise((resolve) => setTimeout(resolve, SLOW_MS));
  await Promise.all(histories.map(({ cast }) => readPost(cast)));
  let wrong = new Map<History, string[]>();
  let left = histories;
  for (let round = 1; round <= ROUNDS && left.length > 0; round += 1) {
    const casts = left.map(({ cast }) => cast);
    await letTimePass(db, casts, dueSince);
    await sweep();
    wrong = await look(left);
    left = [...wrong.keys()];
  }
  for (const { post, user } of histories) {
    post.leave();
    user.leave();
  }
  return wrong;

  async function readPost({ actors: [author], postId }: Cast): Promise<void> {
    if (author) await send(author, { method: "GET", path: `/api/posts/${postId}` }, null, "reader-0");
  }

  async function shownTo({ actors, postId }: Cast): Promise<Shown> {
    const [author] = actors;
    if (!author) throw new Error("a cast without anybody");
    const get = async <Body>(path: string) => {
      const answer = await send(author, { method: "GET", path }, null, "reader-0");
      return answer?.status === 200 ? (answer.body as Body) : null;
    };
    const [post, count, list] = await Promise.all([
      get<NonNullable<Shown["post"]>>(`/api/posts/${postId}`),
      get<{ unreadCount: number }>("/api/notifications/unread-count"),
      get<{ items: { id: number }[] }>("/api/notifications?unread=true&limit=100"),
    ]);
    return { post, unreadCount: count?.unreadCount ?? -1, unread: list?.items.map(({ id }) => id) ?? [] };
  }

  async function wrongOf(history: History): Promise<string[]> {
    await Promise.all([history.post.stay(), history.user.stay()]);
    const [truth, shown] = await Promise.all([truthOf(db, history.cast), shownTo(history.cast)]);
    const lines = verdict(history, truth, shown);
    // Told apart, because it asks for so much.
    return lines.length > 0 ? lines : quietVerdict(history, truth, await quietOf(history, send, redis));
  }

  /** Looks at runs that are not well yet, again and again until the round's patience is over. */
  async function look(runs: readonly History[]): Promise<Map<History, string[]>> {
    const giveUpAt = performance.now() + ROUND_PATIENCE_MS;
    for (let unwell = runs; ;) {
      const outcomes = await Promise.all(unwell.map(async (run) => [run, await wrongOf(run)] as const));
      const failing = outcomes.filter(([, lines]) => lines.length > 0);
      if (failing.length === 0 || performance.now() > giveUpAt) return new Map(failing);
      unwell = failing.map(([run]) => run);
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }
}
