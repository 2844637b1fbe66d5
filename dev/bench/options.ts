/**
 * The flags of `npm run bench`.
 * @module
 */
import { parseArgs } from "node:util";
import { CloudProblem } from "../cloud/problem.ts";

export const PARTS = ["requests", "passwords", "routes", "fan-out", "notifications", "sizes"] as const;
export type Part = (typeof PARTS)[number];

export type BenchOptions = {
  /** In the order of measuring. */
  parts: Part[];
  /** Posts in the forum when lists are measured, ascending. */
  posts: number[];
  /** Sockets in the room when frames are sent, ascending. */
  sockets: number[];
  /** Of each pair of measurements, ours and the bare one in turn. */
  rounds: number;
  /** Port for a debugger of the Worker; undefined: none. */
  inspect: number | undefined;
};

const QUICK = { posts: [1_000, 100_000], sockets: [100, 1_000, 2_000], rounds: 3 };
const FULL = { posts: [1_000, 100_000, 1_000_000], sockets: [100, 500, 1_000, 2_000], rounds: 7 };
const MAX = { posts: 5_000_000, sockets: 5_000, rounds: 50 };

export const BENCH_USAGE = `npm run bench -- [flags]

Measures the Worker on a local cloud of its own and, in turn with it, what the platform itself takes: a bare Worker that
answers a constant of the same size, a bare Durable Object that sends the same frame in a loop. Prints tables and writes
.local/bench/<time>.json. Takes three to four minutes, and about 15 with --full.

  --full          posts ${FULL.posts.join(",")}; sockets ${FULL.sockets.join(",")}; ${FULL.rounds} rounds
  --only PARTS    some of: ${PARTS.join(",")}
  --posts N,N     posts in the forum when lists are measured; ${QUICK.posts.join(",")} by default
  --sockets N,N   sockets in the room when frames are sent; ${QUICK.sockets.join(",")} by default
  --rounds N      measurements of each kind, of which the median counts; ${QUICK.rounds} by default
  --inspect PORT  a debugger or profiler can attach to the Worker there
`;

/**
 * @param args what follows the script's name
 * @returns `help` when that is asked for
 * @throws {CloudProblem} naming the flag that makes no sense
 */
export function parseBenchOptions(args: readonly string[]): BenchOptions | "help" {
  const values = parseFlags(args);
  if (values.help === true) return "help";
  const { posts, sockets, rounds } = values.full === true ? FULL : QUICK;
  return {
    parts: parts(values.only),
    posts: numbers("posts", values.posts, posts, MAX.posts),
    sockets: numbers("sockets", values.sockets, sockets, MAX.sockets),
    rounds: values.rounds === undefined ? rounds : number("rounds", values.rounds, MAX.rounds),
    inspect: values.inspect === undefined ? undefined : number("inspect", values.inspect, 65_535),
  };
}

function parseFlags(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        full: { type: "boolean" },
        only: { type: "string" },
        posts: { type: "string" },
        sockets: { type: "string" },
        rounds: { type: "string" },
        inspect: { type: "string" },
        help: { type: "boolean" },
      },
      allowPositionals: false,
    }).values;
  } catch (error) {
    throw new CloudProblem(
      (error as Error).message.split(". ")[0] ?? "",
      "`npm run bench -- --help` lists the flags",
    );
  }
}

function parts(text: string | undefined): Part[] {
  if (text === undefined) return [...PARTS];
  const wanted = text.split(",").map((name) => name.trim());
  const unknown = wanted.find((name) => !PARTS.includes(name as Part));
  if (unknown !== undefined) {
    throw new CloudProblem(`--only ${unknown} makes no sense`, `Use some of ${PARTS.join(", ")}`);
  }
  return PARTS.filter((part) => wanted.includes(part));
}

/** Ascending and each once. */
function numbers(
  flag: string,
  text: string | undefined,
  fallback: readonly number[],
  most: number,
): number[] {
  if (text === undefined) return [...fallback];
  const values = text.split(",").map((part) => number(flag, part.trim(), most));
  return [...new Set(values)].toSorted((a, b) => a - b);
}

function number(flag: string, text: string, most: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > most) {
    throw new CloudProblem(`--${flag} ${text} makes no sense`, `Use whole numbers from 1 to ${most}`);
  }
  return value;
}
