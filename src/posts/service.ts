/**
 * Posts: rules, permissions and the effects of writes.
 * @module
 */
import type { Actor } from "../auth/actor.ts";
import { requireAuthorOrAdmin } from "../auth/actor.ts";
import { requireSomeField } from "../auth/service.ts";
import type { BoardReferences } from "../boards/references.ts";
import { ignoreOutage, RedisUnavailableError } from "../cache/client.ts";
import type { Hold } from "../cache/hold.ts";
import type { ListCache } from "../cache/lists.ts";
import type { Background, Effects } from "../common/background.ts";
import { inChunks } from "../common/chunks.ts";
import { AppError, fieldError } from "../common/errors.ts";
import type { IdempotencyClaim } from "../common/idempotency.ts";
import type { Page, PageRequest } from "../common/pagination.ts";
import { DONE, type Outcome } from "../common/retry.ts";
import { listForSweep, overdueSince, workOff } from "../common/sweep.ts";
import { excerptOf } from "../common/text.ts";
import { nullWhileAway } from "../db/errors.ts";
import type { JobPublisher } from "../queue/publisher.ts";
import type { Delivery, RoomPublisher } from "../realtime/publisher.ts";
import type { CachedRead, PostCache } from "./cache.ts";
import type { PostFilter } from "./lists-repository.ts";
import { listsOf, type PostLists, type Summary } from "./lists.ts";
import type { PopularRankings } from "./popular.ts";
import type { PostPlace, PostsRepository } from "./repository.ts";
import type { CreatePost, ForReader, Post, UpdatePost } from "./schema.ts";
import { FINAL_REVISION } from "./scripts.ts";

type Deps = {
  repository: PostsRepository;
  cache: PostCache;
  listCache: Pick<ListCache, "fence" | "hold">;
  lists: PostLists;
  popular: PopularRankings;
  boards: BoardReferences;
  rooms: Pick<RoomPublisher, "publishToPost" | "deletePost">;
  jobs: JobPublisher;
  background: Background;
  effects: Effects;
  now: () => Date;
};

/** Idempotency keys live a little longer than the promised day. */
const IDEMPOTENCY_HOURS = 48;

/** A write whose effects are due. `post` is null when it is gone. */
type Write = { id: number; place: PostPlace; revision: number; post: Post | null; dueAt: Date };

export type PostsService = ReturnType<typeof createPostsService>;

