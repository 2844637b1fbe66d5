import { char, index, int, mysqlTable, uniqueIndex, varchar } from "drizzle-orm/mysql-core";
import { instant, primaryId, reference, sha256 } from "./columns.ts";

/** Accounts. An erased account keeps its row: email, username and password are null, `erasedAt` is set. */
export const users = mysqlTable(
  "users",
  {
    id: primaryId(),
    /** Lower case, ASCII. */
    email: varchar("email", { length: 254 }),
    username: varchar("username", { length: 30 }),
    /** `usernameKey()` of the username: unique regardless of case under any collation. */
    usernameKey: sha256("username_key"),
    passwordHash: varchar("password_hash", { length: 60 }),
    role: varchar("role", { length: 8, enum: ["user", "admin"] })
      .notNull()
      .default("user"),
    /**
     * A session is live only while its `epoch` equals this one: raising it ends all sessions in one statement. Begins with the
     * seconds of the account's creation, so that whoever had the id before a restored backup never had so high a one.
     */
    sessionEpoch: int("session_epoch", { unsigned: true }).notNull().default(1),
    /** When effects of the last change are overdue; null: all are done. */
    effectsDueAt: instant("effects_due_at"),
    createdAt: instant("created_at").notNull(),
    erasedAt: instant("erased_at"),
  },
  (table) => [
    uniqueIndex("users_email").on(table.email),
    uniqueIndex("users_username_key").on(table.usernameKey),
    index("users_created_at").on(table.createdAt),
    index("users_effects_due").on(table.effectsDueAt),
  ],
);

/** Sign-ins. The refresh token of the current generation is kept as a hash only. */
export const sessions = mysqlTable(
  "sessions",
  {
    id: primaryId(),
    userId: reference("user_id").notNull(),
    /** 128 random bits in hex, by which tokens know the session: ids are given out again after a restored backup. Empty: no token fits. */
    nonce: char("nonce", { length: 32 }).notNull().default(""),
    epoch: int("epoch", { unsigned: true }).notNull(),
    /** Counts the rotations of the refresh token, from 1. */
    generation: int("generation", { unsigned: true }).notNull().default(1),
    refreshHash: sha256("refresh_hash"),
    /** When the last few generations were replaced: milliseconds since the epoch, newest first, comma-separated. */
    rotations: varchar("rotations", { length: 111 }).notNull().default(""),
    deviceLabel: varchar("device_label", { length: 100 }).notNull(),
    createdAt: instant("created_at").notNull(),
    lastUsedAt: instant("last_used_at").notNull(),
    expiresAt: instant("expires_at").notNull(),
    revokedAt: instant("revoked_at"),
    effectsDueAt: instant("effects_due_at"),
  },
  (table) => [
    index("sessions_user").on(table.userId, table.id),
    index("sessions_expires_at").on(table.expiresAt),
    index("sessions_effects_due").on(table.effectsDueAt),
  ],
);
