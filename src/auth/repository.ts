/**
 * SQL of accounts' credentials and of sessions.
 * @module
 */
import { and, desc, eq, gt, isNull, lt, ne, or, sql } from "drizzle-orm";
import type { Db } from "../db/client.ts";
import { isDuplicateKey, retryOnDeadlock } from "../db/errors.ts";
import { sessions, users } from "../db/schema/users.ts";
import { sqlTime } from "../db/time.ts";

export type NewUser = {
  email: string;
  username: string;
  usernameKey: string;
  passwordHash: string;
  sessionEpoch: number;
  createdAt: Date;
};

export type NewSession = {
  userId: number;
  nonce: string;
  epoch: number;
  deviceLabel: string;
  createdAt: Date;
  expiresAt: Date;
};

const credentialColumns = {
  id: users.id,
  email: users.email,
  username: users.username,
  role: users.role,
  passwordHash: users.passwordHash,
  sessionEpoch: users.sessionEpoch,
  createdAt: users.createdAt,
};

export type AuthRepository = ReturnType<typeof createAuthRepository>;

/** Each method is one statement unless it says otherwise. */
export function createAuthRepository(db: Db) {
  const liveSession = (now: Date) =>
    and(
      eq(sessions.epoch, users.sessionEpoch),
      isNull(sessions.revokedAt),
      gt(sessions.expiresAt, now),
      ne(sessions.nonce, ""),
    );

  return {
    /** @returns the id, or undefined when email or username is taken */
    async insertUser(user: NewUser): Promise<number | undefined> {
      try {
        const result = await db.insert(users).values(user);
        return Number(result.insertId);
      } catch (error) {
        if (isDuplicateKey(error)) return undefined;
        throw error;
      }
    },

    /** Which of the two is taken already. */
    async takenFields(email: string, usernameKey: string): Promise<{ email: boolean; username: boolean }> {
      const rows = await db
        .select({ email: users.email, usernameKey: users.usernameKey })
        .from(users)
        .where(or(eq(users.email, email), eq(users.usernameKey, usernameKey)));
      return {
        email: rows.some((row) => row.email === email),
        username: rows.some((row) => row.usernameKey === usernameKey),
      };
    },

    async findCredentialsByEmail(email: string) {
      const [row] = await db.select(credentialColumns).from(users).where(eq(users.email, email)).limit(1);
      // The column's collation may take "é" for "e": another spelling is another address.
      return row?.email === email ? row : undefined;
    },

    async findCredentialsById(id: number) {
      const [row] = await db.select(credentialColumns).from(users).where(eq(users.id, id)).limit(1);
      return row;
    },

    /** The refresh token's hash follows by `setRefreshHash`, because the token contains the id. */
    async insertSession(session: NewSession): Promise<number> {
      const result = await db.insert(sessions).values({ ...session, lastUsedAt: session.createdAt });
      return Number(result.insertId);
    },

    /** Stores the hash of the first refresh token. Repeating it changes nothing. */
    async setRefreshHash(first: { sessionId: number; nonce: string; refreshHash: string }): Promise<void> {
      const { sessionId, nonce, refreshHash } = first;
      const session = and(eq(sessions.id, sessionId), eq(sessions.nonce, nonce));
      await db
        .update(sessions)
        .set({ refreshHash })
        .where(and(session, eq(sessions.generation, 1), isNull(sessions.refreshHash)));
    },

    /**
     * Moves the live session of this nonce on to the next generation, if it still is at `generation`.
     * @returns false when it is not, or when the session has ended
     */
    async rotate(input: {
      sessionId: number;
      nonce: string;
      generation: number;
      refreshHash: string;
      nextRefreshHash: string;
      deviceLabel: string;
      expiresAt: Date;
      now: Date;
    }): Promise<boolean> {
      const firstGeneration =
        input.generation === 1
          ? or(isNull(sessions.refreshHash), eq(sessions.refreshHash, input.refreshHash))
          : eq(sessions.refreshHash, input.refreshHash);
      const result = await retryOnDeadlock(() =>
        db
          .update(sessions)
          .set({
            generation: input.generation + 1,
            refreshHash: input.nextRefreshHash,
            rotations: sql`left(concat(${String(input.now.getTime())}, ',', ${sessions.rotations}), 111)`,
            deviceLabel: input.deviceLabel,
            lastUsedAt: input.now,
            expiresAt: input.expiresAt,
          })
          .where(
            and(
              eq(sessions.id, input.sessionId),
              eq(sessions.nonce, input.nonce),
              eq(sessions.generation, input.generation),
              firstGeneration,
              isNull(sessions.revokedAt),
              gt(sessions.expiresAt, input.now),
              sql`${sessions.epoch} = (select ${users.sessionEpoch} from ${users} where ${users.id} = ${sessions.userId})`,
            ),
          ),
      );
      return result.rowsAffected > 0;
    },

    /** A session with its user; `live` tells whether it can still be used. */
    async findSession(sessionId: number, now: Date) {
      const [row] = await db
        .select({
          userId: users.id,
          username: users.username,
          role: users.role,
          userCreatedAt: users.createdAt,
          nonce: sessions.nonce,
          epoch: sessions.epoch,
          generation: sessions.generation,
          refreshHash: sessions.refreshHash,
          rotations: sessions.rotations,
          live: sql<number>`(${liveSession(now)})`.mapWith(Number),
        })
        .from(sessions)
        .innerJoin(users, eq(users.id, sessions.userId))
        .where(eq(sessions.id, sessionId))
        .limit(1);
      return row;
    },

    /** The caller's live sessions, newest first, from below `beforeId`. */
    async listSessions(userId: number, now: Date, limit: number, beforeId?: number) {
      return db
        .select({
          id: sessions.id,
          deviceLabel: sessions.deviceLabel,
          createdAt: sessions.createdAt,
          lastUsedAt: sessions.lastUsedAt,
        })
        .from(sessions, { forceIndex: "sessions_user" })
        .innerJoin(users, eq(users.id, sessions.userId))
        .where(
          and(
            eq(sessions.userId, userId),
            liveSession(now),
            beforeId === undefined ? undefined : lt(sessions.id, beforeId),
          ),
        )
        .orderBy(desc(sessions.id))
        .limit(limit);
    },

    /** Ends one session of a user. @returns false when there is no such live session */
    async revokeSession(userId: number, sessionId: number, now: Date): Promise<boolean> {
      const result = await retryOnDeadlock(async () =>
        db
          .update(sessions)
          .set({ revokedAt: now, effectsDueAt: now })
          .where(
            and(
              eq(sessions.id, sessionId),
              eq(sessions.userId, userId),
              isNull(sessions.revokedAt),
              gt(sessions.expiresAt, now),
              sql`${sessions.epoch} = (select ${users.sessionEpoch} from ${users} where ${users.id} = ${userId})`,
            ),
          ),
      );
      return result.rowsAffected > 0;
    },

    /** Ends all sessions of a user. @returns the new epoch */
    async revokeAll(userId: number, now: Date): Promise<number> {
      const result = await retryOnDeadlock(async () =>
        db
          .update(users)
          .set({ sessionEpoch: sql`last_insert_id(${users.sessionEpoch} + 1)`, effectsDueAt: now })
          .where(eq(users.id, userId)),
      );
      return Number(result.insertId);
    },

    /**
     * Changes the password and ends all sessions but one, if the hash and the epoch still are what the caller saw.
     * @returns false when they are not, or when the session that is to stay has ended
     */
    async changePassword(input: {
      userId: number;
      sessionId: number;
      currentHash: string;
      nextHash: string;
      epoch: number;
      now: Date;
    }): Promise<boolean> {
      const result = await retryOnDeadlock(async () =>
        db.execute(sql`
        update ${users} join ${sessions} on ${sessions.userId} = ${users.id} and ${sessions.id} = ${input.sessionId}
        set ${users.passwordHash} = ${input.nextHash}, ${users.sessionEpoch} = ${input.epoch + 1}, ${sessions.epoch} = ${input.epoch + 1},
          ${users.effectsDueAt} = ${sqlTime(input.now)}
        where ${users.id} = ${input.userId} and ${users.passwordHash} = ${input.currentHash}
          and ${users.sessionEpoch} = ${input.epoch} and ${sessions.epoch} = ${input.epoch} and ${sessions.revokedAt} is null`),
      );
      return result.rowsAffected > 0;
    },

    /** Puts another hash of the same password in the place of one, if that is still the user's. */
    async replaceHash(userId: number, currentHash: string, nextHash: string): Promise<void> {
      await db
        .update(users)
        .set({ passwordHash: nextHash })
        .where(and(eq(users.id, userId), eq(users.passwordHash, currentHash)));
    },

    /** Marks the effects of the end of a session at `dueAt` as done. */
    async settleSession(id: number, dueAt: Date): Promise<void> {
      await db
        .update(sessions)
        .set({ effectsDueAt: null })
        .where(and(eq(sessions.id, id), eq(sessions.effectsDueAt, dueAt)));
    },

    /** Marks the effects of the change at `dueAt` as done, unless there was another since. */
    async settleUser(id: number, dueAt: Date): Promise<void> {
      await db
        .update(users)
        .set({ effectsDueAt: null })
        .where(and(eq(users.id, id), eq(users.effectsDueAt, dueAt)));
    },

    /** Ended sessions whose effects are overdue since before `before`, oldest first. */
    async listOverdueSessions(before: Date, limit: number) {
      return db
        .select({
          id: sessions.id,
          userId: sessions.userId,
          dueAt: sql<Date>`${sessions.effectsDueAt}`.mapWith(sessions.effectsDueAt),
        })
        .from(sessions)
        .where(lt(sessions.effectsDueAt, before))
        .orderBy(sessions.effectsDueAt)
        .limit(limit);
    },

    /**
     * Users whose effects are overdue since before `before`, oldest first. `keptSessionId` is the session that a change
     * of the password moved into the new epoch: the one that is older than the change.
     */
    async listOverdueUsers(before: Date, limit: number) {
      return db
        .select({
          id: users.id,
          epoch: users.sessionEpoch,
          username: users.username,
          role: users.role,
          dueAt: sql<Date>`${users.effectsDueAt}`.mapWith(users.effectsDueAt),
          // Tables are named by hand: drizzle drops them from the selection of a query with one table.
          keptSessionId: sql<
            number | null
          >`(select max(kept.id) from ${sessions} as kept where kept.user_id = ${users}.id
            and kept.epoch = ${users}.session_epoch and kept.revoked_at is null and kept.created_at < ${users}.effects_due_at)`.mapWith(
            (id: unknown) => (id === null ? null : Number(id)),
          ),
        })
        .from(users)
        .where(lt(users.effectsDueAt, before))
        .orderBy(users.effectsDueAt)
        .limit(limit);
    },

    /** Deletes sessions that ended before `before`, at most `limit` of them. @returns how many */
    async deleteExpired(before: Date, limit: number): Promise<number> {
      const result = await db
        .delete(sessions)
        .where(lt(sessions.expiresAt, before))
        .orderBy(sessions.expiresAt)
        .limit(limit);
      return result.rowsAffected;
    },
  };
}
