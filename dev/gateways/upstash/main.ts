/**
 * Runs the Upstash gateway on its own: `node dev/gateways/upstash/main.ts --redis-url … --token …`.
 * Each flag has an environment variable; a flag wins. Ends on SIGTERM and SIGINT.
 * @module
 */
import { parseArgs } from "node:util";
import { RedisUnavailable } from "./connections.ts";
import { startUpstashGateway } from "./gateway.ts";

const USAGE = `usage: main.ts [options]
  --port <number>            UPSTASH_GATEWAY_PORT             default 8079; 0 lets the system choose
  --redis-url <url>          REDIS_URL                        default redis://127.0.0.1:6379
  --token <text>             UPSTASH_REDIS_REST_TOKEN         required
  --read-only-token <text>   UPSTASH_REDIS_REST_READONLY_TOKEN`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: "string", default: process.env.UPSTASH_GATEWAY_PORT ?? "8079" },
      "redis-url": { type: "string", default: process.env.REDIS_URL ?? "redis://127.0.0.1:6379" },
      token: { type: "string", default: process.env.UPSTASH_REDIS_REST_TOKEN ?? "" },
      "read-only-token": { type: "string", default: process.env.UPSTASH_REDIS_REST_READONLY_TOKEN ?? "" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new Error(`not a port: ${values.port}`);
  if (values.token === "") throw new Error("no token: give --token or UPSTASH_REDIS_REST_TOKEN");

  const gateway = await startUpstashGateway({
    port,
    redisUrl: values["redis-url"],
    token: values.token,
    readOnlyToken: values["read-only-token"],
  });
  const stop = (): void => {
    // With everything closed the process ends by itself, with status 0.
    gateway.close().catch(fail);
  };
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
  console.log(`upstash listening ${gateway.url}`);
}

function fail(error: unknown): void {
  const text = error instanceof Error ? error.message : String(error);
  const code = (error as NodeJS.ErrnoException | null)?.code;
  let remedy = "";
  if (code === "EADDRINUSE") remedy = "; stop what listens there or choose another with --port";
  else if (error instanceof RedisUnavailable) remedy = "; start Redis or name it with --redis-url";
  console.error(`upstash: ${text}${remedy}`);
  process.exitCode = 1;
}

main().catch(fail);
