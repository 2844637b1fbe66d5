/**
 * Posts: rules, permissions and the effects of writes.
 * @module
 */
import type { Actor } from "../auth/actor.ts";
import { requireAuthorOrAdmin } from "../auth/actor.ts";
import { requireSomeField } from "../auth/service.ts";
import type { BoardReferences } from "../boards/references.ts";
import { ignoreOutage, RedisUnavailableError } from "../cache/client.ts";
import type { Background, Effects } from "../common/background.ts";
import { inChunks } from "../common/chunks.ts";
import { AppError, fieldError } from "../common/errors.ts";
import type { IdempotencyClaim } from "../common/idempotency.ts";
import { type CursorCodec, type Page, type PageRequest, toPage } from "../common/pagination.ts";
import { DONE, type Outcome } from "../common/retry.ts";
import { overdueSince, SWEEP_LIMIT, workOff } from "../common/sweep.ts";
import { excerptOf } from "../common/text.ts";
import type { JobPublisher } from "../queue/publisher.ts";
import type { Delivery, RoomPublisher } from "../realtime/publisher.ts";
import { type CachedRead, FINAL_REVISION, type PostCache } from "./cache.ts";
import type { PopularRankings } from "./popular.ts";
import type { PostFilter, PostsRepository } from "./repository.ts";
import type { CreatePost, ForReader, Post, PostSummary, UpdatePost } from "./schema.ts";

type Deps = {
  repository: PostsRepository;
  cache: PostCache;
  popular: PopularRankings;
  boards: BoardReferences;
  rooms: Pick<RoomPublisher, "publishToPost" | "deletePost">;
  jobs: JobPublisher;
  cursors: CursorCodec;
  background: Background;
  effects: Effects;
  now: () => Date;
};

/** Idempotency keys live a little longer than the promised day. */
const IDEMPOTENCY_HOURS = 48;

export type PostsService = ReturnType<typeof createPostsService>;