export function createPostsService(deps: Deps) {
  const { repository, cache, listCache, lists, popular, boards, rooms, jobs, background, effects, now } =
    deps;

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

  /**
   * The effects of a write: board's count, caches, room, the job that takes notifications back. Repeating them changes nothing.
   * @param hold keeps the lists that the post is in out of the cache since before it was written
   */
  async function deliverEffects(
    { id, place, revision, post, dueAt }: Write,
    hold: Hold | null = null,
  ): Promise<Outcome> {
    await Promise.all([
      cache.fence(id, revision),
      hold ? hold.release(revision) : listCache.fence(listsOf(place)),
      repository.count(id),
    ]);
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
  async function announce(write: Write): Promise<void> {
    const { id, revision, post, place } = write;
    await Promise.all([
      cache.fence(id, revision),
      // An edit leaves a post where it is.
      post ? undefined : listCache.fence(listsOf(place)),
    ]).catch(ignoreOutage);
    deliverLater(write);
  }

  /** The effects of a post that was left due, as it is now. */
  async function makeUp({ id, place, dueAt }: Pick<Write, "id" | "place" | "dueAt">): Promise<Outcome> {
    const found = await repository.find(id);
    const { revision = FINAL_REVISION, post = null } = found ?? {};
    return deliverEffects({ id, place, revision, post, dueAt });
  }

  /** Behind the answer; what has to be done again by then follows the post as it is then. */
  function deliverLater(write: Write, hold: Hold | null = null): void {
    let first = true;
    effects("effects of a post", () => {
      if (!first) return makeUp(write);
      first = false;
      return deliverEffects(write, hold);
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
        // What the cache can serve is served while the database is away; whether it is liked is not known then.
        actor ? nullWhileAway(repository.isLikedBy(actor.id, id)) : null,
      ]);
      if (cached?.hit) return { ...cached.post, likedByMe };
      const { post, excerpt, revision } = await find(id);
      if (!cached) return { ...post, likedByMe };
      const stored = { ...post, excerpt };
      background("fill post cache", () => cache.fill(cached.ticket, stored, revision, viewer));
      return { ...post, viewCount: post.viewCount + cached.unflushedViews, likedByMe };
    },

    /** Whether the post can be read. One statement. */
    exists: (id: number) => repository.exists(id),

    /** Takes the post out of the cache until its release. */
    hold: (id: number) => cache.hold(id),

    /** Takes the lists that a user's new post on a board will be in out of the cache until the release. */
    holdLists: (place: PostPlace) => listCache.hold(listsOf(place)),

    /** Newest first: see `PostLists`. */
    list: (actor: Actor | null, page: PageRequest & PostFilter): Promise<Page<Summary>> =>
      lists.latest(actor?.id ?? null, page),

    /** What a user wrote, newest first: see `PostLists`. @param findAuthor rejects when there is no such user */
    listOfAuthor: (
      actor: Actor | null,
      authorId: number,
      page: PageRequest,
      findAuthor: () => Promise<unknown>,
    ): Promise<Page<Summary>> => lists.latest(actor?.id ?? null, { ...page, authorId }, findAuthor),

    /** Best first; there are no further pages: see `PopularRankings`. */
    async listPopular(
      actor: Actor | null,
      { limit, boardId }: { limit: number; boardId?: number | undefined },
    ): Promise<Page<Summary>> {
      return { items: await popular.list(boardId ?? "all", limit, actor?.id ?? null), nextCursor: null };
    },

    /**
     * One statement, beside a Redis call.
     * @param hold keeps the lists that the post will be in out of the cache since before the statement
     * @throws AppError `validation_failed` when there is no such board
     */
    async create(
      actor: Actor,
      input: CreatePost,
      claim: IdempotencyClaim | null,
      hold: Hold | null,
    ): Promise<ForReader<Post>> {
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
      if (typeof outcome === "string" && hold) background("release lists", () => hold.release(0));
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
      const place = { boardId: input.boardId, authorId: actor.id };
      deliverLater({ id: outcome, place, revision: 1, post, dueAt: at }, hold);
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
      const [{ post: stored, revision, authorId }, likedByMe, cached] = await Promise.all([
        find(id),
        repository.isLikedBy(actor.id, id),
        readCache(id, null),
      ]);
      const viewCount = cached?.hit
        ? cached.post.viewCount
        : stored.viewCount + (cached?.unflushedViews ?? 0);
      const post = { ...stored, viewCount };
      await announce({ id, place: { boardId: post.board.id, authorId }, revision, post, dueAt: at });
      return { ...post, likedByMe };
    },

    /** @throws AppError `forbidden`, `not_found` or `version_mismatch` */
    async remove(actor: Actor, id: number, version: number | null): Promise<void> {
      const at = now();
      const [removed, place] = await Promise.all([
        repository.remove(guard(actor, id, version), at),
        repository.findPlace(id),
      ]);
      if (!removed || !place) throw await refusal(actor, id, version);
      await announce({ id, place, revision: FINAL_REVISION, post: null, dueAt: at });
    },

    /** Finds effects that were lost with a Worker or with an outage and makes up for them. @returns how many writes */
    async sweep(): Promise<number> {
      const before = overdueSince(now());
      const overdue = await listForSweep((order, limit) => repository.listOverdue(before, order, limit));
      return workOff(overdue, ({ id, boardId, authorId, dueAt }) =>
        makeUp({ id, place: { boardId, authorId }, dueAt }),
      );
    },

    /** Forgets idempotency keys past their time. @returns how many */
    async forgetIdempotencyKeys(): Promise<number> {
      const before = new Date(now().getTime() - IDEMPOTENCY_HOURS * 3_600_000);
      return inChunks((limit) => repository.forgetIdempotencyKeys(before, limit));
    },
  };
}
