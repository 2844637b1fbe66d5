/**
 * Times inside hand-written statements.
 * @module
 */

/** A time as the literal that drizzle itself sends for a `datetime(3)` column. */
export function sqlTime(time: Date): string {
  return time.toISOString().replace("T", " ").replace("Z", "");
}
