/**
 * `npm run dlq -- [--show <id>] [--retry <id> | --retry-all] [--delete <id>]`: jobs that QStash has given up, on the
 * QStash that the settings point to.
 * @module
 */
import { readFileSync } from "node:fs";
import { parseArgs, parseEnv } from "node:util";
import { Client, QstashError } from "@upstash/qstash";
import { PORT_SETTINGS } from "./cloud/ports.ts";
import { CloudProblem } from "./cloud/problem.ts";
import { DEFAULT_TOKEN } from "./gateways/qstash/defaults.ts";

const USAGE = `npm run dlq -- [flags]

Lists the jobs that QStash has given up, newest first.

  --show <id>     All that is known of one: its body, and the last answer to it.
  --retry <id>    Sends one again.
  --retry-all     Sends all again. Jobs may be done twice, so this is always safe.
  --delete <id>   Forgets one.
  --url <address> Only jobs for this address, for example https://forum.example/api/jobs.

QStash is that of QSTASH_URL and QSTASH_TOKEN in the environment, else in .dev.vars, else the running local cloud's.
`;
const HINT = "`npm run dlq -- --help` lists the flags";

/** Entries of one call. */
const PAGE_SIZE = 100;
const ANSWER_MAX_CHARACTERS = 100;

type Qstash = { client: Client; url: string; source: string };
type DeadLetter = Awaited<ReturnType<Client["dlq"]["listMessages"]>>["messages"][number];
type Filter = { url?: string };

/** The environment wins over `.dev.vars` in the working folder; without both it is the local cloud. */
function findQstash(env: NodeJS.Dict<string>): Qstash {
  const port = env[PORT_SETTINGS.qstash.variable] ?? PORT_SETTINGS.qstash.fallback;
  const candidates: { url?: string | undefined; token?: string | undefined; source: string }[] = [
    { url: env["QSTASH_URL"], token: env["QSTASH_TOKEN"], source: "the environment" },
    { url: devVars()["QSTASH_URL"], token: devVars()["QSTASH_TOKEN"], source: ".dev.vars" },
    { url: `http://127.0.0.1:${port}`, token: DEFAULT_TOKEN, source: "the local cloud" },
  ];
  for (const { url, token, source } of candidates) {
    if (url === undefined || url === "") continue;
    const protocol = URL.parse(url)?.protocol;
    if (protocol !== "http:" && protocol !== "https:") {
      throw new CloudProblem(`QSTASH_URL (from ${source}) is not an address`, "Correct it");
    }
    if (token === undefined || token === "") {
      throw new CloudProblem(`There is a QSTASH_URL in ${source}, but no QSTASH_TOKEN`, "Set both");
    }
    const client = new Client({
      baseUrl: url,
      token,
      devMode: false,
      enableTelemetry: false,
      retry: false,
    });
    return { client, url, source };
  }
  throw new CloudProblem("There is no QStash", "Set QSTASH_URL and QSTASH_TOKEN");
}

function devVars(): NodeJS.Dict<string> {
  try {
    return parseEnv(readFileSync(".dev.vars", "utf8"));
  } catch {
    return {};
  }
}

async function listAll({ client }: Qstash, filter: Filter): Promise<DeadLetter[]> {
  const all: DeadLetter[] = [];
  let cursor: string | undefined;
  do {
    const page = await client.dlq.listMessages({
      filter,
      count: PAGE_SIZE,
      ...(cursor === undefined ? {} : { cursor }),
    });
    all.push(...page.messages);
    cursor = page.cursor;
  } while (cursor !== undefined && cursor !== "");
  return all;
}

/** One line: id, when it was made, how it was answered, what it was. */
function lineOf(letter: DeadLetter): string {
  const answer =
    letter.responseStatus === undefined
      ? "no answer"
      : `${letter.responseStatus} ${(letter.responseBody ?? "").slice(0, ANSWER_MAX_CHARACTERS)}`;
  return `${letter.dlqId}  ${new Date(letter.createdAt).toISOString()}  ${letter.url}\n  ${letter.body ?? ""}\n  ${answer}`;
}

