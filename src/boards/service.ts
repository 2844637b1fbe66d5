/**
 * Boards.
 * @module
 */
import { type Actor, requireAdmin } from "../auth/actor.ts";
import { requireSomeField } from "../auth/service.ts";
import { ignoreOutage } from "../cache/client.ts";
import type { ListCache } from "../cache/lists.ts";
import type { ForgetName } from "../cache/names.ts";
import type { Background, Effects } from "../common/background.ts";
import { AppError } from "../common/errors.ts";
import {
  type CursorCodec,
  type Page,
  PAGE_LIMIT_MAX,
  type PageRequest,
  toPage,
} from "../common/pagination.ts";
import { DONE, type Outcome } from "../common/retry.ts";
import { overdueSince, SWEEP_LIMIT, workOff } from "../common/sweep.ts";
import type { BoardsRepository } from "./repository.ts";
import type { BoardRow, CreateBoard, UpdateBoard } from "./schema.ts";

type Deps = {
  repository: BoardsRepository;
  listCache: Pick<ListCache, "read" | "fill" | "fence">;
  cursors: CursorCodec;
  forgetName: ForgetName;
  background: Background;
  effects: Effects;
  now: () => Date;
};

const LIST = "boards";
/** What is cached of the list: the largest page, and one board that tells whether more follow. */
const CACHED_BOARDS = PAGE_LIMIT_MAX + 1;

export type BoardsService = ReturnType<typeof createBoardsService>;

export function createBoardsService(deps: Deps) {
  const { repository, listCache, cursors, forgetName, background, effects, now } = deps;

  async function find(id: number): Promise<BoardRow> {
    const board = await repository.findById(id);
    if (!board) throw new AppError("not_found", "There is no such board");
    return board;
  }

  /** The cached list, and names inside cached posts. */
  async function tellCaches(id: number): Promise<void> {
    await Promise.all([forgetName(`board:${id}`), listCache.fence([LIST])]);
  }

  async function deliverEffects(id: number, dueAt: Date): Promise<Outcome> {
    await tellCaches(id);
    await repository.settle(id, dueAt);
    return DONE;
  }

  /** Caches follow the database before the answer, or after it while Redis is away. */
  async function announce(id: number, dueAt: Date): Promise<void> {
    const told = await tellCaches(id)
      .then(() => true)
      .catch(ignoreOutage);
    effects("effects of a board", async () => {
      if (!told) return deliverEffects(id, dueAt);
      await repository.settle(id, dueAt);
      return DONE;
    });
  }

  async function firstPage(limit: number): Promise<BoardRow[]> {
    const cached = await listCache.read(LIST).catch(ignoreOutage);
    if (cached?.content) {
      const rows = JSON.parse(cached.content) as (Omit<BoardRow, "createdAt"> & { createdAt: string })[];
      return rows.slice(0, limit).map((row) => ({ ...row, createdAt: new Date(row.createdAt) }));
    }
    const rows = await repository.list(cached ? CACHED_BOARDS : limit);
    if (cached) background("fill boards", () => listCache.fill(LIST, JSON.stringify(rows), cached.readAt));
    return rows.slice(0, limit);
  }

  return {
    /** @throws AppError `not_found`. One statement. */
    find,

    /** Boards in their order. The first page, warm: one Redis call; cold: one statement more. Other pages: one statement. */
    async list({ limit, cursor }: PageRequest): Promise<Page<BoardRow>> {
      const [position, id] = cursor === undefined ? [] : await cursors.decode(LIST, cursor);
      const after = position === undefined || id === undefined ? undefined : { position, id };
      const rows = after ? await repository.list(limit + 1, after) : await firstPage(limit + 1);
      return toPage(rows, limit, (last) => cursors.encode(LIST, last.position, last.id));
    },

    /** @throws AppError `forbidden`, or `conflict` when the slug is taken */
    async create(actor: Actor, input: CreateBoard): Promise<BoardRow> {
      requireAdmin(actor);
      const createdAt = now();
      const id = await repository.insert({ ...input, createdAt, effectsDueAt: createdAt });
      if (id === undefined) throw slugTaken();
      await announce(id, createdAt);
      return { ...input, id, postCount: 0, createdAt };
    },

    /** @throws AppError `forbidden`, `not_found`, or `conflict` when the slug is taken */
    async update(actor: Actor, id: number, input: UpdateBoard): Promise<BoardRow> {
      requireAdmin(actor);
      requireSomeField(input);
      const at = now();
      const outcome = await repository.update(id, { ...definedOnly(input), effectsDueAt: at });
      if (outcome === "taken") throw slugTaken();
      if (outcome === "updated") await announce(id, at);
      return find(id);
    },

    /** Finds effects that were lost and makes up for them. @returns how many boards */
    async sweep(): Promise<number> {
      const overdue = await repository.listOverdue(overdueSince(now()), SWEEP_LIMIT);
      return workOff(overdue, ({ id, dueAt }) => deliverEffects(id, dueAt));
    },

    /** @throws AppError `forbidden`, `not_found`, or `conflict` while the board has posts */
    async remove(actor: Actor, id: number): Promise<void> {
      requireAdmin(actor);
      if (await repository.deleteEmpty(id)) {
        // While Redis is away the list shows it for two minutes at most.
        await listCache.fence([LIST]).catch(ignoreOutage);
        return;
      }
      await find(id);
      throw new AppError("conflict", "The board has posts");
    },
  };
}

function slugTaken(): AppError {
  return new AppError("conflict", "slug is taken", { errors: [{ path: "slug", message: "is taken" }] });
}

function definedOnly<T extends Record<string, unknown>>(input: T) {
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
