/**
 * The budgets of the contract's section 5, by what the gateways saw: a Worker under wrangler, 40 ms on every call to an
 * upstream. See budget.test.ts for the same watched from inside, and for routes that the contract does not name.
 */
import { once } from "node:events";
import { type IncomingMessage, request as httpRequest } from "node:http";
import type { Duplex } from "node:stream";
import { afterAll, beforeAll, describe, it } from "vitest";
import { queryMysql } from "../dev/cloud/mysql.ts";
import { askRedis } from "../dev/cloud/redis.ts";
import { type Answered, type Cost, type CostMeter, createCostMeter } from "../dev/gateways/costs.ts";
import { type OwnCloud, startOwnCloud } from "./support/node/own-cloud.ts";

const DELAY_MS = 40;
/** What keeps the machine busy may spoil a measurement, always upwards; a request over its budget stays so. */
const RUNS = 6;
/** Rows of the long board: its page 10,000 of one post. */
const LONG_BOARD_POSTS = 10_100;

type Account = { id: number; token: string; email: string; password: string; refreshToken: string };
type Forum = {
  author: Account;
  reader: Account;
  boardId: number;
  postId: number;
  commentId: number;
  longBoardId: number;
};

let cloud: OwnCloud;
let meter: CostMeter;
let forum: Forum;

beforeAll(async () => {
  cloud = await startOwnCloud({ RATE_LIMIT_SCALE: "1000" });
  forum = await makeForum();
  meter = await createCostMeter(
    { db: cloud.planetscaleUrl, redis: cloud.upstashUrl, qstash: cloud.qstashUrl },
    DELAY_MS,
  );
});
afterAll(async () => {
  await cloud.close();
});

type Options = { as?: Account; body?: unknown };

