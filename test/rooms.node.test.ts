/** Rooms from outside: real sockets of Node into the Worker under wrangler. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { type IncomingMessage, request as httpRequest } from "node:http";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import mysql, { type ResultSetHeader } from "mysql2/promise";
import { afterAll, beforeAll, describe, inject, it } from "vitest";
import type { EventFrame, Position, ReadyFrame } from "../src/realtime/events.ts";
import { readServerFrame } from "./support/frame-check.ts";
import { type LiveWorker, startLiveWorker } from "./support/node/live-worker.ts";

/** The load test proper is `LIVEFORUM_SOCKETS=2000 npx vitest run --silent=false test/rooms.node.test.ts -t sockets`. */
const SOCKETS = Number(process.env.LIVEFORUM_SOCKETS ?? 300);

type Account = { id: number; token: string; email: string; password: string };

let worker: LiveWorker;

beforeAll(async () => {
  // Nothing sweeps up what a busy machine was too slow for.
  worker = await startLiveWorker({ ...inject("cloud").settings, EFFECTS_PATIENCE_MS: "25000" });
});
afterAll(async () => {
  await worker.close();
});

async function call<Body>(method: string, path: string, token?: string, body?: unknown): Promise<Body> {
  const response = await fetch(`${worker.url}/api${path}`, {
    method,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return (text === "" ? undefined : JSON.parse(text)) as Body;
}

async function register(): Promise<Account> {
  const name = `u${crypto.randomUUID().replaceAll("-", "").slice(0, 16)}`;
  const account = { email: `${name}@example.com`, username: name, password: "correct horse battery" };
  const { user, accessToken } = await call<{ user: { id: number }; accessToken: string }>(
    "POST",
    "/auth/register",
    undefined,
    account,
  );
  return { id: user.id, token: accessToken, email: account.email, password: account.password };
}

/** A post on a board that the suite's database has, or makes. */
async function newPost(author: Account, boardId: number): Promise<number> {
  const { id } = await call<{ id: number }>("POST", "/posts", author.token, {
    boardId,
    title: "A post",
    content: "With rooms",
  });
  return id;
}

/** A board of this file's own, past the API: making one needs an admin. */
async function newBoard(): Promise<number> {
  const database = await mysql.createConnection(inject("cloud").mysql);
  const slug = `rooms-${crypto.randomUUID()}`;
  const [{ insertId }] = await database.query<ResultSetHeader>(
    "insert into boards (name, slug, description, created_at) values ('Rooms', ?, '', now(3))",
    [slug],
  );
  await database.end();
  return insertId;
}

/** A socket as a client of the contract has it. */
class Follower {
  readonly ready: Promise<ReadyFrame>;
  readonly closed: Promise<number>;
  /** What arrived, with the time that `performance.now()` had. Read later: reading costs more than receiving. */
  readonly #arrived: { text: string; at: number }[] = [];
  readonly socket: WebSocket;

  constructor(room: string, token: string, position?: Position) {
    const query = position ? `?epoch=${position.epoch}&after=${position.after}` : "";
    const url = `${worker.url.replace("http", "ws")}/api/rooms/${room}${query}`;
    this.socket = new WebSocket(url, ["liveforum.v1", `bearer.${token}`]);
    this.ready = new Promise((resolve, reject) => {
      this.socket.addEventListener("error", () => reject(new Error("the upgrade was refused")));
      this.socket.addEventListener("message", ({ data }) => {
        const text = String(data);
        if (text.includes('"seq":') && !text.startsWith('{"type":"ready"')) {
          this.#arrived.push({ text, at: performance.now() });
        } else {
          const frame = readServerFrame(text);
          if (frame.type === "ready") resolve(frame);
        }
      });
    });
    this.closed = new Promise((resolve) => {
      this.socket.addEventListener("close", ({ code }) => resolve(code));
    });
    this.ready.catch(() => undefined);
  }

  /** The events so far, once there are `count` of them. */
  async until(count: number): Promise<(EventFrame & { arrivedAt: number })[]> {
    await eventually(
      () => `${count} events, got ${this.#arrived.length}`,
      () => this.#arrived.length >= count,
    );
    return this.#arrived.map(({ text, at }) => ({
      ...(readServerFrame(text) as EventFrame),
      arrivedAt: at,
    }));
  }
}

async function eventually(what: () => string, look: () => boolean): Promise<void> {
  const giveUpAt = Date.now() + 30_000;
  while (!look()) {
    if (Date.now() > giveUpAt) throw new Error(`waited in vain for ${what()}`);
    await sleep(10);
  }
}

