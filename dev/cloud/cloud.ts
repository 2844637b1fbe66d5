/**
 * The local cloud: database, Redis and the three gateways, each a process of its own in one data folder.
 * @module
 */
import { type Child, describeExit } from "./child.ts";
import { type DataFolder, folderProblem, openDataFolder } from "./data-folder.ts";
import { startMysqlInDocker, startRedisInDocker } from "./docker-servers.ts";
import { ensureServers, type Servers } from "./ensure-servers.ts";
import {
  type GatewayName,
  planetscaleFlags,
  qstashFlags,
  startGatewayProcess,
  upstashFlags,
} from "./gateways.ts";
import { thisMachine } from "./machine.ts";
import { type MysqlAddress, startMysql } from "./mysql.ts";
import { checkOwnMysql, checkOwnQstash, checkOwnRedis, type OwnServers } from "./own-servers.ts";
import { claimPort, onPort, type Ports } from "./ports.ts";
import { CloudProblem } from "./problem.ts";
import { startRedis } from "./redis.ts";
import { loadSecrets, type Secrets } from "./settings.ts";

export type CloudOptions = {
  dataDir: string;
  ports: Omit<Ports, "worker">;
  /** What is not started because the user brings it along. */
  own: OwnServers;
  /** Credentials other than the usual local ones. */
  secrets?: Partial<Secrets>;
  /** Divides the waits between QStash's retries. */
  qstashSpeed: number;
  /** Starts on an empty data folder. */
  reset?: boolean;
  /** The data folder goes with the program that owns it. */
  removeOnDeath?: boolean;
  log: (line: string) => void;
  /** Aborted to give up while it starts; the reason is thrown. */
  signal: AbortSignal;
};

/** Parts of a level are stopped together, after those of the levels above. */
export type Level = "server" | "gateway" | "worker";

export type Cloud = {
  folder: DataFolder;
  secrets: Secrets;
  mysql: MysqlAddress;
  redisUrl: string;
  planetscaleUrl: string;
  upstashUrl: string;
  qstashUrl: string;
  /** Watches a further part: its end is the cloud's end. */
  watch: (child: Child, level: Level) => void;
  /** Declares the cloud's end. */
  fail: (problem: CloudProblem) => void;
  /** Resolves with the cause of the end: the first part that ends by itself, or what `fail` was told. */
  failed: Promise<CloudProblem>;
  /** Stops every part; their data stay until `close`. */
  stop: () => Promise<void>;
  /** Stops every part and gives the data folder up. Calling it again does nothing more. */
  close: () => Promise<void>;
};

/** Starts everything, or nothing. @throws {CloudProblem} */
export async function startCloud(options: CloudOptions): Promise<Cloud> {
  const { ports, own, log } = options;
  if (options.reset && (own.mysql || own.redisUrl || own.qstashUrl)) {
    log("--reset leaves the data of your own servers alone");
  }
  const folder = await openDataFolder(options.dataDir, { removeOnDeath: options.removeOnDeath ?? false });
  if (folder.ended.length > 0) log(`ended what a killed run had left: ${folder.ended.join(", ")}`);

  const children: Record<Level, Child[]> = { server: [], gateway: [], worker: [] };
  const failed = Promise.withResolvers<CloudProblem>();
  const giveUp = new AbortController();
  const signal = AbortSignal.any([options.signal, giveUp.signal]);
  let stopped: Promise<void> | undefined;
  let closed: Promise<void> | undefined;

  function fail(problem: CloudProblem): void {
    if (stopped) return;
    failed.resolve(problem);
    giveUp.abort(problem);
  }

  function watch(child: Child, level: Level): void {
    children[level].push(child);
    void child.exited.then((exit) =>
      fail(
        new CloudProblem(
          `${child.name} ${describeExit(exit)}`,
          "Everything else was stopped; start again with `npm run dev`",
          child.lastLines(),
        ),
      ),
    );
  }

  function stop(): Promise<void> {
    stopped ??= stopAll();
    return stopped;
  }

  async function stopAll(): Promise<void> {
    for (const level of ["worker", "gateway", "server"] as const) {
      await Promise.all(children[level].map((child) => child.stop()));
    }
  }

  function close(): Promise<void> {
    closed ??= stop().then(() => folder.release());
    return closed;
  }

  async function startDatabase(program: Servers["mysql"]): Promise<MysqlAddress> {
    const { child, address } = await onPort("mysql", ports.mysql, (port) =>
      program === undefined || program === "docker"
        ? startMysqlInDocker(folder, port, signal)
        : startMysql(folder, program, port, signal),
    );
    watch(child, "server");
    return address;
  }

  async function startCache(program: Servers["redis"]): Promise<string> {
    const { child, url } = await onPort("redis", ports.redis, (port) =>
      program === undefined || program === "docker"
        ? startRedisInDocker(folder, port, signal)
        : startRedis(folder, program, port, signal),
    );
    watch(child, "server");
    return url;
  }

  async function startGateway(name: GatewayName, flags: (port: number) => string[]): Promise<string> {
    // A gateway finds a free port by itself.
    const port = ports[name] === 0 ? 0 : await claimPort(name, ports[name]);
    const { child, url } = await startGatewayProcess(folder, name, flags(port), signal);
    watch(child, "gateway");
    return url;
  }

  /** All of it, or the first failure once the rest has come to its end, so that nothing starts behind a closing. */
  async function together<T extends readonly unknown[]>(work: {
    [K in keyof T]: Promise<T[K]>;
  }): Promise<T> {
    for (const part of work) part.catch((error: unknown) => giveUp.abort(error));
    const outcomes = await Promise.allSettled(work);
    signal.throwIfAborted();
    return outcomes.map((outcome) => (outcome as PromiseFulfilledResult<unknown>).value) as unknown as T;
  }

  try {
    if (options.reset) folder.wipe();
    const secrets = { ...loadSecrets(folder), ...options.secrets };
    const servers = await ensureServers(thisMachine(log), { mysql: !own.mysql, redis: !own.redisUrl });
    signal.throwIfAborted();
    const [mysql, redisUrl] = await together([
      own.mysql ? checkOwnMysql(own.mysql) : startDatabase(servers.mysql),
      own.redisUrl ? checkOwnRedis(own.redisUrl) : startCache(servers.redis),
    ]);
    const [planetscaleUrl, upstashUrl, qstashUrl] = await together([
      startGateway("planetscale", (port) => planetscaleFlags(port, mysql, secrets)),
      startGateway("upstash", (port) => upstashFlags(port, redisUrl, secrets)),
      own.qstashUrl
        ? checkOwnQstash(own.qstashUrl, secrets)
        : startGateway("qstash", (port) => qstashFlags(port, folder, options.qstashSpeed, secrets)),
    ]);
    const addresses = { mysql, redisUrl, planetscaleUrl, upstashUrl, qstashUrl };
    return { folder, secrets, ...addresses, watch, fail, failed: failed.promise, stop, close };
  } catch (error) {
    await close();
    throw folderProblem(folder.path, error);
  }
}
