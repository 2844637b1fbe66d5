/**
 * What was logged while a test ran. Files share a runtime, so work behind answers that earlier ones got logs its lines then, too.
 * @module
 */

export type LogLine = Record<string, unknown>;

/** @param calls of the console's methods */
export function linesOf(calls: readonly unknown[][]): LogLine[] {
  return calls.map(([line]) => JSON.parse(String(line)) as LogLine);
}

/** Leaves out the lines of all other requests and rooms; a line that names neither stays. */
export function withoutOthers(
  lines: readonly LogLine[],
  own: { requestIds?: readonly unknown[]; room?: string } = {},
): LogLine[] {
  const { requestIds = [], room } = own;
  return lines.filter(
    (line) =>
      (line["requestId"] === undefined || requestIds.includes(line["requestId"])) &&
      (line["room"] === undefined || line["room"] === room),
  );
}