const comment = (author: Account, postId: number, content: string) =>
  call<{ id: number }>("POST", `/posts/${postId}/comments`, author.token, { content });

const numbers = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

describe("a room over real sockets", () => {
  it("refuses before the room is reached, with a status and a problem", async ({ expect }) => {
    const account = await register();
    const other = await register();
    const postId = await newPost(account, await newBoard());
    const attempt = async (path: string, headers: Record<string, string>): Promise<[number, string]> => {
      const request = httpRequest(`${worker.url}/api/rooms/${path}`, {
        headers: {
          connection: "Upgrade",
          upgrade: "websocket",
          "sec-websocket-version": "13",
          "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
          ...headers,
        },
      });
      request.end();
      const [response] = (await once(request, "response")) as [IncomingMessage];
      let text = "";
      for await (const chunk of response) text += String(chunk);
      return [response.statusCode ?? 0, (JSON.parse(text) as { code: string }).code];
    };
    const pair = { "sec-websocket-protocol": `liveforum.v1, bearer.${account.token}` };
    expect(await attempt(`post:${postId}`, {})).toEqual([401, "unauthenticated"]);
    expect(await attempt(`post:${postId}`, { "sec-websocket-protocol": "liveforum.v1, bearer.x" })).toEqual([
      401,
      "unauthenticated",
    ]);
    expect(await attempt(`user:${other.id}`, pair)).toEqual([403, "forbidden"]);
    expect(await attempt(`post:${postId}`, { ...pair, origin: "https://evil.example" })).toEqual([
      403,
      "forbidden",
    ]);
    expect(await attempt("post:999999999", pair)).toEqual([404, "not_found"]);
    expect(await attempt("lobby", pair)).toEqual([404, "not_found"]);
    expect(await attempt(`post:${postId}`, { ...pair, upgrade: "h2c" })).toEqual([426, "upgrade_required"]);
  });

  it("gives 200 comments that are posted at once 200 consecutive numbers", async ({ expect }) => {
    const account = await register();
    const postId = await newPost(account, await newBoard());
    const follower = new Follower(`post:${postId}`, account.token);
    await follower.ready;
    expect(follower.socket.protocol).toBe("liveforum.v1");
    const written = await Promise.all(
      numbers(1, 200).map((number) => comment(account, postId, `number ${number}`)),
    );
    const events = await follower.until(200);
    expect(events.map(({ seq }) => seq)).toEqual(numbers(1, 200));
    expect(events.map(({ data }) => ("id" in data ? data.id : 0)).toSorted((a, b) => a - b)).toEqual(
      written.map(({ id }) => id).toSorted((a, b) => a - b),
    );
    follower.socket.close();
  });

  it("loses nothing and repeats nothing when all sockets are cut by a restart", async ({ expect }) => {
    const account = await register();
    const postId = await newPost(account, await newBoard());
    const before = new Follower(`post:${postId}`, account.token);
    const { epoch } = await before.ready;
    for (const number of numbers(1, 5)) await comment(account, postId, `number ${number}`);
    await before.until(5);
    await worker.restart();
    await before.closed;
    for (const number of numbers(6, 8)) await comment(account, postId, `number ${number}`);
    const after = new Follower(`post:${postId}`, account.token, { epoch, after: 5 });
    expect(await after.ready).toMatchObject({ epoch, resume: "replayed" });
    await comment(account, postId, "number 9");
    expect((await after.until(4)).map(({ seq }) => seq)).toEqual(numbers(6, 9));
    after.socket.close();
  });

  it("is not held up by a client that stops reading", async ({ expect }) => {
    const account = await register();
    const postId = await newPost(account, await newBoard());
    const sleeper = connect(Number(new URL(worker.url).port), "127.0.0.1");
    sleeper.write(
      `GET /api/rooms/post:${postId} HTTP/1.1\r\nHost: ${new URL(worker.url).host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer ${account.token}\r\n\r\n`,
    );
    const [head] = (await once(sleeper, "data")) as [Buffer];
    expect(head.toString()).toMatch(/^HTTP\/1\.1 101 /);
    sleeper.pause();
    const follower = new Follower(`post:${postId}`, account.token);
    await follower.ready;
    const content = "가".repeat(5_000);
    for (const _ of numbers(1, 20))
      await Promise.all(numbers(1, 10).map(() => comment(account, postId, content)));
    expect((await follower.until(200)).map(({ seq }) => seq)).toEqual(numbers(1, 200));
    sleeper.destroy();
    await comment(account, postId, "after it broke");
    await follower.until(201);
    follower.socket.close();
  });

  it(`gives each of ${SOCKETS} sockets 50 comments, none lost, none twice`, async ({ expect }) => {
    const PEOPLE = Math.ceil(SOCKETS / 20);
    const COMMENTS = 50;
    const author = await register();
    const postId = await newPost(author, await newBoard());
    const people: Account[] = [];
    while (people.length < PEOPLE) people.push(...(await Promise.all(numbers(1, 5).map(() => register()))));
    const followers: Follower[] = [];
    for (let first = 0; first < SOCKETS; first += 100) {
      const more = numbers(first, Math.min(first + 100, SOCKETS) - 1).map(
        (index) => new Follower(`post:${postId}`, people[index % PEOPLE]?.token ?? ""),
      );
      await Promise.all(more.map(({ ready }) => ready));
      followers.push(...more);
    }
    const postedAt = new Map<number, number>();
    for (const number of numbers(1, COMMENTS)) {
      const at = performance.now();
      const { id } = await comment(author, postId, `number ${number}`);
      postedAt.set(id, at);
    }
    const delays: number[] = [];
    for (const follower of followers) {
      const events = await follower.until(COMMENTS);
      expect(events.map(({ seq }) => seq)).toEqual(numbers(1, COMMENTS));
      for (const { data, arrivedAt } of events) {
        delays.push(arrivedAt - (postedAt.get("id" in data ? data.id : 0) ?? 0));
      }
    }
    expect(delays).toHaveLength(SOCKETS * COMMENTS);
    delays.sort((a, b) => a - b);
    const part = (share: number) =>
      `p${share * 100} ${delays[Math.ceil(delays.length * share) - 1]?.toFixed(0)} ms`;
    console.log(`from POST to receipt at ${SOCKETS} sockets: ${[0.5, 0.95, 0.99].map(part).join(", ")}`);
    for (const { socket } of followers) socket.close();
  });
});

