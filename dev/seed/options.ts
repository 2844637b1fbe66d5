/**
 * The flags of `npm run seed`.
 * @module
 */
import { parseArgs } from "node:util";
import { LOCAL_DATABASE } from "../cloud/mysql.ts";
import { PORT_SETTINGS } from "../cloud/ports.ts";
import { CloudProblem } from "../cloud/problem.ts";

export type BulkOptions = {
  /** `mysql://user:password@host:port/database` */
  mysqlUrl: string;
  users: number;
  posts: number;
  comments: number;
  likes: number;
  /** The same seed on the same rows writes the same texts. */
  seed: number;
  connections: number;
};

/** The largest numbers of rows, at which a run still fits into 1 GB of memory. */
const MAX = { users: 1_000_000, posts: 10_000_000, comments: 50_000_000, likes: 50_000_000 };
const DEFAULTS = { users: 100, posts: 1_000, comments: 10_000, seed: 1, connections: 4 };
/** Without `--likes`: one for every five posts and comments. */
const LIKES_SHARE = 0.2;

export const BULK_USAGE = `npm run seed -- [flags]

Adds made-up users, posts, comments and likes to the database of the running local cloud, for load tests.
Run it again and it adds more. Nothing that exists is changed but the counts of boards and posts.

  --users N        ${DEFAULTS.users} by default. They sign in as load<id>@liveforum.local with liveforum-demo.
                   0: existing users write.
  --posts N        ${DEFAULTS.posts} by default. 0: the comments go to existing posts.
  --comments N     ${DEFAULTS.comments} by default.
  --likes N        A fifth of posts and comments together by default. They go to what this run adds.
  --seed N         ${DEFAULTS.seed} by default; another number, other texts.
  --connections N  ${DEFAULTS.connections} by default, 1 to 16.
  --mysql URL      mysql://user:password@host:port/database. Without it LIVEFORUM_MYSQL_URL, else the
                   local cloud's database on port ${PORT_SETTINGS.mysql.fallback} (or ${PORT_SETTINGS.mysql.variable}).
`;

/**
 * @param args what follows the script's name
 * @returns `help` when that is asked for
 * @throws {CloudProblem} naming the flag that makes no sense
 */
export function parseBulkOptions(args: readonly string[], env: NodeJS.Dict<string>): BulkOptions | "help" {
  const values = parseFlags(args);
  if (values.help === true) return "help";
  const posts = count("posts", values.posts, DEFAULTS.posts, 0, MAX.posts);
  const comments = count("comments", values.comments, DEFAULTS.comments, 0, MAX.comments);
  const likes = count("likes", values.likes, Math.floor((posts + comments) * LIKES_SHARE), 0, MAX.likes);
  if (likes > 0 && posts + comments === 0) {
    throw new CloudProblem("--likes needs something to like", "Add --posts or --comments");
  }
  return {
    mysqlUrl: mysqlUrl(values.mysql ?? env.LIVEFORUM_MYSQL_URL, env),
    users: count("users", values.users, DEFAULTS.users, 0, MAX.users),
    posts,
    comments,
    likes,
    seed: count("seed", values.seed, DEFAULTS.seed, 0, 2 ** 32 - 1),
    connections: count("connections", values.connections, DEFAULTS.connections, 1, 16),
  };
}

function parseFlags(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        users: { type: "string" },
        posts: { type: "string" },
        comments: { type: "string" },
        likes: { type: "string" },
        seed: { type: "string" },
        connections: { type: "string" },
        mysql: { type: "string" },
        help: { type: "boolean" },
      },
      allowPositionals: false,
    }).values;
  } catch (error) {
    throw new CloudProblem(
      (error as Error).message.split(". ")[0] ?? "",
      "`npm run seed -- --help` lists the flags",
    );
  }
}

function count(
  flag: string,
  text: string | undefined,
  fallback: number,
  least: number,
  most: number,
): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most) {
    throw new CloudProblem(`--${flag} ${text} makes no sense`, `Use a whole number from ${least} to ${most}`);
  }
  return value;
}

function mysqlUrl(given: string | undefined, env: NodeJS.Dict<string>): string {
  if (given === undefined || given === "") {
    const { user, password, database } = LOCAL_DATABASE;
    const port = env[PORT_SETTINGS.mysql.variable] ?? PORT_SETTINGS.mysql.fallback;
    return `mysql://${user}:${password}@127.0.0.1:${port}/${database}`;
  }
  const url = URL.parse(given);
  if (url?.protocol !== "mysql:" || url.pathname.length < 2) {
    throw new CloudProblem(
      "The database's address is not of the form mysql://user:password@host:port/database",
      "Correct --mysql or LIVEFORUM_MYSQL_URL",
    );
  }
  if (url.hostname.endsWith(".psdb.cloud")) {
    throw new CloudProblem(
      `${url.hostname} is PlanetScale, where made-up rows do not belong`,
      "Fill a database of your own",
    );
  }
  return given;
}
