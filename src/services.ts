/**
 * The composition root: settings to clients to repositories to services. The only file that wires.
 * @module
 */
import { createOverrides } from "./auth/overrides.ts";
import { createAccountEffects } from "./auth/account-effects.ts";
import { createPasswords } from "./auth/passwords.ts";
import { createAuthRepository } from "./auth/repository.ts";
import { createAuthService } from "./auth/service.ts";
import { createAccessTokens, createRefreshTokens } from "./auth/tokens.ts";
import { createBoardReferences } from "./boards/references.ts";
import { createBoardsRepository } from "./boards/repository.ts";
import { createBoardsService } from "./boards/service.ts";
import { createRedis } from "./cache/client.ts";
import { createLimiter } from "./cache/limiter.ts";
import { createListCache } from "./cache/lists.ts";
import { createForgetName } from "./cache/names.ts";
import type { Background, Effects } from "./common/background.ts";
import { inChunks } from "./common/chunks.ts";
import type { Logger } from "./common/logger.ts";
import type { Meter } from "./common/meter.ts";
import { createCursorCodec } from "./common/pagination.ts";
import { createDb } from "./db/client.ts";
import type { Config } from "./env.ts";
import { createCountsRepository } from "./counts/repository.ts";
import { createCountsService } from "./counts/service.ts";
import { createCommentsRepository } from "./comments/repository.ts";
import { createCommentsService } from "./comments/service.ts";
import { createLikesRepository } from "./likes/repository.ts";
import { createLikesService } from "./likes/service.ts";
import { createHealthRepository } from "./health/repository.ts";
import { createHealthService } from "./health/service.ts";
import { createPostCache } from "./posts/cache.ts";
import { createPostListCache } from "./posts/list-cache.ts";
import { createPostListsRepository } from "./posts/lists-repository.ts";
import { createPostLists } from "./posts/lists.ts";
import { createPopularRankings } from "./posts/popular.ts";
import { createPostsRepository } from "./posts/repository.ts";
import { createPostsService } from "./posts/service.ts";
import { flushViews, forgetViewBatches } from "./posts/views.ts";
import { createAnnouncer } from "./notifications/announcer.ts";
import { createInboxRepository } from "./notifications/inbox.ts";
import { createNotificationsRepository } from "./notifications/repository.ts";
import { createNotificationsService } from "./notifications/service.ts";
import { createDispatch } from "./queue/dispatch.ts";
import { createJobPublisher } from "./queue/publisher.ts";
import { createRoomPublisher } from "./realtime/publisher.ts";
import { createRooms } from "./realtime/rooms.ts";
import { createRoomsService } from "./realtime/service.ts";
import { createStatsRepository } from "./stats/repository.ts";
import { createStatsService } from "./stats/service.ts";
import { createUsersRepository } from "./users/repository.ts";
import { createUsersService } from "./users/service.ts";

/** What belongs to one request or one scheduled run. */
export type ServicesContext = {
  env: WorkerBindings;
  meter: Meter;
  log: Logger;
  background: Background;
  effects: Effects;
  now: () => Date;
};

export type Services = ReturnType<typeof buildServices>;

/** Cheap: opens nothing. */
export function buildServices(config: Config, context: ServicesContext) {
  const { env, meter, log, background, effects, now } = context;
  const db = createDb(config.DATABASE_URL, meter);
  const redis = createRedis(
    {
      url: config.UPSTASH_REDIS_REST_URL,
      token: config.UPSTASH_REDIS_REST_TOKEN,
      timeoutMs: config.REDIS_TIMEOUT_MS,
    },
    meter,
  );
  const limiter = createLimiter(redis, config.RATE_LIMIT_SCALE, () => now().getTime());
  const cursors = createCursorCodec(config.JWT_KEYS.map((key) => key.secret));
  const overrides = createOverrides(redis);
  const authRepository = createAuthRepository(db);
  const boardsRepository = createBoardsRepository(db);
  const postsRepository = createPostsRepository(db);
  const postListsRepository = createPostListsRepository(db);
  const postCache = createPostCache(redis);
  const listCache = createListCache(redis);
  const postListCache = createPostListCache(redis);
  const forgetName = createForgetName(redis);
  const roomStubs = createRooms(env);
  const rooms = createRoomPublisher(roomStubs, log);
  const jobs = createJobPublisher(
    { url: config.QSTASH_URL, token: config.QSTASH_TOKEN, publicUrl: config.PUBLIC_URL },
    meter,
    log,
  );
  const accessTokens = createAccessTokens(config.JWT_KEYS, config.PUBLIC_URL);
  const popular = createPopularRankings({
    cache: postListCache,
    repository: postListsRepository,
    background,
    now,
  });

  const accountEffects = createAccountEffects({
    repository: authRepository,
    overrides,
    rooms,
    forgetName,
    listCache,
    effects,
    now,
  });

  const auth = createAuthService({
    repository: authRepository,
    passwords: createPasswords(config.BCRYPT_COST),
    accessTokens,
    refreshTokens: createRefreshTokens(config.JWT_KEYS),
    overrides,
    effects: accountEffects,
    cursors,
    background,
    now,
  });
  const posts = createPostsService({
    repository: postsRepository,
    cache: postCache,
    listCache,
    lists: createPostLists({ repository: postListsRepository, cache: postListCache, cursors, background }),
    popular,
    boards: createBoardReferences(redis, boardsRepository, background),
    rooms,
    jobs,
    background,
    effects,
    now,
  });
  const notifications = createNotificationsService({
    repository: createNotificationsRepository(db),
    announcer: createAnnouncer({ inbox: createInboxRepository(db), rooms, now }),
    cursors,
    effects,
    now,
  });
  return {
    notifications,
    dispatch: createDispatch({ "sync-notification": (payload) => notifications.sync(payload) }),
    redis,
    background,
    limiter,
    auth,
    accountEffects,
    users: createUsersService({
      repository: createUsersRepository(db),
      credentials: authRepository,
      auth,
      effects: accountEffects,
      now,
    }),
    boards: createBoardsService({
      repository: boardsRepository,
      listCache,
      cursors,
      forgetName,
      background,
      effects,
      now,
    }),
    posts,
    comments: createCommentsService({
      repository: createCommentsRepository(db),
      posts,
      cache: postCache,
      rooms,
      jobs,
      cursors,
      background,
      effects,
      now,
    }),
    likes: createLikesService({
      repository: createLikesRepository(db),
      cache: postCache,
      rooms,
      jobs,
      background,
      effects,
      now,
    }),
    counts: createCountsService({
      repository: createCountsRepository(db),
      cache: postCache,
      rooms,
      log,
      now,
    }),
    rooms: createRoomsService({ rooms: roomStubs, accessTokens, postExists: posts.exists, now }),
    popular,
    stats: createStatsService({ repository: createStatsRepository(db), now }),
    /** Writes the views counted since the last time to the database. */
    flushViews: () => flushViews(db, postCache, now()),
    forgetViewBatches: () => inChunks((limit) => forgetViewBatches(db, now(), limit)),
    health: createHealthService({
      repository: createHealthRepository(db),
      redis,
      qstash: { url: config.QSTASH_URL, token: config.QSTASH_TOKEN },
      meter,
      now,
    }),
  };
}
