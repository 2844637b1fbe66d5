/**
 * `npm run watch -- post:1`: follows a room in the terminal, with the client package.
 * @module
 */
import { parseArgs } from "node:util";
import {
  LiveForum,
  ProblemError,
  type Room,
  RoomClosedError,
  type RoomName,
  SessionEndedError,
  UnreachableError,
} from "../client/src/client.ts";
import { parseRoom } from "../src/realtime/rooms.ts";
import { PORT_SETTINGS } from "./cloud/ports.ts";
import { CloudProblem } from "./cloud/problem.ts";
import { linesOf, timeOf } from "./watch/print.ts";

const { variable, fallback } = PORT_SETTINGS.worker;
const DEFAULT_URL = `http://localhost:${process.env[variable] || fallback}`;
const LOGOUT_WITHIN_MS = 2_000;
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

/** @throws {CloudProblem} when the account or the address is wrong */
async function signIn({ url, email, password }: Flags): Promise<LiveForum> {
  const forum = new LiveForum({
    url,
    // The name under which the session is listed.
    fetch: (input, init) => {
      const headers = new Headers(init?.headers);
      headers.set("user-agent", "liveforum-watch");
      return fetch(input, { ...init, headers });
    },
  });
  try {
    await forum.auth.login({ email, password });
    return forum;
  } catch (error) {
    if (error instanceof UnreachableError) {
      throw new CloudProblem(error.message, "Start `npm run dev`, or name the server with --url");
    }
    if (error instanceof ProblemError && error.status === 401) {
      throw new CloudProblem(
        `${email} cannot sign in at ${url}: ${error.message}`,
        "Name an account with --email and --password",
      );
    }
    const reason = error instanceof Error ? error.message : String(error);
    throw new CloudProblem(`${url} refused the sign-in: ${reason}`, "See the log of the server");
  }
}

/** Prints until the room is over. @throws {CloudProblem} when there is no way in */
async function follow(room: Room, username: string): Promise<void> {
  let joined = false;
  room.addEventListener("state", ({ state }) => {
    if (state === "offline" && joined) console.log("[connection lost, coming back]");
    if (state !== "live") return;
    if (!joined) console.log(`[${username} watches ${room.name}, ${room.viewers} here; Ctrl-C ends it]`);
    else console.log("[connected again]");
    if (room.transport === "long-poll") console.log("[WebSocket does not get through; polling instead]");
    joined = true;
  });
  try {
    for await (const frame of room) {
      const [first, ...rest] = linesOf(frame);
      if (first !== undefined) console.log(`${timeOf(frame)} ${first}`);
      for (const line of rest) console.log(`         ${line}`);
    }
  } catch (error) {
    if (error instanceof RoomClosedError) {
      throw new CloudProblem(`${room.name} cannot be followed: ${error.message}`, "Name another room");
    }
    if (error instanceof SessionEndedError) throw new CloudProblem("The session has ended", "Start again");
    throw error;
  }
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
  const forum = await signIn(flags);
  const user = forum.auth.user;
  // A trusted cast: the flag was checked.
  const name = (flags.room === "me" ? `user:${user?.id}` : flags.room) as RoomName;
  try {
    await follow(forum.room(name, { signal: stop.signal }), user?.username ?? "");
  } finally {
    // A server that is gone does not matter.
    await forum.auth.logout({ signal: AbortSignal.timeout(LOGOUT_WITHIN_MS) }).catch(() => undefined);
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