describe("npm run watch", () => {
  const script = fileURLToPath(new URL("../dev/watch.ts", import.meta.url));

  function watch(...args: string[]): {
    program: ChildProcess;
    lines: string[];
    said: (text: string) => Promise<void>;
  } {
    const program = spawn(process.execPath, [script, "--url", worker.url, ...args]);
    const lines: string[] = [];
    for (const stream of [program.stdout, program.stderr]) {
      createInterface({ input: stream }).on("line", (line) => lines.push(line));
    }
    const said = (text: string) =>
      eventually(
        () => `“${text}” in ${lines.join(" / ")}`,
        () => lines.some((line) => line.includes(text)),
      );
    return { program, lines, said };
  }

  it("prints what happens, comes back after a restart without a gap, and ends with Ctrl-C", async ({
    expect,
  }) => {
    const account = await register();
    const postId = await newPost(account, await newBoard());
    const { program, lines, said } = watch(
      `post:${postId}`,
      "--email",
      account.email,
      "--password",
      account.password,
    );
    await said("watches post:");
    await comment(account, postId, "hello\n\u001b[31mred");
    await said("hello");
    await said("    \u{fffd}[31mred");
    await call("PUT", `/posts/${postId}/like`, account.token);
    await said("1 like of the post");
    await worker.restart();
    await said("connection lost");
    await comment(account, postId, "while away");
    await said("while away");
    expect(lines.filter((line) => line.includes("hello"))).toHaveLength(1);
    program.kill("SIGINT");
    expect(await once(program, "exit")).toEqual([0, null]);
  });

  it("says in one line why it cannot", async ({ expect }) => {
    const account = await register();
    const credentials = ["--email", account.email, "--password", account.password];
    for (const [args, line] of [
      [
        ["post:999999999", ...credentials],
        "post:999999999 cannot be followed: There is no such post. Name another room.",
      ],
      [["post:1", "--email", account.email, "--password", "wrong"], "cannot sign in"],
      [["lobby"], "lobby is no room"],
      [[], "Name one room"],
    ] as const) {
      const { program, lines, said } = watch(...args);
      await said(line);
      if (program.exitCode === null) await once(program, "exit");
      expect(program.exitCode).toBe(1);
      expect(lines).toHaveLength(1);
    }
  });

  it("ends when the post is deleted", async ({ expect }) => {
    const account = await register();
    const postId = await newPost(account, await newBoard());
    const { program, said } = watch(
      `post:${postId}`,
      "--email",
      account.email,
      "--password",
      account.password,
    );
    await said("watches post:");
    await call("DELETE", `/posts/${postId}`, account.token);
    await said("the post was deleted");
    if (program.exitCode === null) await once(program, "exit");
    expect(program.exitCode).toBe(0);
  });
});
