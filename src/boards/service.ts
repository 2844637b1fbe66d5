/**
 * Boards.
 * @module
 */
import { type Actor, requireAdmin } from "../auth/actor.ts";
import { requireSomeField } from "../auth/service.ts";
import { ignoreOutage } from "../cache/client.ts";
import type { Effects } from "../common/background.ts";
import { AppError } from "../common/errors.ts";
import { type CursorCodec, type Page, type PageRequest, toPage } from "../common/pagination.ts";
import { DONE, type Outcome } from "../common/retry.ts";
import { overdueSince, SWEEP_LIMIT, workOff } from "../common/sweep.ts";
import type { BoardsRepository } from "./repository.ts";
import type { BoardRow, CreateBoard, UpdateBoard } from "./schema.ts";

type Deps = {
  repository: BoardsRepository;
  cursors: CursorCodec;
  /** Makes cached names of boards out of date. */
  forgetNames: () => Promise<void>;
  effects: Effects;
  now: () => Date;
};

const LIST = "boards";

export type BoardsService = ReturnType<typeof createBoardsService>;

export function createBoardsService({ repository, cursors, forgetNames, effects, now }: Deps) {
  async function find(id: number): Promise<BoardRow> {
    const board = await repository.findById(id);
    if (!board) throw new AppError("not_found", "There is no such board");
    return board;
  }

  async function deliverEffects(id: number, dueAt: Date): Promise<Outcome> {
    await forgetNames();
    await repository.settle(id, dueAt);
    return DONE;
  }

  /** Names inside cached posts follow the database before the answer, or after it while Redis is away. */
  async function announce(id: number, dueAt: Date): Promise<void> {
    const told = await forgetNames()
      .then(() => true)
      .catch(ignoreOutage);
    effects("effects of a board", async () => {
      if (!told) return deliverEffects(id, dueAt);
      await repository.settle(id, dueAt);
      return DONE;
    });
  }

  return {
    /** @throws AppError `not_found`. One statement. */
    find,

    /** Boards in their order. One statement. */
    async list({ limit, cursor }: PageRequest): Promise<Page<BoardRow>> {
      const [position, id] = cursor === undefined ? [] : await cursors.decode(LIST, cursor);
      const after = position === undefined || id === undefined ? undefined : { position, id };
      const rows = await repository.list(limit + 1, after);
      return toPage(rows, limit, (last) => cursors.encode(LIST, last.position, last.id));
    },

    /** @throws AppError `forbidden`, or `conflict` when the slug is taken */
    async create(actor: Actor, input: CreateBoard): Promise<BoardRow> {
      requireAdmin(actor);
      const createdAt = now();
      const id = await repository.insert({ ...input, createdAt });
      if (id === undefined) throw slugTaken();
      return { ...input, id, postCount: 0, createdAt };
    },

    /** @throws AppError `forbidden`, `not_found`, or `conflict` when the slug is taken */
    async update(actor: Actor, id: number, input: UpdateBoard): Promise<BoardRow> {
      requireAdmin(actor);
      requireSomeField(input);
      const at = now();
      const named = input.name !== undefined || input.slug !== undefined;
      const outcome = await repository.update(id, {
        ...definedOnly(input),
        ...(named ? { effectsDueAt: at } : {}),
      });
      if (outcome === "taken") throw slugTaken();
      if (outcome === "updated" && named) await announce(id, at);
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
      if (await repository.deleteEmpty(id)) return;
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
