/**
 * The services with chosen parts exchanged, for effects that a request cannot be made to leave undone.
 * @module
 */
import { env } from "cloudflare:workers";
import { createBoardReferences } from "../../src/boards/references.ts";
import { createBoardsRepository } from "../../src/boards/repository.ts";
import type { Effects } from "../../src/common/background.ts";
import { createLogger } from "../../src/common/logger.ts";
import { createCursorCodec } from "../../src/common/pagination.ts";
import { createCommentsRepository } from "../../src/comments/repository.ts";
import { createCommentsService } from "../../src/comments/service.ts";
import { createLikesRepository } from "../../src/likes/repository.ts";
import { createLikesService } from "../../src/likes/service.ts";
import { createListCache } from "../../src/cache/lists.ts";
import { createPostCache, type PostCache } from "../../src/posts/cache.ts";
import { createPostListCache } from "../../src/posts/list-cache.ts";
import { createPostListsRepository } from "../../src/posts/lists-repository.ts";
import { createPostLists } from "../../src/posts/lists.ts";
import { createPopularRankings } from "../../src/posts/popular.ts";
import { createPostsRepository } from "../../src/posts/repository.ts";
import { createPostsService } from "../../src/posts/service.ts";
import type { JobPublisher } from "../../src/queue/publisher.ts";
import { createRoomPublisher, type RoomPublisher } from "../../src/realtime/publisher.ts";
import { createRooms } from "../../src/realtime/rooms.ts";
import { db, redis } from "./database.ts";
import { commentRow } from "./threads.ts";

/** What tells rooms, as the Worker uses it. */
export const publisher = createRoomPublisher(createRooms(env), createLogger({}));

/**
 * @param postId the sweeps of these services see this post alone, so that they leave what other files of tests are
 * doing alone; and they see it at once, although the sweeps of other files leave it alone for half a minute
 * @param exchanged parts of the cache and of what tells rooms that are to behave otherwise
 */
export function servicesOf(postId: number, exchanged: Partial<RoomPublisher & PostCache> = {}) {
  const works: (() => Promise<unknown>)[] = [];
  const background = (_label: string, work: () => Promise<unknown>) => {
    works.push(work);
  };
  const effects: Effects = background;
  const now = () => new Date();
  const cache = { ...createPostCache(redis), ...exchanged };
  const [listCache, postListCache, listRows] = [
    createListCache(redis),
    createPostListCache(redis),
    createPostListsRepository(db),
  ];
  const cursors = createCursorCodec(["secret of a test"]);
  const [commentRows, likeRows, postRows] = [
    createCommentsRepository(db),
    createLikesRepository(db),
    createPostsRepository(db),
  ];
  const anytime = new Date("2999-01-01");
  /** Takes every job and delivers none: what a job does is not what these tests are about. */
  const jobs: JobPublisher = { publish: () => Promise.resolve({ status: "done" }) };
  const told = { ...publisher, ...exchanged };
  const posts = createPostsService({
    repository: {
      ...postRows,
      listOverdue: async () =>
        (await postRows.listOverdue(anytime, "oldest", 10_000)).filter(({ id }) => id === postId),
    },
    cache,
    listCache,
    lists: createPostLists({ repository: listRows, cache: postListCache, cursors, background }),
    popular: createPopularRankings({ cache: postListCache, repository: listRows, background, now }),
    boards: createBoardReferences(redis, createBoardsRepository(db), background),
    rooms: told,
    jobs,
    background,
    effects,
    now,
  });
  return {
    cache,
    posts,
    comments: createCommentsService({
      repository: {
        ...commentRows,
        async listOverdue() {
          const overdue = await commentRows.listOverdue(anytime, "oldest", 10_000);
          const postIds = await Promise.all(overdue.map(async ({ id }) => (await commentRow(id)).postId));
          return overdue.filter((_, index) => postIds[index] === postId);
        },
      },
      posts,
      cache,
      rooms: told,
      jobs,
      cursors,
      background,
      effects,
      now,
    }),
    likes: createLikesService({
      repository: {
        ...likeRows,
        listOverdue: async () =>
          (await likeRows.listOverdue(anytime, "oldest", 10_000)).filter((row) => row.postId === postId),
      },
      cache,
      rooms: told,
      jobs,
      background,
      effects,
      now,
    }),
    /** Does the work that the services put into the background; until then nothing of it is done. */
    async settle(): Promise<void> {
      while (works.length > 0) await works.shift()?.();
    },
  };
}
