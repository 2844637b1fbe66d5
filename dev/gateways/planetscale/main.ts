/**
 * Runs the PlanetScale gateway on its own: `node dev/gateways/planetscale/main.ts --help` lists the settings.
 * @module
 */
import { parseArgs } from "node:util";
import { startPlanetscaleGateway } from "./gateway.ts";

const HELP = `PlanetScale's HTTP API in front of MariaDB or MySQL, on 127.0.0.1.
Each setting is a flag or an environment variable; the flag wins.

  --port                    PLANETSCALE_PORT                    default 0: any free port
  --username                PLANETSCALE_USERNAME                what clients authenticate with
  --password                PLANETSCALE_PASSWORD
  --mysql-host              PLANETSCALE_MYSQL_HOST              default 127.0.0.1
  --mysql-port              PLANETSCALE_MYSQL_PORT              default 3306
  --mysql-user              PLANETSCALE_MYSQL_USER
  --mysql-password          PLANETSCALE_MYSQL_PASSWORD
  --mysql-database          PLANETSCALE_MYSQL_DATABASE
  --transaction-timeout-ms  PLANETSCALE_TRANSACTION_TIMEOUT_MS  default 20000
`;

const { env } = process;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      help: { type: "boolean", default: false },
      port: { type: "string", default: env.PLANETSCALE_PORT ?? "0" },
      username: { type: "string", default: env.PLANETSCALE_USERNAME ?? "" },
      password: { type: "string", default: env.PLANETSCALE_PASSWORD ?? "" },
      "mysql-host": { type: "string", default: env.PLANETSCALE_MYSQL_HOST ?? "127.0.0.1" },
      "mysql-port": { type: "string", default: env.PLANETSCALE_MYSQL_PORT ?? "3306" },
      "mysql-user": { type: "string", default: env.PLANETSCALE_MYSQL_USER ?? "" },
      "mysql-password": { type: "string", default: env.PLANETSCALE_MYSQL_PASSWORD ?? "" },
      "mysql-database": { type: "string", default: env.PLANETSCALE_MYSQL_DATABASE ?? "" },
      "transaction-timeout-ms": {
        type: "string",
        default: env.PLANETSCALE_TRANSACTION_TIMEOUT_MS ?? "20000",
      },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const gateway = await startPlanetscaleGateway({
    port: readNumber("port", values.port),
    mysql: {
      host: values["mysql-host"],
      port: readNumber("mysql-port", values["mysql-port"]),
      user: readText("mysql-user", values["mysql-user"]),
      password: values["mysql-password"],
      database: readText("mysql-database", values["mysql-database"]),
    },
    username: values.username,
    password: values.password,
    transactionTimeoutMs: readNumber("transaction-timeout-ms", values["transaction-timeout-ms"]),
  });
  process.stdout.write(`planetscale listening ${gateway.url}\n`);
  let stopping = false;
  const stop = (): void => {
    // A second signal does not wait.
    if (stopping) process.exit(1);
    stopping = true;
    void gateway.close().then(() => process.exit(0));
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
}

function readText(name: string, text: string): string {
  if (text === "") throw new TypeError(`--${name} is missing`);
  return text;
}

function readNumber(name: string, text: string): number {
  if (!/^\d+$/.test(text)) throw new TypeError(`--${name} is not a whole number: ${text}`);
  return Number(text);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`planetscale: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