function send(method: string, path: string, { as, body }: Options = {}): Promise<Response> {
  return fetch(`${cloud.worker.url}/api${path}`, {
    method,
    headers: {
      ...(as ? { authorization: `Bearer ${as.token}` } : {}),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...(method === "POST" ? { "idempotency-key": crypto.randomUUID() } : {}),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

async function call<Body>(method: string, path: string, options?: Options): Promise<Body> {
  const response = await send(method, path, options);
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return (text === "" ? undefined : JSON.parse(text)) as Body;
}

type SessionBody = { user: { id: number }; accessToken: string; refreshToken: string };

async function register(username: string): Promise<Account> {
  const credentials = { email: `${username}@example.com`, password: "correct horse battery" };
  const body = { ...credentials, username };
  const { user, accessToken, refreshToken } = await call<SessionBody>("POST", "/auth/register", { body });
  return { ...credentials, id: user.id, token: accessToken, refreshToken };
}

const insert = async (sql: string): Promise<number> =>
  ((await queryMysql(cloud.mysql, sql)) as { insertId: number }).insertId;

const board = (slug: string) =>
  insert(`insert into boards (name, slug, description, created_at) values ('Budget', '${slug}', '', now(3))`);

/** Rows that are as if made long ago: their effects are done. */
async function insertRows(table: string, columns: string, rows: number, row: (index: number) => string) {
  for (let first = 0; first < rows; first += 5_000) {
    const values = Array.from({ length: Math.min(5_000, rows - first) }, (_, index) => row(first + index));
    await insert(`insert into ${table} (${columns}) values ${values.join(",")}`);
  }
}

const insertPosts = (boardId: number, authorId: number, count: number) =>
  insertRows(
    "posts",
    "board_id, author_id, title, content, excerpt, counted, created_at, updated_at",
    count,
    (index) => `(${boardId}, ${authorId}, 'Post ${index}', 'Content', 'Content', true, now(3), now(3))`,
  );

/** A forum in which every list has more than 100 rows. */
async function makeForum(): Promise<Forum> {
  const [author, reader] = [await register("author"), await register("reader")];
  const [boardId, longBoardId] = [await board("short"), await board("long")];
  await insertPosts(boardId, author.id, 105);
  await insertPosts(longBoardId, reader.id, LONG_BOARD_POSTS);
  for (let index = 0; index < 105; index += 1) await board(`board-${index}`);
  const { id: postId } = await call<{ id: number }>("POST", "/posts", {
    as: author,
    body: { boardId, title: "Measured", content: "Content" },
  });
  const { id: commentId } = await call<{ id: number }>("POST", `/posts/${postId}/comments`, {
    as: reader,
    body: { content: "Measured" },
  });
  await insertRows(
    "comments",
    "post_id, author_id, content, counted, created_at, updated_at",
    105,
    (index) => `(${postId}, ${author.id}, 'Comment ${index}', true, now(3), now(3))`,
  );
  await insertRows(
    "notifications",
    "user_id, type, target_type, target_id, post_id, actor_id, dedupe_key, created_at, updated_at",
    105,
    (index) =>
      `(${author.id}, 'like', 'post', ${1_000_000 + index}, ${postId}, ${reader.id}, 'like:post:${1_000_000 + index}:open', now(3), now(3))`,
  );
  await insertRows(
    "sessions",
    "user_id, nonce, epoch, device_label, created_at, last_used_at, expires_at",
    105,
    (index) =>
      `(${author.id}, repeat('0', 32), (select session_epoch from users where id = ${author.id}), 'Device ${index}', now(3), now(3), now(3) + interval 1 day)`,
  );
  return { author, reader, boardId, postId, commentId, longBoardId };
}

/** A request of the table, with the most that it may cost. */
type Row = {
  what: string;
  roundTrips: number;
  statements: number;
  /** Fewer statements than this would mean that the row is not what it says. */
  statementsLeast?: number;
  /** Makes what the request needs before each run; none of it counts. */
  before?: () => Promise<unknown>;
  send: () => Promise<Answered>;
};

type Reader = "author" | "reader" | null;
const as = (who: Reader): Options => (who === null ? {} : { as: forum[who] });
const readAs = (who: Reader, path: () => string) => async () => {
  const answer = await send("GET", path(), as(who));
  await answer.body?.cancel();
  return answer;
};

/** Nothing is cached, and Redis knows the scripts: that is how a cache is cold, not a new Redis. */
const emptyRedis = () => askRedis(cloud.redisUrl, ["FLUSHDB"]);

/** A read of what the read before has cached. */
function warm(what: string, who: Reader, path: () => string, roundTrips: number, statements: number): Row {
  const read = readAs(who, path);
  return { what: `${what}, warm, ${whoIs(who)}`, roundTrips, statements, before: read, send: read };
}

/** A read of what is cached nowhere. */
function cold(what: string, who: Reader, path: () => string, roundTrips: number, statements: number): Row {
  const send = readAs(who, path);
  return {
    what: `${what}, cold, ${whoIs(who)}`,
    roundTrips,
    statements,
    statementsLeast: 1,
    before: emptyRedis,
    send,
  };
}

const whoIs = (who: Reader) => (who === null ? "anonymous" : "signed in");

const post = () => `/posts/${forum.postId}`;
const commentPath = () => `/comments/${forum.commentId}`;

/** The first page of a list, warm and cold; which of it a signed-in reader likes is one statement beside it. */
function firstPage(what: string, who: Reader, path: () => string, coldStatements: number): Row[] {
  const more = who === null ? 0 : 1;
  return [
    warm(`${what}, first page`, who, path, 1, more),
    cold(`${what}, first page`, who, path, 2, coldStatements + more),
  ];
}

/** The second page of a list. */
function secondPage(what: string, who: Reader, path: () => string, statements: number): Row {
  let next = "";
  return {
    what: `${what}, second page, ${whoIs(who)}`,
    roundTrips: 1,
    statements,
    before: async () => {
      const { nextCursor } = await call<{ nextCursor: string }>("GET", path(), as(who));
      next = `${path()}${path().includes("?") ? "&" : "?"}cursor=${nextCursor}`;
    },
    send: () => readAs(who, () => next)(),
  };
}

/** PUT and DELETE of a like, each after the other, and each where it changes nothing. */
function likes(what: string, path: () => string): Row[] {
  const turn = (method: string) => () => send(method, `${path()}/like`, as("reader"));
  return ["PUT", "DELETE"].flatMap((method) => {
    const other = method === "PUT" ? "DELETE" : "PUT";
    const row = { roundTrips: 3, statements: 2, send: turn(method) };
    return [
      { ...row, what: `${method} like of a ${what}`, before: turn(other) },
      { ...row, what: `${method} like of a ${what}, again`, before: turn(method) },
    ];
  });
}

function upgrade(what: string, room: () => string, statements: number): Row {
  return {
    what: `upgrade to ${what}`,
    roundTrips: 1,
    statements,
    send: async () => {
      const request = httpRequest(`${cloud.worker.url}/api/rooms/${room()}`, {
        headers: {
          connection: "Upgrade",
          upgrade: "websocket",
          "sec-websocket-version": "13",
          "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
          authorization: `Bearer ${forum.reader.token}`,
        },
      });
      request.end();
      const [{ headers }, socket] = (await once(request, "upgrade")) as [IncomingMessage, Duplex];
      socket.destroy();
      return { status: 101, headers: { get: (name) => headers[name]?.toString() ?? null } };
    },
  };
}

const READERS = [null, "reader"] as const;

const ROWS: Row[] = [
  warm("GET post", null, post, 1, 0),
  warm("GET post", "reader", post, 1, 1),
  cold("GET post", null, post, 2, 1),
  cold("GET post", "reader", post, 2, 2),

  ...READERS.flatMap((who) => [
    ...firstPage("GET posts", who, () => "/posts", 1),
    ...firstPage("GET posts of a board", who, () => `/posts?boardId=${forum.boardId}`, 1),
    ...firstPage("GET popular", who, () => "/posts/popular", 1),
    ...firstPage("GET popular of a board", who, () => `/posts/popular?boardId=${forum.boardId}`, 1),
    // Cold, it is also looked up whether there is such a user.
    ...firstPage("GET posts of a user", who, () => `/users/${forum.author.id}/posts`, 2),
  ]),
  warm("GET boards", null, () => "/boards", 1, 0),
  cold("GET boards", null, () => "/boards", 2, 1),

  ...READERS.flatMap((who) => [
    secondPage("GET posts", who, () => "/posts?limit=5", 2),
    secondPage("GET posts of a board", who, () => `/posts?boardId=${forum.boardId}&limit=5`, 2),
    secondPage("GET posts of a user", who, () => `/users/${forum.author.id}/posts?limit=5`, 2),
    secondPage("GET comments of a user", who, () => `/users/${forum.author.id}/comments?limit=5`, 2),
    secondPage("GET comments", who, () => `${post()}/comments?limit=5`, 2),
    warm("GET comments", who, () => `${post()}/comments`, 1, 2),
  ]),
  secondPage("GET notifications", "author", () => "/notifications?limit=5", 2),
  warm("GET notifications", "author", () => "/notifications", 1, 2),
  warm("GET unread notifications", "author", () => "/notifications?unread=true", 1, 2),
  warm("GET unread count", "author", () => "/notifications/unread-count", 1, 1),

  {
    what: "POST comment",
    roundTrips: 2,
    statements: 1,
    send: () => send("POST", `${post()}/comments`, { ...as("reader"), body: { content: "More" } }),
  },
  {
    what: "POST post",
    roundTrips: 2,
    statements: 1,
    before: () => call("GET", `/boards/${forum.boardId}`),
    send: () =>
      send("POST", "/posts", {
        ...as("reader"),
        body: { boardId: forum.boardId, title: "One", content: "More" },
      }),
  },
  ...likes("post", post),
  ...likes("comment", commentPath),

  {
    what: "login",
    roundTrips: 3,
    statements: 2,
    send: () => {
      const { email, password } = forum.reader;
      return send("POST", "/auth/login", { body: { email, password } });
    },
  },
  {
    what: "refresh",
    roundTrips: 3,
    statements: 2,
    before: async () => {
      const { email, password } = forum.reader;
      const { refreshToken } = await call<SessionBody>("POST", "/auth/login", { body: { email, password } });
      forum.reader.refreshToken = refreshToken;
    },
    send: () => send("POST", "/auth/refresh", { body: { refreshToken: forum.reader.refreshToken } }),
  },

  upgrade("a post's room", () => `post:${forum.postId}`, 1),
  upgrade("a user's room", () => `user:${forum.reader.id}`, 0),
];

/** The cheapest of some runs; no more of them than it takes to be within the budget. */
async function cheapest({ before, send, roundTrips, statements }: Row): Promise<Cost> {
  let best: Cost | undefined;
  for (let run = 0; run < RUNS; run += 1) {
    const cost = await meter.measure(send, before);
    if (!best || cost.roundTrips + cost.statements < best.roundTrips + best.statements) best = cost;
    if (best.roundTrips <= roundTrips && best.statements <= statements) break;
  }
  if (!best) throw new Error("no run");
  return best;
}

describe("the budget", () => {
  it.each(ROWS)("$what: $roundTrips round trips, $statements statements", async (row) => {
    const cost = await cheapest(row);
    // A request that costs nothing was not seen: all of them are counted by a limit.
    const within =
      cost.roundTrips > 0 &&
      cost.roundTrips <= row.roundTrips &&
      cost.statements <= row.statements &&
      cost.statements >= (row.statementsLeast ?? 0);
    if (!within) {
      const { roundTrips, statements, calls } = cost;
      throw new Error(`costs ${roundTrips} round trips, ${statements} statements:\n${calls.join("\n")}`);
    }
  });

  it("sees a request that waits for one call after the other", async ({ expect }) => {
    // Register looks for nothing beforehand: limit, account, session.
    let count = 0;
    const cost = await meter.measure(() => {
      count += 1;
      const username = `late${count}`;
      return send("POST", "/auth/register", {
        body: { email: `${username}@example.com`, username, password: "correct horse battery" },
      });
    });
    expect(cost).toMatchObject({ roundTrips: 3, statements: 2 });
  });
});

/** The fewest statements that a read took, out of three. */
async function statementsOf(who: Reader, path: string, before?: () => Promise<unknown>): Promise<number> {
  const counts: number[] = [];
  for (let run = 0; run < 3; run += 1) {
    counts.push(
      (
        await meter.measure(
          readAs(who, () => path),
          before,
        )
      ).statements,
    );
  }
  return Math.min(...counts);
}

describe("a list", () => {
  const LISTS: [string, () => string][] = [
    ["posts", () => "/posts?"],
    ["posts of a board", () => `/posts?boardId=${forum.boardId}`],
    ["popular posts of a board", () => `/posts/popular?boardId=${forum.boardId}`],
    ["boards", () => "/boards?"],
    ["posts of a user", () => `/users/${forum.author.id}/posts?`],
    ["comments of a user", () => `/users/${forum.author.id}/comments?`],
    ["comments of a post", () => `${post()}/comments?`],
    ["notifications", () => "/notifications?"],
    ["unread notifications", () => "/notifications?unread=true"],
    ["sessions", () => "/auth/sessions?"],
  ];
  it.for(LISTS)("of %s takes as many statements for 1 row as for 100", async ([, path], { expect }) => {
    const { items } = await call<{ items: unknown[] }>("GET", `${path()}&limit=100`, as("author"));
    expect(items).toHaveLength(100);
    const [one, hundred] = [
      await statementsOf("author", `${path()}&limit=1`, emptyRedis),
      await statementsOf("author", `${path()}&limit=100`, emptyRedis),
    ];
    expect(hundred).toBe(one);
  });

  it("takes as many statements on page 10,000 as on page 2", async ({ expect }) => {
    const list = `/posts?boardId=${forum.longBoardId}`;
    let cursor = "";
    const cursors: string[] = [];
    await meter.delay(0);
    // 100 pages of 100 posts are 10,000 pages of one.
    for (let page = 0; page < 100; page += 1) {
      const query = cursor === "" ? "" : `&cursor=${cursor}`;
      ({ nextCursor: cursor } = await call<{ nextCursor: string }>("GET", `${list}&limit=100${query}`));
      cursors.push(cursor);
    }
    await meter.delay(DELAY_MS);
    for (const who of READERS) {
      const [second, last] = [
        await statementsOf(who, `${list}&limit=1&cursor=${cursors[0]}`),
        await statementsOf(who, `${list}&limit=1&cursor=${cursors.at(-1)}`),
      ];
      expect(last).toBe(second);
      expect(last).toBeLessThanOrEqual(2);
    }
  });
});
