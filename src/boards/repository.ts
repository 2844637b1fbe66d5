/**
 * SQL of boards.
 * @module
 */
import { and, asc, eq, gt, gte, lt, or, sql } from "drizzle-orm";
import type { Db } from "../db/client.ts";
import { isDuplicateKey, retryOnDeadlock } from "../db/errors.ts";
import { boards } from "../db/schema/boards.ts";
import { posts } from "../db/schema/posts.ts";

const columns = {
  id: boards.id,
  name: boards.name,
  slug: boards.slug,
  description: boards.description,
  position: boards.position,
  // Posts whose effects are still due are few: they are counted by the index on (counted, board_id). The columns are
  // named by hand, because drizzle drops their tables from the selection of a query with one table.
  postCount:
    sql<number>`${boards.postCount} + (select count(*) from ${posts} as due force index (posts_uncounted)
    where due.counted = false and due.board_id = ${boards}.id and due.deleted_at is null)`.mapWith(Number),
  createdAt: boards.createdAt,
};

export type BoardsRepository = ReturnType<typeof createBoardsRepository>;

/** Each method is one statement. */
export function createBoardsRepository(db: Db) {
  return {
    /** In board order, from behind the given sort key. */
    async list(limit: number, after?: { position: number; id: number }) {
      // The first condition alone bounds the range that the index is read in.
      const behind =
        after &&
        and(
          gte(boards.position, after.position),
          or(gt(boards.position, after.position), gt(boards.id, after.id)),
        );
      return db
        .select(columns)
        .from(boards, { forceIndex: "boards_order" })
        .where(behind)
        .orderBy(asc(boards.position), asc(boards.id))
        .limit(limit);
    },

    async findById(id: number) {
      const [row] = await db.select(columns).from(boards).where(eq(boards.id, id)).limit(1);
      return row;
    },

    /** @returns the id, or undefined when the slug is taken */
    async insert(board: {
      name: string;
      slug: string;
      description: string;
      position: number;
      createdAt: Date;
      effectsDueAt: Date;
    }) {
      try {
        return Number((await db.insert(boards).values(board)).insertId);
      } catch (error) {
        if (isDuplicateKey(error)) return undefined;
        throw error;
      }
    },

    async update(
      id: number,
      change: { name?: string; slug?: string; description?: string; position?: number; effectsDueAt: Date },
    ): Promise<"updated" | "taken" | "missing"> {
      try {
        const result = await retryOnDeadlock(async () =>
          db.update(boards).set(change).where(eq(boards.id, id)),
        );
        return result.rowsAffected > 0 ? "updated" : "missing";
      } catch (error) {
        if (isDuplicateKey(error)) return "taken";
        throw error;
      }
    },

    /** Marks the effects of the change at `dueAt` as done, unless there was another since. */
    async settle(id: number, dueAt: Date): Promise<void> {
      await db
        .update(boards)
        .set({ effectsDueAt: null })
        .where(and(eq(boards.id, id), eq(boards.effectsDueAt, dueAt)));
    },

    /** Boards whose effects are overdue since before `before`. */
    async listOverdue(before: Date, limit: number) {
      return db
        .select({ id: boards.id, dueAt: sql<Date>`${boards.effectsDueAt}`.mapWith(boards.effectsDueAt) })
        .from(boards)
        .where(lt(boards.effectsDueAt, before))
        .limit(limit);
    },

    /** Deletes a board that has no posts. @returns false when there is none such */
    async deleteEmpty(id: number): Promise<boolean> {
      const result = await retryOnDeadlock(() =>
        db.execute(sql`
        delete from ${boards} where ${boards.id} = ${id}
          and not exists (select 1 from ${posts} force index (posts_board) where ${posts.boardId} = ${id} and ${posts.deletedAt} is null)`),
      );
      return result.rowsAffected > 0;
    },
  };
}
