/**
 * The local cloud: database, Redis and the three gateways, each a process of its own in one data folder.
 * @module
 */
import { type Child, type ChildExit, describeExit } from "./child.ts";
import { type DataFolder, openDataFolder } from "./data-folder.ts";
import { startMysqlInDocker, startRedisInDocker } from "./docker-servers.ts";
import { ensureServers, thisMachine } from "./ensure-servers.ts";
import { planetscaleFlags, qstashFlags, startGatewayProcess, upstashFlags } from "./gateways.ts";
import { canConnect, type MysqlAddress, startMysql } from "./mysql.ts";
import { claimPort, type Ports } from "./ports.ts";
import { CloudProblem } from "./problem.ts";
import { canPing, startRedis } from "./redis.ts";
import { loadSecrets, type Secrets } from "./settings.ts";

export type CloudOptions = {
  dataDir: string;
  ports: Omit<Ports, "worker">;
  /** Divides the waits between QStash's retries. */
  qstashSpeed: number;
  /** Starts on an empty data folder. */
  reset?: boolean;
  /** The data folder goes with the program that owns it. */
  removeOnDeath?: boolean;
  log: (line: string) => void;
  signal: AbortSignal;
};

/** What a part that died left to say. */
export type Death = { name: string; exit: ChildExit; lastLines: string[] };

export type Cloud = {
  folder: DataFolder;
  secrets: Secrets;
  mysql: MysqlAddress;
  redisUrl: string;
  planetscaleUrl: string;
  upstashUrl: string;
  qstashUrl: string;
  /** Watches a further part: its end is the cloud's end. */
  watch: (child: Child) => void;
  /** Resolves with the first part that ends by itself. */
  died: Promise<Death>;
  /** Stops every part, last started first, and gives the data folder up. */
  close: () => Promise<void>;
};

/** Starts everything, or nothing. @throws {CloudProblem} */
export async function startCloud(options: CloudOptions): Promise<Cloud> {
  const { log, signal } = options;
  const own = ownServers(process.env);
  if (options.reset && (own.mysql || own.redisUrl)) {
    log("LIVEFORUM_MYSQL_URL and LIVEFORUM_REDIS_URL are your own servers: --reset leaves their data alone");
  }
  const folder = await openDataFolder(options.dataDir, { removeOnDeath: options.removeOnDeath ?? false });
  if (folder.ended.length > 0) log(`ended what a killed run had left: ${folder.ended.join(", ")}`);
  const children: Child[] = [];
  const deaths = Promise.withResolvers<Death>();
  let closing = false;

  function watch(child: Child): void {
    children.push(child);
    void child.exited.then((exit) => {
      if (!closing) deaths.resolve({ name: child.name, exit, lastLines: child.lastLines() });
    });
  }

  async function close(): Promise<void> {
    closing = true;
    for (const child of children.toReversed()) await child.stop();
    folder.release({ remove: options.removeOnDeath ?? false });
  }

  try {
    if (options.reset) folder.wipe();
    const secrets = loadSecrets(folder);
    const servers = ensureServers(thisMachine(log), { mysql: !own.mysql, redis: !own.redisUrl });
    const [mysql, redisUrl] = await settleAll([
      own.mysql ? checkOwnMysql(own.mysql) : startDatabase(),
      own.redisUrl ? checkOwnRedis(own.redisUrl) : startCache(),
    ]);

    async function startDatabase(): Promise<MysqlAddress> {
      const port = await claimPort("mysql", options.ports.mysql);
      const started =
        servers.mysql === undefined || servers.mysql === "docker"
          ? await startMysqlInDocker(folder, port, signal)
          : await startMysql(folder, servers.mysql, port, signal);
      watch(started.child);
      return started.address;
    }

    async function startCache(): Promise<string> {
      const port = await claimPort("redis", options.ports.redis);
      const started =
        servers.redis === undefined || servers.redis === "docker"
          ? await startRedisInDocker(folder, port, signal)
          : await startRedis(folder, servers.redis, port, signal);
      watch(started.child);
      return started.url;
    }

    async function gateway(
      name: "planetscale" | "upstash" | "qstash",
      flags: (port: number) => string[],
    ): Promise<string> {
      const port = await claimPort(name, options.ports[name]);
      const started = await startGatewayProcess(folder, name, flags(port), signal);
      watch(started.child);
      return started.url;
    }

    const [planetscaleUrl, upstashUrl, qstashUrl] = await settleAll([
      gateway("planetscale", (port) => planetscaleFlags(port, mysql, secrets)),
      gateway("upstash", (port) => upstashFlags(port, redisUrl, secrets)),
      gateway("qstash", (port) => qstashFlags(port, folder, options.qstashSpeed, secrets)),
    ]);
    return {
      folder,
      secrets,
      mysql,
      redisUrl,
      planetscaleUrl,
      upstashUrl,
      qstashUrl,
      watch,
      died: deaths.promise,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** How a part's end is told: one line, and its last lines of output. */
export function deathProblem({ name, exit, lastLines }: Death): CloudProblem {
  return new CloudProblem(
    `${name} ${describeExit(exit)}`,
    "Everything else was stopped; start again with `npm run dev`",
    lastLines,
  );
}

/** All of them, or the first failure once every one has come to its end, so that nothing starts behind a closing. */
async function settleAll<T extends readonly unknown[]>(work: {
  [K in keyof T]: Promise<T[K]>;
}): Promise<T> {
  const outcomes = await Promise.allSettled(work);
  const failed = outcomes.find((outcome) => outcome.status === "rejected");
  if (failed) throw failed.reason;
  return outcomes.map((outcome) => (outcome as PromiseFulfilledResult<unknown>).value) as unknown as T;
}

function ownServers(env: NodeJS.ProcessEnv): { mysql?: MysqlAddress; redisUrl?: string } {
  return {
    ...(env.LIVEFORUM_MYSQL_URL ? { mysql: parseMysqlUrl(env.LIVEFORUM_MYSQL_URL) } : {}),
    ...(env.LIVEFORUM_REDIS_URL ? { redisUrl: env.LIVEFORUM_REDIS_URL } : {}),
  };
}

function parseMysqlUrl(text: string): MysqlAddress {
  const problem = new CloudProblem(
    "LIVEFORUM_MYSQL_URL is not a database address",
    "Write it as mysql://user:password@host:port/database",
  );
  if (!URL.canParse(text)) throw problem;
  const url = new URL(text);
  const database = decodeURIComponent(url.pathname.slice(1));
  if (url.protocol !== "mysql:" || url.username === "" || database === "") throw problem;
  return {
    host: url.hostname,
    port: url.port === "" ? 3306 : Number(url.port),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database,
  };
}

async function checkOwnMysql(address: MysqlAddress): Promise<MysqlAddress> {
  if (await canConnect(address)) return address;
  throw new CloudProblem(
    `The database of LIVEFORUM_MYSQL_URL (${address.host}:${address.port}/${address.database}) cannot be reached`,
    "Create the database and the user, or leave LIVEFORUM_MYSQL_URL away to have a private one started",
  );
}

async function checkOwnRedis(url: string): Promise<string> {
  if (await canPing(url)) return url;
  throw new CloudProblem(
    "The Redis of LIVEFORUM_REDIS_URL cannot be reached",
    "Start it, or leave LIVEFORUM_REDIS_URL away to have a private one started",
  );
}
