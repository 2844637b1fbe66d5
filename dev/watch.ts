/**
 * `npm run watch -- post:1`: follows a room in the terminal.
 * @module
 */
import { parseArgs } from "node:util";
import { parseRoom } from "../src/realtime/rooms.ts";
import { PORT_SETTINGS } from "./cloud/ports.ts";
import { CloudProblem } from "./cloud/problem.ts";
import { follow } from "./watch/follow.ts";
import { linesOf, timeOf } from "./watch/print.ts";
import { Session } from "./watch/session.ts";

const { variable, fallback } = PORT_SETTINGS.worker;
const DEFAULT_URL = `http://localhost:${process.env[variable] || fallback}`;
const DEMO = { email: "mina@liveforum.local", password: "liveforum-demo" };

const USAGE = `npm run watch -- <room> [--url <url>] [--email <address>] [--password <password>]

Prints what happens in a room as it happens: \`post:<id>\`, or \`me\` for one's own notifications. Ctrl-C ends it.

  --url        the server, ${DEFAULT_URL} by default
  --email      who signs in, the demo account ${DEMO.email} by default
  --password   of that account
`;

type Flags = { room: string; url: string; email: string; password: string };

/** @throws {CloudProblem} for flags that make no sense; undefined asks for help */
function readFlags(args: string[]): Flags | undefined {
  let parsed;
  try {
    parsed = parseArgs({
      args,
      options: {
        url: { type: "string", default: DEFAULT_URL },
        email: { type: "string", default: DEMO.email },
        password: { type: "string", default: DEMO.password },
        help: { type: "boolean", default: false },
      },
      allowPositionals: true,
    });
  } catch (error) {
    throw new CloudProblem((error as Error).message.split(". ")[0] ?? "", "See npm run watch -- --help");
  }
  const { values, positionals } = parsed;
  if (values.help) return undefined;
  const [room, ...rest] = positionals;
  if (room === undefined || rest.length > 0) {
    throw new CloudProblem("Name one room", "For example npm run watch -- post:1");
  }
  if (room !== "me" && !parseRoom(room)) {
    throw new CloudProblem(`${room} is no room`, "Use post:<id>, or me for one's own notifications");
  }
  const { email, password } = values;
  const url = values.url.replace(/\/+$/, "");
  if (!/^https?:$/.test(URL.parse(url)?.protocol ?? "")) {
    throw new CloudProblem(`--url ${values.url} is no address`, "Use for example http://localhost:8787");
  }
  return { room, url, email, password };
}

async function main(): Promise<void> {
  const flags = readFlags(process.argv.slice(2));
  if (!flags) {
    console.log(USAGE);
    return;
  }
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => {
      if (stop.signal.aborted) process.exit(130);
      stop.abort();
    });
  }
  const session = await Session.login(flags.url, flags.email, flags.password);
  const room = flags.room === "me" ? `user:${session.user.id}` : flags.room;
  let joined = false;
  try {
    await follow({
      url: flags.url,
      room,
      session,
      signal: stop.signal,
      onStatus: (line) => console.log(`[${line}]`),
      onFrame(frame) {
        if (frame.type === "ready" && !joined) {
          joined = true;
          console.log(`[${session.user.username} watches ${room}, ${frame.viewers} here; Ctrl-C ends it]`);
        }
        const [first, ...rest] = linesOf(frame);
        if (first !== undefined) console.log(`${timeOf(frame)} ${first}`);
        for (const line of rest) console.log(`         ${line}`);
      },
    });
  } finally {
    await session.logout();
  }
}

try {
  await main();
  process.exit(0);
} catch (error) {
  if (!(error instanceof CloudProblem)) throw error;
  console.error(error.message);
  process.exit(1);
}
