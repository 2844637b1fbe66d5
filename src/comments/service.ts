/**
 * Comments: rules, permissions and the effects of writes.
 * @module
 */
import { type Actor, requireAuthorOrAdmin } from "../auth/actor.ts";
import { ignoreOutage, outcomeOf } from "../cache/client.ts";
import type { Background, Effects } from "../common/background.ts";
import { inChunks } from "../common/chunks.ts";
import { AppError } from "../common/errors.ts";
import type { IdempotencyClaim } from "../common/idempotency.ts";
import { type CursorCodec, type Page, type PageRequest, toPage } from "../common/pagination.ts";
import { DONE, type Outcome } from "../common/retry.ts";
import { listForSweep, overdueSince, workOff } from "../common/sweep.ts";
import type { Hold } from "../cache/hold.ts";
import type { PostCache } from "../posts/cache.ts";
import type { JobPublisher } from "../queue/publisher.ts";
import type { RoomPublisher } from "../realtime/publisher.ts";
import type { CommentsRepository } from "./repository.ts";
import type { Comment, CommentForReader, WriteComment } from "./schema.ts";

type Deps = {
  repository: CommentsRepository;
  posts: { exists: (id: number) => Promise<boolean> };
  cache: Pick<PostCache, "fence">;
  rooms: Pick<RoomPublisher, "publishToPost">;
  jobs: JobPublisher;
  cursors: CursorCodec;
  background: Background;
  effects: Effects;
  now: () => Date;
};

/** Idempotency keys live a little longer than the promised day. */
const IDEMPOTENCY_HOURS = 48;

export type CommentsService = ReturnType<typeof createCommentsService>;

