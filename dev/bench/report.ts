/**
 * What a run found, for people and for programs.
 * @module
 */

/** `rows` have a cell for each column. */
export type Table = { title: string; columns: string[]; rows: (string | number)[][]; note?: string };

/** A table in Markdown; numbers to three significant digits and on the right. */
export function toMarkdown({ title, columns, rows, note }: Table): string {
  const cells = rows.map((row) => row.map(toCell));
  const numeric = columns.map((_, index) => rows.every((row) => typeof row[index] === "number"));
  const widths = columns.map((name, index) =>
    Math.max(3, name.length, ...cells.map((row) => row[index]?.length ?? 0)),
  );
  const line = (row: string[]) =>
    `| ${row.map((cell, index) => (numeric[index] ? cell.padStart(widths[index] ?? 0) : cell.padEnd(widths[index] ?? 0))).join(" | ")} |`;
  const rule = widths.map((width, index) =>
    numeric[index] ? `${"-".repeat(width - 1)}:` : "-".repeat(width),
  );
  const lines = [`### ${title}`, "", line(columns), line(rule), ...cells.map(line)];
  return [...lines, ...(note === undefined ? [] : ["", note])].join("\n");
}

function toCell(value: string | number): string {
  if (typeof value === "string") return value;
  if (!Number.isFinite(value)) return "–";
  if (Number.isInteger(value)) return value.toLocaleString("en");
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(3)));
}

/** The same with the columns' names on each figure. */
export function toJson(tables: readonly Table[]): unknown {
  return tables.map(({ title, columns, rows, note }) => ({
    title,
    ...(note === undefined ? {} : { note }),
    rows: rows.map((row) =>
      Object.fromEntries(columns.map((name, index) => [name, toJsonValue(row[index])])),
    ),
  }));
}

function toJsonValue(value: string | number | undefined): unknown {
  return typeof value === "number" && !Number.isFinite(value) ? null : value;
}
