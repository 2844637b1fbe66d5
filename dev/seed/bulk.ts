/**
 * `npm run seed`: see `BULK_USAGE`.
 * @module
 */
import { CloudProblem } from "../cloud/problem.ts";
import { fill, type FilledTable } from "./fill.ts";
import { BULK_USAGE, type BulkOptions, parseBulkOptions } from "./options.ts";

const PROGRESS_EVERY_MS = 5_000;
const number = new Intl.NumberFormat("en");

async function seed(options: BulkOptions): Promise<void> {
  const { host, pathname } = new URL(options.mysqlUrl);
  console.log(
    `Filling ${host}${pathname}: ${number.format(options.users)} users, ${number.format(options.posts)} posts, ` +
      `${number.format(options.comments)} comments, ${number.format(options.likes)} likes (seed ${options.seed})`,
  );
  const abort = new AbortController();
  process.once("SIGINT", () => {
    console.log("Stopping; counters are brought up to date");
    abort.abort();
  });
  let reportedAt = performance.now();
  const onRows = (table: FilledTable, rows: number): void => {
    if (performance.now() - reportedAt < PROGRESS_EVERY_MS) return;
    reportedAt = performance.now();
    console.log(`  ${table} ${number.format(rows)} of ${number.format(options[table])}`);
  };
  const { rows, seconds } = await fill(
    options,
    { onRows, onTable: (table, count, tableSeconds) => console.log(line(table, count, tableSeconds)) },
    abort.signal,
  );
  const total = Object.values(rows).reduce((sum, count) => sum + count, 0);
  console.log(line("total", total, seconds));
  if (abort.signal.aborted) process.exitCode = 130;
}

function line(name: string, rows: number, seconds: number): string {
  const rate = number.format(Math.round(rows / seconds));
  return `${name.padEnd(9)}${number.format(rows).padStart(12)} rows in ${seconds.toFixed(1).padStart(6)} s, ${rate.padStart(8)} rows a second`;
}

try {
  const options = parseBulkOptions(process.argv.slice(2), process.env);
  if (options === "help") console.log(BULK_USAGE);
  else await seed(options);
} catch (error) {
  if (!(error instanceof CloudProblem)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
