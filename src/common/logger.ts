/**
 * Structured logs: one JSON object a line on the console, which Workers Logs indexes by field.
 * @module
 */

export type LogFields = Record<string, unknown>;
export type Logger = {
  info: (message: string, fields?: LogFields) => void;
  warn: (message: string, fields?: LogFields) => void;
  /** `error` is reduced to name, message, code and causes: a stack stays out of the fields. */
  error: (message: string, error: unknown, fields?: LogFields) => void;
  /** A logger that adds `fields` to every line. */
  with: (fields: LogFields) => Logger;
};

/** @param base fields of every line. Never pass tokens, passwords or addresses. */
export function createLogger(base: LogFields = {}): Logger {
  const line = (level: string, message: string, fields: LogFields = {}) =>
    JSON.stringify({ level, message, ...base, ...fields });
  return {
    info: (message, fields) => console.log(line("info", message, fields)),
    warn: (message, fields) => console.warn(line("warn", message, fields)),
    error: (message, error, fields) =>
      console.error(line("error", message, { ...fields, error: describeError(error) })),
    with: (fields) => createLogger({ ...base, ...fields }),
  };
}

const CAUSE_DEPTH_MAX = 4;
const MESSAGE_MAX_CHARACTERS = 500;

/**
 * What may be logged of an error. Messages of database errors are cut before the statement and its values
 * (`Sql: "…"`, `Failed query: …`), because those hold what users wrote.
 */
export function describeError(error: unknown, depth = 0): LogFields {
  if (!(error instanceof Error)) return { message: String(error).slice(0, MESSAGE_MAX_CHARACTERS) };
  const described: LogFields = {
    name: error.name,
    message: error.message
      .replace(/^Failed query:[\s\S]*$/u, "Failed query")
      .replace(/:? Sql: "[\s\S]*$/u, "")
      .replace(/entry '[\s\S]*?' for key/u, "entry for key")
      .slice(0, MESSAGE_MAX_CHARACTERS),
  };
  if ("code" in error) described["code"] = error.code;
  if (error.cause !== undefined && depth < CAUSE_DEPTH_MAX) {
    described["cause"] = describeError(error.cause, depth + 1);
  }
  return described;
}
