/**
 * The gateway as a process: `node dev/gateways/qstash/main.ts [--port N] [--data-file FILE] …`. Every flag has an
 * environment variable (`QSTASH_PORT`, …); the flag wins.
 * @module
 */
import { parseArgs } from "node:util";
import {
  DEFAULT_CURRENT_SIGNING_KEY,
  DEFAULT_NEXT_SIGNING_KEY,
  DEFAULT_PORT,
  DEFAULT_TOKEN,
} from "./defaults.ts";
import { startQstashGateway, type QstashGatewayOptions } from "./gateway.ts";

const DEFAULT_DATA_FILE = ".local/qstash/qstash.sqlite";

/** @throws when a flag is unknown or a number is none. */
function readOptions(): QstashGatewayOptions {
  const { env } = process;
  const { values } = parseArgs({
    options: {
      port: { type: "string", default: env["QSTASH_PORT"] ?? String(DEFAULT_PORT) },
      "data-file": { type: "string", default: env["QSTASH_DATA_FILE"] ?? DEFAULT_DATA_FILE },
      token: { type: "string", default: env["QSTASH_TOKEN"] ?? DEFAULT_TOKEN },
      "current-signing-key": {
        type: "string",
        default: env["QSTASH_CURRENT_SIGNING_KEY"] ?? DEFAULT_CURRENT_SIGNING_KEY,
      },
      "next-signing-key": {
        type: "string",
        default: env["QSTASH_NEXT_SIGNING_KEY"] ?? DEFAULT_NEXT_SIGNING_KEY,
      },
      speed: { type: "string", default: env["QSTASH_SPEED"] ?? "1" },
      "max-in-flight": { type: "string", default: env["QSTASH_MAX_IN_FLIGHT"] ?? "50" },
    },
  });
  return {
    port: wholeNumber("port", values.port, 0),
    dataFile: values["data-file"],
    token: values.token,
    currentSigningKey: values["current-signing-key"],
    nextSigningKey: values["next-signing-key"],
    speed: finiteNumber("speed", values.speed),
    maxInFlight: wholeNumber("max-in-flight", values["max-in-flight"], 1),
  };
}

function finiteNumber(name: string, text: string): number {
  const value = Number(text);
  if (text === "" || !Number.isFinite(value)) throw new Error(`--${name} must be a number, not "${text}"`);
  return value;
}

function wholeNumber(name: string, text: string, least: number): number {
  const value = Number(text);
  if (text === "" || !Number.isInteger(value) || value < least) {
    throw new Error(`--${name} must be a whole number from ${least}, not "${text}"`);
  }
  return value;
}

async function main(): Promise<void> {
  const gateway = await startQstashGateway(readOptions());
  const stop = () => {
    gateway.close().then(
      () => process.exit(0),
      (error: unknown) => fail(error),
    );
  };
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
  console.log(`qstash listening ${gateway.url}`);
}

function fail(error: unknown): void {
  console.error(`qstash: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}

main().catch(fail);
