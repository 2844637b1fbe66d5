/**
 * The ports of the local cloud: where they come from, and whether they are free.
 * @module
 */
import { lookup } from "node:dns/promises";
import { type AddressInfo, connect, createServer } from "node:net";
import { CloudProblem } from "./problem.ts";

export type PartWithPort = "worker" | "mysql" | "redis" | "planetscale" | "upstash" | "qstash";

/** A port of 0 means: one the system chooses. */
export type Ports = Record<PartWithPort, number>;

/** For each part: the environment variable that changes its port, and the port without it. */
export const PORT_SETTINGS = {
  worker: { variable: "PORT", fallback: 8787, title: "the Worker" },
  mysql: { variable: "LIVEFORUM_MYSQL_PORT", fallback: 13306, title: "the database" },
  redis: { variable: "LIVEFORUM_REDIS_PORT", fallback: 16379, title: "Redis" },
  planetscale: { variable: "LIVEFORUM_PLANETSCALE_PORT", fallback: 3900, title: "the PlanetScale gateway" },
  upstash: { variable: "LIVEFORUM_UPSTASH_PORT", fallback: 8079, title: "the Upstash gateway" },
  qstash: { variable: "LIVEFORUM_QSTASH_PORT", fallback: 8082, title: "the QStash gateway" },
} as const satisfies Record<PartWithPort, { variable: string; fallback: number; title: string }>;

const PARTS = Object.keys(PORT_SETTINGS) as PartWithPort[];

/** Every port chosen by the system. */
export const FREE_PORTS: Ports = { worker: 0, mysql: 0, redis: 0, planetscale: 0, upstash: 0, qstash: 0 };

/**
 * The ports of `npm run dev`.
 * @throws {CloudProblem} when a variable is not a port number or two parts share one.
 */
export function portsFromEnvironment(env: NodeJS.Dict<string>): Ports {
  const ports = { ...FREE_PORTS };
  const owners = new Map<number, string>();
  for (const part of PARTS) {
    const { variable, fallback } = PORT_SETTINGS[part];
    const text = env[variable]?.trim();
    const port = text === undefined || text === "" ? fallback : Number(text);
    if (!Number.isInteger(port) || port < 0 || port > 65_535) {
      throw new CloudProblem(
        `${variable}=${text} is not a port`,
        "Use a number from 0 (any free port) to 65535",
      );
    }
    const owner = owners.get(port);
    if (port !== 0 && owner !== undefined) {
      throw new CloudProblem(
        `${owner} and ${variable} both ask for port ${port}`,
        "Give one of them another port",
      );
    }
    owners.set(port, variable);
    ports[part] = port;
  }
  return ports;
}

/**
 * Settles the port of a part: the one asked for, if it is free, or for 0 a free one.
 * @param hosts where it will listen
 * @throws {CloudProblem} when it is taken or not allowed, naming the variable that changes it.
 */
export async function claimPort(
  part: PartWithPort,
  port: number,
  hosts: readonly string[] = ["127.0.0.1"],
): Promise<number> {
  const { variable, title } = PORT_SETTINGS[part];
  let claimed = port;
  try {
    for (const host of hosts) {
      // Some systems let two programs listen on one port when one of them listens on all addresses.
      if (claimed !== 0 && (await isAnswered(claimed, host))) throw Object.assign(new Error(), TAKEN);
      claimed = await listenOnce(claimed, host);
    }
    return claimed;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const cause =
      code === TAKEN.code
        ? `Port ${port} of ${title} is taken by another program`
        : `Port ${port} of ${title} cannot be opened (${code})`;
    throw new CloudProblem(cause, `Stop that program or choose another port with ${variable}=<port>`);
  }
}

/**
 * Starts a part on its port. A free one that the system chose can be lost to another program before the part has
 * it; then the next is tried, three in all.
 */
export async function onPort<T>(
  part: PartWithPort,
  port: number,
  start: (port: number) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(await claimPort(part, port));
    } catch (error) {
      const lost =
        error instanceof CloudProblem &&
        error.logLines.some((line) => /address already in use|port is already allocated/i.test(line));
      if (port !== 0 || attempt === 3 || !lost) throw error;
    }
  }
}

/** The loopback addresses that `localhost` means and that exist: 127.0.0.1 always, ::1 where the system has it. */
export async function loopbackHosts(): Promise<string[]> {
  const addresses = await lookup("localhost", { all: true }).catch(() => []);
  const hosts = ["127.0.0.1"];
  if (addresses.some(({ address }) => address === "::1")) {
    // Containers often name ::1 without having it.
    const exists = await listenOnce(0, "::1").then(
      () => true,
      () => false,
    );
    if (exists) hosts.push("::1");
  }
  return hosts;
}

const TAKEN = { code: "EADDRINUSE" };

function isAnswered(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host });
    const finish = (answered: boolean): void => {
      socket.destroy();
      resolve(answered);
    };
    socket.setTimeout(1_000, () => finish(false));
    socket.once("connect", () => finish(true));
    socket.once("error", () => finish(false));
  });
}

function listenOnce(port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen({ port, host, exclusive: true }, () => {
      const { port: actual } = server.address() as AddressInfo;
      server.close(() => resolve(actual));
    });
  });
}
