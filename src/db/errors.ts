/**
 * What went wrong in the database, told from the error that drizzle wraps. PlanetScale's messages carry `(errno N)`;
 * the text around it differs between MySQL and MariaDB and is never looked at.
 * @module
 */
import { DatabaseError } from "@planetscale/database";
import { DrizzleQueryError } from "drizzle-orm";
import { delay } from "../common/delay.ts";

const CAUSE_DEPTH_MAX = 5;

function* causes(error: unknown): Generator<Error> {
  let current = error;
  for (let depth = 0; depth < CAUSE_DEPTH_MAX && current instanceof Error; depth += 1) {
    yield current;
    current = current.cause;
  }
}

function hasErrno(error: unknown, errno: number): boolean {
  for (const cause of causes(error)) {
    if (cause instanceof DatabaseError && cause.message.includes(`(errno ${errno})`)) return true;
  }
  return false;
}

/** A unique key refused the row (ER_DUP_ENTRY). */
export function isDuplicateKey(error: unknown): boolean {
  return hasErrno(error, 1062);
}

/** The statement was chosen as a deadlock's victim and undone as a whole (ER_LOCK_DEADLOCK): it may be repeated. */
export function isDeadlock(error: unknown): boolean {
  // MariaDB answers some of them, those that met while a row was numbered, with ER_AUTOINC_READ_FAILED.
  return hasErrno(error, 1213) || hasErrno(error, 1467);
}

/** The database has no such column or table (ER_BAD_FIELD_ERROR, ER_NO_SUCH_TABLE): its migrations are behind the code. */
export function isSchemaBehind(error: unknown): boolean {
  return hasErrno(error, 1054) || hasErrno(error, 1146);
}

/** The database could not be reached, did not answer in time or not to the end, as opposed to refusing the statement. */
export function isDatabaseUnavailable(error: unknown): boolean {
  for (const cause of causes(error)) {
    if (cause instanceof DatabaseError) {
      return (
        cause.status >= 500 ||
        cause.status === 429 ||
        cause.body.code === "UNAVAILABLE" ||
        cause.body.code === "RESOURCE_EXHAUSTED"
      );
    }
    if (cause.name === "TimeoutError" || cause.name === "AbortError") return true;
    // An answer that is cut off in the middle is no JSON.
    if (cause instanceof DrizzleQueryError && cause.cause instanceof SyntaxError) return true;
    if (
      /network connection lost|fetch failed|error code: 5\d\d|UnknownError|connection refused/i.test(
        `${cause.name} ${cause.message}`,
      )
    ) {
      return true;
    }
  }
  return false;
}

/** For what an answer can do without: null while the database is away; rethrows everything else. */
export function nullWhileAway<T>(statement: Promise<T>): Promise<T | null> {
  return statement.catch((error: unknown) => {
    if (isDatabaseUnavailable(error)) return null;
    throw error;
  });
}

const DEADLOCK_TRIES = 6;
/** Those who met come back at different times. */
const DEADLOCK_PAUSE_MS = 15;

/** Runs one statement, again when it was a deadlock's victim: nothing of it was kept. */
export async function retryOnDeadlock<T>(statement: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await statement();
    } catch (error) {
      if (attempt >= DEADLOCK_TRIES || !isDeadlock(error)) throw error;
      await delay(Math.random() * DEADLOCK_PAUSE_MS * attempt);
    }
  }
}
