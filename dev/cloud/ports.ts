/**
 * The ports of the local cloud: where they come from, and whether they are free.
 * @module
 */
import { createServer, type AddressInfo } from "node:net";
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
export function portsFromEnvironment(env: NodeJS.ProcessEnv): Ports {
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
 * @throws {CloudProblem} when it is taken or not allowed, naming the variable that changes it.
 */
export async function claimPort(part: PartWithPort, port: number): Promise<number> {
  const { variable, title } = PORT_SETTINGS[part];
  try {
    return await listenOnce(port, "127.0.0.1");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const cause =
      code === "EADDRINUSE"
        ? `Port ${port} of ${title} is taken by another program`
        : `Port ${port} of ${title} cannot be opened (${code})`;
    throw new CloudProblem(cause, `Stop that program or choose another port with ${variable}=<port>`);
  }
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