export function createCommentsService(deps: Deps) {
  const { repository, posts, cache, rooms, jobs, cursors, background, effects, now } = deps;

  /** @param counted the post's revision after the comment was counted, if it was just now */
  async function tellCache(
    found: Awaited<ReturnType<CommentsRepository["find"]>>,
    counted: number | undefined,
    hold: Hold | null,
  ): Promise<void> {
    if (hold && found && counted !== undefined) {
      await hold.release(counted, { commentCount: found.postCommentCount });
      return;
    }
    // Whoever counted it: what is cached is older than the post's revision as it is now.
    if (found) await cache.fence(found.comment.postId, found.postRevision);
    await hold?.release(counted ?? 0);
  }

  /**
   * The effects of a write: the post's count, its cache, its room, the job that notifies. Repeating them changes nothing,
   * because the room knows an event by its key. The room waits for the cache, so that nobody who hears of something reads
   * older; for a fresh comment neither room nor job waits while Redis is away.
   * @param fresh a comment that was just made: the room is told of it at once, so that comments are told in the order in
   * which they were answered. The post is held out of the cache since before it was written.
   */
  async function deliverEffects(
    id: number,
    dueAt: Date,
    hold: Hold | null,
    fresh: Comment | null = null,
  ): Promise<Outcome> {
    const early = fresh && rooms.publishToPost(fresh.postId, eventsOf(fresh, 1));
    const counted = await repository.count(id);
    const found = await repository.find(id, null);
    const cached = await outcomeOf(tellCache(found, counted, hold));
    if (cached.status !== "done" && !early) return cached;
    if (found) {
      const { likedByMe: _, ...comment } = found.comment;
      const delivery = await (early ??
        rooms.publishToPost(comment.postId, eventsOf(comment, found.revision)));
      if (delivery.status !== "done") return delivery;
      // Nobody is told of what they did themselves; of a deletion the job is told all the same, for what it takes back.
      const own = found.authorId === found.postAuthorId && comment.deletedAt === null;
      if (!own) {
        const queued = await jobs.publish("sync-notification", { source: "comment", id }, found.revision);
        if (queued.status !== "done") return queued;
      }
    }
    if (cached.status !== "done") return cached;
    await repository.settle(id, dueAt);
    return DONE;
  }

  async function find(id: number, viewerId: number | null) {
    const found = await repository.find(id, viewerId);
    if (!found || found.comment.deletedAt !== null)
      throw new AppError("not_found", "There is no such comment");
    return found;
  }

  async function refusal(actor: Actor, id: number, version: number | null): Promise<AppError> {
    const { comment, authorId } = await find(id, null);
    requireAuthorOrAdmin(actor, authorId);
    if (version !== null && comment.version !== version) {
      return new AppError("version_mismatch", `The comment is at version ${comment.version}`);
    }
    return new AppError("conflict", "The comment changed meanwhile; try again");
  }

  const guard = (actor: Actor, id: number, version: number | null) => ({
    id,
    authorId: actor.role === "admin" ? null : actor.id,
    version,
  });

  /** The comment that the same key made. @throws AppError `idempotency_conflict` when the body was another */
  async function replay(actor: Actor, claim: IdempotencyClaim | null): Promise<CommentForReader> {
    const row = claim ? await repository.findByIdempotencyKey(actor.id, claim.keyHash) : undefined;
    if (!row || row.bodyHash !== claim?.bodyHash) {
      throw new AppError("idempotency_conflict", "This Idempotency-Key came with another body before");
    }
    const found = await repository.find(row.id, actor.id);
    if (!found) throw new AppError("not_found", "The post of this comment has been deleted");
    return found.comment;
  }

  return {
    /** Oldest first. Two statements side by side. @throws AppError `not_found` when there is no such post */
    async listOfPost(
      actor: Actor | null,
      postId: number,
      { limit, cursor }: PageRequest,
    ): Promise<Page<CommentForReader>> {
      const list = `comments:post=${postId}`;
      const [after] = cursor === undefined ? [] : await cursors.decode(list, cursor);
      const [rows, exists] = await Promise.all([
        repository.listOfPost(postId, limit + 1, after, actor?.id ?? null),
        posts.exists(postId),
      ]);
      if (!exists) throw new AppError("not_found", "There is no such post");
      return toPage(rows, limit, (last) => cursors.encode(list, last.id));
    },

    /** Newest first. One statement. */
    async listOfAuthor(
      actor: Actor | null,
      authorId: number,
      { limit, cursor }: PageRequest,
    ): Promise<Page<CommentForReader>> {
      const list = `comments:author=${authorId}`;
      const [before] = cursor === undefined ? [] : await cursors.decode(list, cursor);
      const rows = await repository.listOfAuthor(authorId, limit + 1, before, actor?.id ?? null);
      return toPage(rows, limit, (last) => cursors.encode(list, last.id));
    },

    /**
     * One statement. The post's count follows after the answer; meanwhile reads add what is not counted yet.
     * @param hold keeps the post out of the cache since before the statement
     * @throws AppError `not_found` when there is no such post
     */
    async create(
      actor: Actor,
      postId: number,
      input: WriteComment,
      claim: IdempotencyClaim | null,
      hold: Hold,
    ): Promise<CommentForReader> {
      const at = now();
      const outcome = await repository.insert({
        postId,
        authorId: actor.id,
        content: input.content,
        idempotencyKey: claim?.keyHash ?? null,
        idempotencyHash: claim?.bodyHash ?? null,
        now: at,
      });
      if (typeof outcome === "string") background("release post", () => hold.release(0));
      if (outcome === "no_post") throw new AppError("not_found", "There is no such post");
      if (outcome === "duplicate") return replay(actor, claim);
      const comment: Comment = {
        id: outcome,
        postId,
        author: { id: actor.id, username: actor.username },
        content: input.content,
        likeCount: 0,
        version: 1,
        createdAt: at.toISOString(),
        updatedAt: at.toISOString(),
        deletedAt: null,
      };
      effects("effects of a comment", () => deliverEffects(outcome, at, hold, comment));
      return { ...comment, likedByMe: false };
    },

    /** @throws AppError `forbidden`, `not_found` or `version_mismatch` */
    async update(
      actor: Actor,
      id: number,
      input: WriteComment,
      version: number | null,
    ): Promise<CommentForReader> {
      const at = now();
      if (!(await repository.update(guard(actor, id, version), input.content, at))) {
        throw await refusal(actor, id, version);
      }
      effects("effects of a comment", () => deliverEffects(id, at, null));
      return (await find(id, actor.id)).comment;
    },

    /** Leaves an empty place in the thread. @throws AppError `forbidden`, `not_found` or `version_mismatch` */
    async remove(actor: Actor, id: number, version: number | null): Promise<void> {
      const at = now();
      const revision = await repository.remove(guard(actor, id, version), at);
      if (revision === undefined) throw await refusal(actor, id, version);
      const found = await repository.find(id, null);
      if (found) {
        await cache.fence(found.comment.postId, revision).catch(ignoreOutage);
      }
      effects("effects of a comment", () => deliverEffects(id, at, null));
    },

    /** Finds effects that were lost with a Worker or with an outage and makes up for them. @returns how many writes */
    async sweep(): Promise<number> {
      const before = overdueSince(now());
      const overdue = await listForSweep((order, limit) => repository.listOverdue(before, order, limit));
      return workOff(overdue, ({ id, dueAt }) => deliverEffects(id, dueAt, null));
    },

    /** Forgets idempotency keys past their time. @returns how many */
    async forgetIdempotencyKeys(): Promise<number> {
      const before = new Date(now().getTime() - IDEMPOTENCY_HOURS * 3_600_000);
      return inChunks((limit) => repository.forgetIdempotencyKeys(before, limit));
    },
  };
}

/** A room knows the keys of a day at least. An edit of an older comment must not tell of the comment itself again. */
const KEYS_KNOWN_MS = 24 * 3_600_000;

/** What the room is told of a comment as it is now. Keys are of a state, so that telling twice is telling once. */
function eventsOf(comment: Comment, revision: number) {
  const { id, version } = comment;
  const state = { of: `comment:${id}`, revision };
  if (comment.deletedAt !== null) {
    return [{ type: "comment_deleted" as const, key: `comment_deleted:${id}`, data: comment, state }];
  }
  const isKeyKnown = Date.parse(comment.createdAt) > Date.now() - KEYS_KNOWN_MS;
  return [
    ...(version === 1 || isKeyKnown
      ? [{ type: "comment_added" as const, key: `comment_added:${id}`, data: comment, state }]
      : []),
    ...(version > 1
      ? [{ type: "comment_updated" as const, key: `comment_updated:${id}:${version}`, data: comment, state }]
      : []),
  ];
}
