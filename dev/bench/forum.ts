/**
 * The forum that is measured: a local cloud of its own with made-up users, LiveForum's Worker and the bare one.
 * @module
 */
import { readConfig } from "../../src/env.ts";
import { createAccessTokens } from "../../src/auth/tokens.ts";
import type { Cloud } from "../cloud/cloud.ts";
import { migrate } from "../cloud/migrate.ts";
import { queryMysql } from "../cloud/mysql.ts";
import { workerSettings } from "../cloud/settings.ts";
import { fill } from "../seed/fill.ts";
import { parseBulkOptions } from "../seed/options.ts";
import { type Runtime, startRuntime } from "./runtime.ts";

const USERS = 1_000;
const BCRYPT_COST = "10";

export type Forum = {
  cloud: Cloud;
  ours: Runtime;
  bare: Runtime;
  /** Ids of users who have never written anything by themselves. */
  userIds: number[];
  boardId: number;
  /** A fresh access token's header, as of a session of the user's own. */
  signedIn: (userId: number) => Promise<Record<string, string>>;
  /** Calls the API. @throws when it refuses */
  call: <Body>(method: string, path: string, options?: CallOptions) => Promise<Body>;
  /** Adds made-up posts until there are that many in all. */
  grow: (posts: number) => Promise<void>;
  signal: AbortSignal;
};

export type CallOptions = { headers?: Record<string, string>; body?: unknown };

/** Fills an empty cloud and starts both Workers on it. */
export async function openForum(
  cloud: Cloud,
  { inspect, signal, log }: { inspect: number | undefined; signal: AbortSignal; log: (line: string) => void },
): Promise<Forum> {
  const settings = (url: string) =>
    workerSettings(
      cloud.secrets,
      { ...cloud, publicUrl: url },
      // Limits travel with every request, and nobody meets one.
      { RATE_LIMIT_SCALE: "1000", BCRYPT_COST, CORS_ORIGINS: "", REDIS_TIMEOUT_MS: "5000" },
    );
  await migrate(settings("").DATABASE_URL);
  const { host, port, user, password, database } = cloud.mysql;
  const mysqlUrl = `mysql://${user}:${password}@${host}:${port}/${database}`;
  const add = async (counts: Record<"users" | "posts" | "comments" | "likes", number>) => {
    const flags = Object.entries(counts).map(([name, count]) => `--${name}=${count}`);
    const options = parseBulkOptions([...flags, `--mysql=${mysqlUrl}`], {});
    if (options === "help") throw new Error("not asked for");
    await fill(options, { onRows: () => {}, onTable: () => {} }, signal);
  };
  await add({ users: USERS, posts: 1_000, comments: 5_000, likes: 1_000 });
  let size = 1_000;
  log("bundling both Workers");
  const ours = await startRuntime(
    cloud,
    {
      name: "ours",
      config: "wrangler.toml",
      module: "index.js",
      objects: { POST_ROOM: "PostRoom", USER_ROOM: "UserRoom" },
    },
    settings,
    { inspect, signal },
  );
  const bare = await startRuntime(
    cloud,
    {
      name: "bare",
      config: "dev/bench/bare/wrangler.toml",
      module: "worker.js",
      objects: { ROOM: "BareRoom" },
    },
    settings,
    { signal },
  );
  const config = readConfig(settings(ours.url));
  if (!config.ok) throw new Error("the local settings are wrong");
  const tokens = createAccessTokens(config.config.JWT_KEYS, ours.url);
  const users = (await queryMysql(cloud.mysql, "select id, username from users order by id")) as {
    id: number;
    username: string;
  }[];
  // While Redis is away the database is asked whether a session is good: those of `signedIn` are.
  await queryMysql(
    cloud.mysql,
    "insert into sessions (id, user_id, nonce, epoch, device_label, created_at, last_used_at, expires_at) select id, id, repeat('0', 32), 1, 'Bench', now(3), now(3), now(3) + interval 1 day from users",
  );
  const names = new Map(users.map(({ id, username }) => [id, username]));
  const [board] = (await queryMysql(cloud.mysql, "select id from boards order by id limit 1")) as {
    id: number;
  }[];

  return {
    cloud,
    ours,
    bare,
    userIds: users.map(({ id }) => id),
    boardId: board?.id ?? 0,
    async signedIn(userId) {
      const actor = {
        id: userId,
        username: names.get(userId) ?? "",
        role: "user" as const,
        sessionId: userId,
        nonce: "0".repeat(32),
        epoch: 1,
      };
      return { authorization: `Bearer ${await tokens.issue(actor, new Date())}` };
    },
    async call<Body>(method: string, path: string, { headers = {}, body }: CallOptions = {}) {
      const response = await fetch(`${ours.url}/api${path}`, {
        method,
        headers: { ...headers, ...(body === undefined ? {} : { "content-type": "application/json" }) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
      return (text === "" ? undefined : JSON.parse(text)) as Body;
    },
    async grow(posts) {
      if (posts <= size) return;
      await add({ users: 0, posts: posts - size, comments: 0, likes: 0 });
      size = posts;
    },
    signal,
  };
}
