/**
 * The product's keys in Redis: those that are there, and every write since the server started, from its journal. Most keys
 * live for minutes, so that the end of a run sees few of them.
 * @module
 */
import { createClient, RESP_TYPES } from "@redis/client";
import type { Search } from "./search.ts";
import { WRITTEN } from "./tables.ts";

const PREFIX = "lf:1:";
/** Keys whose values hold what people wrote. */
const SHOWS_TEXTS = /^lf:1:(?:post|list|board|ranking|auth):/;

/** Looks at a key with what is under it, or with the command that wrote it. */
function lookAtKey(search: Search, source: string, key: string, value: string): void {
  if (!key.startsWith(PREFIX)) return;
  // Without what tells one key from another.
  const [, , kind = "", name = ""] = key.split(":");
  const place = `${source} ${PREFIX}${kind}${/^[a-z]/.test(name) ? `:${name.replaceAll(/[\d@.-].*$/g, "…")}` : ""}`;
  search.look(`${place}, a key`, key);
  search.look(place, value, SHOWS_TEXTS.test(key) ? WRITTEN : []);
}

/** Looks at every key of the database. */
export async function lookAtRedis(search: Search, url: string): Promise<void> {
  const client = createClient({ url, RESP: 2 }).withTypeMapping({ [RESP_TYPES.MAP]: Array });
  await client.connect();
  try {
    search.look("redis", "");
    for await (const keys of client.scanIterator({ MATCH: `${PREFIX}*`, COUNT: 1_000 })) {
      await Promise.all(
        keys.map(async (key) => {
          const value = await valueOf(client, key);
          lookAtKey(search, "redis", key, value === undefined ? "" : JSON.stringify(value));
        }),
      );
    }
  } finally {
    client.destroy();
  }
}

type Asker = { type: (key: string) => Promise<string>; sendCommand: (command: string[]) => Promise<unknown> };

/** @returns nothing when the key has just ended */
async function valueOf(client: Asker, key: string): Promise<unknown> {
  const command = {
    string: ["GET", key],
    hash: ["HGETALL", key],
    zset: ["ZRANGE", key, "0", "-1"],
    set: ["SMEMBERS", key],
    list: ["LRANGE", key, "0", "-1"],
  }[await client.type(key)];
  return command && client.sendCommand(command);
}

/** Looks at every command in a journal (appendonly file), a sequence of RESP arrays of bulk strings. */
export function lookAtJournal(search: Search, journal: Buffer): void {
  search.look("journal", "");
  for (const [, key, ...args] of commandsOf(journal)) {
    if (key !== undefined) lookAtKey(search, "journal", key, args.join("\n"));
  }
}

function* commandsOf(journal: Buffer): Generator<string[]> {
  let at = 0;
  const line = (): string => {
    const end = journal.indexOf("\r\n", at);
    const text = journal.toString("latin1", at, end);
    at = end + 2;
    return text;
  };
  while (at < journal.length) {
    const head = line();
    // Notes between commands begin with "#".
    if (!head.startsWith("*")) continue;
    const command: string[] = [];
    for (let left = Number(head.slice(1)); left > 0; left -= 1) {
      const length = Number(line().slice(1));
      command.push(journal.toString("utf8", at, at + length));
      at += length + 2;
    }
    yield command;
  }
}
