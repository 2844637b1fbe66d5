/**
 * SQL of profiles.
 * @module
 */
import { and, eq, isNull, sql } from "drizzle-orm";
import type { Db } from "../db/client.ts";
import { isDuplicateKey, retryOnDeadlock } from "../db/errors.ts";
import { users } from "../db/schema/users.ts";

const notErased = isNull(users.erasedAt);

export type UsersRepository = ReturnType<typeof createUsersRepository>;

/** Each method is one statement. Erased accounts are not found. */
export function createUsersRepository(db: Db) {
  return {
    async findById(id: number) {
      const [row] = await db
        .select({
          id: users.id,
          username: sql<string>`${users.username}`,
          email: sql<string>`${users.email}`,
          role: users.role,
          createdAt: users.createdAt,
        })
        .from(users)
        .where(and(eq(users.id, id), notErased))
        .limit(1);
      return row;
    },

    /** @returns `taken` when email or username belongs to somebody else */
    async update(
      id: number,
      change: { username?: string; usernameKey?: string; email?: string; effectsDueAt?: Date },
    ): Promise<"updated" | "taken" | "missing"> {
      try {
        const result = await retryOnDeadlock(async () =>
          db
            .update(users)
            .set(change)
            .where(and(eq(users.id, id), notErased)),
        );
        return result.rowsAffected > 0 ? "updated" : "missing";
      } catch (error) {
        if (isDuplicateKey(error)) return "taken";
        throw error;
      }
    },

    /** Takes everything personal out of the row and ends all sessions. @returns the new session epoch */
    async erase(id: number, now: Date): Promise<number> {
      const result = await retryOnDeadlock(async () =>
        db
          .update(users)
          .set({
            email: null,
            username: null,
            usernameKey: null,
            passwordHash: null,
            role: "user",
            erasedAt: now,
            effectsDueAt: now,
            sessionEpoch: sql`last_insert_id(${users.sessionEpoch} + 1)`,
          })
          .where(and(eq(users.id, id), notErased)),
      );
      return Number(result.insertId);
    },
  };
}
