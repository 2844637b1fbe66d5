/**
 * Likes.
 * @module
 */
import type { Actor } from "../auth/actor.ts";
import type { Background, Effects } from "../common/background.ts";
import { outcomeOf } from "../cache/client.ts";
import { AppError } from "../common/errors.ts";
import { DONE, type Outcome } from "../common/retry.ts";
import { listForSweep, overdueSince, workOff } from "../common/sweep.ts";
import type { Hold } from "../cache/hold.ts";
import type { PostCache } from "../posts/cache.ts";
import type { JobPublisher } from "../queue/publisher.ts";
import type { RoomPublisher } from "../realtime/publisher.ts";
import type { LikesRepository, LikeState } from "./repository.ts";
import type { LikeTarget } from "./targets.ts";

type Deps = {
  repository: LikesRepository;
  cache: Pick<PostCache, "fence">;
  rooms: Pick<RoomPublisher, "publishCount">;
  jobs: JobPublisher;
  background: Background;
  effects: Effects;
  now: () => Date;
};

export type LikeAnswer = { liked: boolean; likeCount: number };

export type LikesService = ReturnType<typeof createLikesService>;

export function createLikesService(deps: Deps) {
  const { repository, cache, rooms, jobs, background, effects, now } = deps;

  const tellCache = (postId: number, { revision, likeCount }: LikeState, hold: Hold | null) =>
    hold ? hold.release(revision, { likeCount }) : cache.fence(postId, revision);

  /**
   * The effects of a change: the post's cache, the count in its room, the job that notifies. Repeating them changes nothing.
   * The room waits for the cache. The job of a like that was just made does not.
   */
  async function deliverEffects(
    userId: number,
    target: LikeTarget,
    state: LikeState,
    dueAt: Date,
    hold: Hold | null,
  ): Promise<Outcome> {
    const cached = target.type === "post" ? await outcomeOf(tellCache(target.id, state, hold)) : DONE;
    if (cached.status !== "done" && !hold) return cached;
    const like = await repository.find(userId, target);
    if (like) {
      if (cached.status === "done") {
        const delivery = await rooms.publishCount(like.postId, {
          type: target.type === "post" ? "post_liked" : "comment_liked",
          targetId: target.id,
          likeCount: state.likeCount,
          revision: state.revision,
        });
        if (delivery.status !== "done") return delivery;
      }
      const queued = await jobs.publish("sync-notification", { source: "like", id: like.id }, like.revision);
      if (queued.status !== "done") return queued;
    }
    if (cached.status !== "done") return cached;
    await repository.settle(userId, target, dueAt);
    return DONE;
  }

  async function stateOf(target: LikeTarget): Promise<LikeState> {
    const state = await repository.state(target);
    if (!state) throw missing(target);
    return state;
  }

  function release(hold: Hold | null): void {
    if (hold) background("release post", () => hold.release(0));
  }

  return {
    /**
     * Likes, or leaves it so. Two statements, one after the other.
     * @param hold keeps a post out of the cache since before the statements; null for a comment
     * @throws AppError `not_found`
     */
    async like(actor: Actor, target: LikeTarget, hold: Hold | null): Promise<LikeAnswer> {
      const at = now();
      const prepared = await repository.prepare(actor.id, target, at);
      const changed = prepared === "inactive" ? await repository.turnOn(actor.id, target, at) : undefined;
      if (!changed) release(hold);
      if (prepared === "missing") throw missing(target);
      if (!changed) return { liked: true, likeCount: (await stateOf(target)).likeCount };
      effects("effects of a like", () => deliverEffects(actor.id, target, changed, at, hold));
      return { liked: true, likeCount: changed.likeCount };
    },

    /** Takes a like back, or leaves it so. One statement; two where there was nothing to take back. @throws AppError `not_found` */
    async unlike(actor: Actor, target: LikeTarget, hold: Hold | null): Promise<LikeAnswer> {
      const at = now();
      const changed = await repository.turnOff(actor.id, target, at);
      if (!changed) {
        release(hold);
        return { liked: false, likeCount: (await stateOf(target)).likeCount };
      }
      effects("effects of a like", () => deliverEffects(actor.id, target, changed, at, hold));
      return { liked: false, likeCount: changed.likeCount };
    },

    /** Finds effects that were lost with a Worker or with an outage and makes up for them. @returns how many changes */
    async sweep(): Promise<number> {
      const before = overdueSince(now());
      const overdue = await listForSweep((order, limit) => repository.listOverdue(before, order, limit));
      return workOff(overdue, async ({ userId, type, targetId, dueAt }) => {
        const target: LikeTarget = { type, id: targetId };
        const state = await repository.state(target);
        if (state) return deliverEffects(userId, target, state, dueAt, null);
        await repository.settle(userId, target, dueAt);
        return DONE;
      });
    },
  };
}

function missing(target: LikeTarget): AppError {
  return new AppError("not_found", `There is no such ${target.type}`);
}