async function list(qstash: Qstash, filter: Filter): Promise<void> {
  const letters = await listAll(qstash, filter);
  for (const letter of letters) console.log(lineOf(letter));
  const count = letters.length === 1 ? "1 job" : `${letters.length} jobs`;
  console.log(`${count} given up on ${qstash.url} (${qstash.source}).`);
}

async function show({ client }: Qstash, id: string): Promise<void> {
  const [letter] = (await client.dlq.listMessages({ dlqIds: [id] })).messages;
  if (!letter) throw missing(id);
  console.log(JSON.stringify(letter, null, 2));
}

async function retry({ client }: Qstash, id: string): Promise<void> {
  const { responses } = await client.dlq.retry([id]);
  const [sent] = responses;
  if (!sent) throw missing(id);
  console.log(`Sent again as ${sent.messageId}.`);
}

async function retryAll(qstash: Qstash, filter: Filter): Promise<void> {
  // Named one by one: what fails again meanwhile is not sent a third time.
  const ids = (await listAll(qstash, filter)).map(({ dlqId }) => dlqId);
  let sent = 0;
  for (let at = 0; at < ids.length; at += PAGE_SIZE) {
    const { responses } = await qstash.client.dlq.retry(ids.slice(at, at + PAGE_SIZE));
    sent += responses.length;
  }
  console.log(`${sent === 1 ? "1 job" : `${sent} jobs`} sent again.`);
}

async function forget({ client }: Qstash, id: string): Promise<void> {
  await client.dlq.delete(id);
  console.log(`${id} is forgotten.`);
}

function missing(id: string): CloudProblem {
  return new CloudProblem(`There is no ${id} among the jobs given up`, "List them with `npm run dlq`");
}

function explain(error: unknown, { url, source }: Qstash, id: string | undefined): Error {
  if (error instanceof CloudProblem) return error;
  if (!(error instanceof QstashError)) {
    return new CloudProblem(
      `QStash at ${url} (${source}) cannot be reached`,
      source === "the local cloud" ? "Start `npm run dev` first" : "Correct QSTASH_URL",
    );
  }
  if (error.status === 404 && id !== undefined) return missing(id);
  return new CloudProblem(
    `QStash at ${url} (${source}) refuses: ${error.message}`,
    error.status === 401 ? "Correct QSTASH_TOKEN" : HINT,
  );
}

function parseFlags(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        show: { type: "string" },
        retry: { type: "string" },
        "retry-all": { type: "boolean" },
        delete: { type: "string" },
        url: { type: "string" },
        help: { type: "boolean" },
      },
      allowPositionals: false,
    }).values;
  } catch (error) {
    throw new CloudProblem((error as Error).message.split(". ")[0] ?? "", HINT);
  }
}

async function main(args: string[]): Promise<void> {
  const flags = parseFlags(args);
  if (flags.help === true) {
    console.log(USAGE);
    return;
  }
  const orders = [flags.show, flags.retry, flags.delete, flags["retry-all"]].filter(
    (flag) => flag !== undefined,
  );
  if (orders.length > 1) throw new CloudProblem("One thing at a time", HINT);
  const filter = flags.url === undefined ? {} : { url: flags.url };
  const qstash = findQstash(process.env);
  try {
    if (flags.show !== undefined) await show(qstash, flags.show);
    else if (flags.retry !== undefined) await retry(qstash, flags.retry);
    else if (flags.delete !== undefined) await forget(qstash, flags.delete);
    else if (flags["retry-all"] === true) await retryAll(qstash, filter);
    else await list(qstash, filter);
  } catch (error) {
    throw explain(error, qstash, flags.show ?? flags.retry ?? flags.delete);
  }
}

// The SDK reports on the console what is explained below.
console.error = () => undefined;
try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof CloudProblem)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
