/**
 * Column types used throughout the schema. Rules (PlanetScale, Vitess and MariaDB alike): no foreign keys, no
 * triggers, no named collations, no `serial`; anything that must compare byte for byte is stored as lower-case hex.
 * @module
 */
import { bigint, char, datetime } from "drizzle-orm/mysql-core";

/** Primary key; ids grow in the order of creation, so "newest first" is `ORDER BY id DESC`. */
export const primaryId = () => bigint("id", { mode: "number", unsigned: true }).autoincrement().primaryKey();

/** A reference to another row's id. */
export const reference = (name: string) => bigint(name, { mode: "number", unsigned: true });

/** UTC with milliseconds. */
export const instant = (name: string) => datetime(name, { mode: "date", fsp: 3 });

/** SHA-256 as 64 hex digits. */
export const sha256 = (name: string) => char(name, { length: 64 });