export function createPostsService(deps: Deps) {
  const { repository, cache, popular, boards, rooms, jobs, cursors, background, effects, now } = deps;

  /** Redis away: the database answers, and the view does not count. */
  async function readCache(id: number, viewer: string | null): Promise<CachedRead | null> {
    try {
      return await cache.read(id, viewer);
    } catch (error) {
      if (error instanceof RedisUnavailableError) return null;
      throw error;
    }
  }

  /** What the room is told of a post as it is now; null: it is gone. A new post has nobody in its room yet. */
  async function tellRoom(id: number, revision: number, post: Post | null): Promise<Delivery> {
    if (!post) return rooms.deletePost(id);
    if (post.version === 1) return DONE;
    return rooms.publishToPost(id, [
      {
        type: "post_updated",
        key: `post_updated:${id}:${post.version}`,
        data: post,
        state: { of: `post:${id}`, revision },
      },
    ]);
  }

  /** The effects of a write: board's count, cache, room, the job that takes notifications back. Repeating them changes nothing. */
  async function deliverEffects(
    id: number,
    revision: number,
    post: Post | null,
    dueAt: Date,
  ): Promise<Outcome> {
    await Promise.all([cache.fence(id, revision), repository.count(id)]);
    const delivery = await tellRoom(id, revision, post);
    if (delivery.status !== "done") return delivery;
    if (!post) {
      const queued = await jobs.publish("sync-notification", { source: "post", id }, "deleted");
      if (queued.status !== "done") return queued;
    }
    await repository.settle(id, dueAt);
    return DONE;
  }

  /** Takes what is cached away before the answer; the rest of the effects follow after it. */
  async function announce(id: number, revision: number, post: Post | null, dueAt: Date): Promise<void> {
    await cache.fence(id, revision).catch(ignoreOutage);
    deliverLater(id, revision, post, dueAt);
  }

  /** The effects of a post that was left due, as it is now. */
  async function makeUp(id: number, dueAt: Date): Promise<Outcome> {
    const found = await repository.find(id);
    return deliverEffects(id, found?.revision ?? FINAL_REVISION, found?.post ?? null, dueAt);
  }

  /** Behind the answer; what has to be done again by then follows the post as it is then. */
  function deliverLater(id: number, revision: number, post: Post | null, dueAt: Date): void {
    let first = true;
    effects("effects of a post", () => {
      if (!first) return makeUp(id, dueAt);
      first = false;
      return deliverEffects(id, revision, post, dueAt);
    });
  }

  async function find(id: number) {
    const found = await repository.find(id);
    if (!found) throw new AppError("not_found", "There is no such post");
    return found;
  }

  /** Why a guarded statement changed nothing. */
  async function refusal(actor: Actor, id: number, version: number | null): Promise<AppError> {
    const row = await repository.findForGuard(id);
    if (!row) return new AppError("not_found", "There is no such post");
    requireAuthorOrAdmin(actor, row.authorId);
    if (version !== null && row.version !== version) {
      return new AppError("version_mismatch", `The post is at version ${row.version}`);
    }
    return new AppError("conflict", "The post changed meanwhile; try again");
  }

  const guard = (actor: Actor, id: number, version: number | null) => ({
    id,
    authorId: actor.role === "admin" ? null : actor.id,
    version,
  });

  return {
    /**
     * A post, and counts the view. Warm: one Redis call (and, signed in, one statement beside it). Cold: one statement more, after it.
     * @param viewer under which the view counts; null: it does not
     */
    async read(actor: Actor | null, id: number, viewer: string | null): Promise<ForReader<Post>> {
      const [cached, likedByMe] = await Promise.all([
        readCache(id, viewer),
        actor ? repository.isLikedBy(actor.id, id) : null,
      ]);
      if (cached?.hit) return { ...cached.post, likedByMe };
      const { post, revision } = await find(id);
      if (!cached) return { ...post, likedByMe };
      background("fill post cache", () => cache.fill(post, revision, cached.ticket, viewer));
      return { ...post, viewCount: post.viewCount + cached.unflushedViews, likedByMe };
    },

    /** Whether the post can be read. One statement. */
    exists: (id: number) => repository.exists(id),

    /** Takes the post out of the cache until its release. */
    hold: (id: number) => cache.hold(id),

    /** Newest first. One statement. */
    async list(
      actor: Actor | null,
      { limit, cursor, boardId, authorId }: PageRequest & PostFilter,
    ): Promise<Page<ForReader<PostSummary>>> {
      const list = `posts:board=${boardId ?? ""}:author=${authorId ?? ""}`;
      const [before] = cursor === undefined ? [] : await cursors.decode(list, cursor);
      const rows = await repository.list({ boardId, authorId }, limit + 1, before, actor?.id ?? null);
      return toPage(rows, limit, (last) => cursors.encode(list, last.id));
    },

    /** Best first; there are no further pages. One Redis call, then one statement. */
    async listPopular(
      actor: Actor | null,
      { limit, boardId }: { limit: number; boardId?: number | undefined },
    ): Promise<Page<ForReader<PostSummary>>> {
      return { items: await popular.list(boardId ?? "all", limit, actor?.id ?? null), nextCursor: null };
    },

    /** @throws AppError `validation_failed` when there is no such board. One statement, beside a Redis call. */
    async create(actor: Actor, input: CreatePost, claim: IdempotencyClaim | null): Promise<ForReader<Post>> {
      const at = now();
      const [outcome, board] = await Promise.all([
        repository.insert({
          boardId: input.boardId,
          authorId: actor.id,
          title: input.title,
          content: input.content,
          excerpt: excerptOf(input.content),
          idempotencyKey: claim?.keyHash ?? null,
          idempotencyHash: claim?.bodyHash ?? null,
          now: at,
        }),
        boards.find(input.boardId),
      ]);
      if (outcome === "no_board") throw fieldError("boardId", "there is no such board");
      if (outcome === "duplicate") return this.replay(actor, claim);
      const post: Post = {
        id: outcome,
        board: board ?? (await find(outcome)).post.board,
        author: { id: actor.id, username: actor.username },
        title: input.title,
        content: input.content,
        viewCount: 0,
        likeCount: 0,
        commentCount: 0,
        version: 1,
        createdAt: at.toISOString(),
        updatedAt: at.toISOString(),
      };
      deliverLater(outcome, 1, post, at);
      return { ...post, likedByMe: false };
    },

    /** The post that the same key made before. @throws AppError `idempotency_conflict` when the body was another */
    async replay(actor: Actor, claim: IdempotencyClaim | null): Promise<ForReader<Post>> {
      const row = claim ? await repository.findByIdempotencyKey(actor.id, claim.keyHash) : undefined;
      if (!row || row.bodyHash !== claim?.bodyHash) {
        throw new AppError("idempotency_conflict", "This Idempotency-Key came with another body before");
      }
      if (row.deletedAt)
        throw new AppError("conflict", "The post that this Idempotency-Key made has been deleted");
      const [{ post }, likedByMe] = await Promise.all([find(row.id), repository.isLikedBy(actor.id, row.id)]);
      return { ...post, likedByMe };
    },

    /** @throws AppError `forbidden`, `not_found` or `version_mismatch` */
    async update(
      actor: Actor,
      id: number,
      input: UpdatePost,
      version: number | null,
    ): Promise<ForReader<Post>> {
      requireSomeField(input);
      const at = now();
      const change = {
        ...(input.title === undefined ? {} : { title: input.title }),
        ...(input.content === undefined ? {} : { content: input.content, excerpt: excerptOf(input.content) }),
      };
      if (!(await repository.update(guard(actor, id, version), change, at)))
        throw await refusal(actor, id, version);
      const [{ post: stored, revision }, likedByMe, cached] = await Promise.all([
        find(id),
        repository.isLikedBy(actor.id, id),
        readCache(id, null),
      ]);
      const viewCount = cached?.hit
        ? cached.post.viewCount
        : stored.viewCount + (cached?.unflushedViews ?? 0);
      const post = { ...stored, viewCount };
      await announce(id, revision, post, at);
      return { ...post, likedByMe };
    },

    /** @throws AppError `forbidden`, `not_found` or `version_mismatch` */
    async remove(actor: Actor, id: number, version: number | null): Promise<void> {
      const at = now();
      if (!(await repository.remove(guard(actor, id, version), at))) throw await refusal(actor, id, version);
      await announce(id, FINAL_REVISION, null, at);
    },

    /** Finds effects that were lost with a Worker or with an outage and makes up for them. @returns how many writes */
    async sweep(): Promise<number> {
      const overdue = await repository.listOverdue(overdueSince(now()), SWEEP_LIMIT);
      return workOff(overdue, ({ id, dueAt }) => makeUp(id, dueAt));
    },

    /** Forgets idempotency keys past their time. @returns how many */
    async forgetIdempotencyKeys(): Promise<number> {
      const before = new Date(now().getTime() - IDEMPOTENCY_HOURS * 3_600_000);
      return inChunks((limit) => repository.forgetIdempotencyKeys(before, limit));
    },
  };
}
