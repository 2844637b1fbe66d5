/**
 * The little that the gateway must know of a statement's text. Whether a transaction is open is never read from the
 * text but from the server's status, so that comments and implicit commits count.
 * @module
 */

/**
 * - `run`: the server decides.
 * - `rollback`: ends the whole transaction; a no-op where none is open. `ROLLBACK TO SAVEPOINT` is `run`.
 * - `ignore`: succeeds without effect, because only Vitess has what it names.
 * - `refuse`: PlanetScale would not take it either; `text` says what.
 */
export type Treatment =
  | { kind: "run" | "rollback" | "ignore" }
  | { kind: "refuse"; text: string; errno: number; sqlState: string };

// White space and comments before the first word. Executable comments (`/*!`, `/*M!`) belong to the statement.
const LEADING_NOISE = /^(?:\s+|\/\*(?!M?!)[\s\S]*?\*\/|--[ \t][^\n]*(?:\n|$)|#[^\n]*(?:\n|$))+/;
const TRAILING_NOISE = /(?:;|\s)+$/;

const ROLLBACK = /^rollback(?:\s+work)?(?:\s+and\s+no\s+chain)?(?:\s+no\s+release)?$/i;
const VITESS_SETTING =
  /^set\s+(?:@@(?:session\.)?|session\s+)?(?:boost_cached_queries|workload)\s*:?=[^,]*$/i;
const USE = /^use\s+`?([^\s`@]*)`?(@(?:primary|replica|rdonly)`?)?$/i;

const UNSUPPORTED: [RegExp, string][] = [
  [/^(?:create|alter|drop)\s+(?:database|schema)\b/i, "CREATE, ALTER and DROP DATABASE"],
  [
    /^(?:create|alter|drop)\s+(?:or\s+replace\s+)?(?:definer\s*=\s*\S+\s+)?(?:aggregate\s+)?(?:procedure|function|trigger|event)\b/i,
    "stored routines, triggers and events",
  ],
  [/^call\s/i, "CALL"],
  [/^(?:un)?lock\s+tables?\b/i, "LOCK TABLES"],
];

/** How a statement is to be treated in front of `database`. Costs one look at its first words. */
export function treatmentOf(sql: string, database: string): Treatment {
  const text = sql.replace(LEADING_NOISE, "");
  for (const [pattern, what] of UNSUPPORTED) {
    if (pattern.test(text)) {
      return { kind: "refuse", text: `VT12001: unsupported: ${what}`, errno: 1235, sqlState: "42000" };
    }
  }
  // What follows is short, and a long INSERT need not be searched for its end.
  if (text.length > 500) return { kind: "run" };
  const statement = text.replace(TRAILING_NOISE, "");
  if (ROLLBACK.test(statement)) return { kind: "rollback" };
  if (VITESS_SETTING.test(statement)) return { kind: "ignore" };
  const use = USE.exec(statement);
  if (use) {
    const [, name = "", tablet] = use;
    if (tablet !== undefined || name === database) return { kind: "ignore" };
    return { kind: "refuse", text: `Unknown database '${name}'`, errno: 1049, sqlState: "42000" };
  }
  return { kind: "run" };
}
