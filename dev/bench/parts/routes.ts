/**
 * Round trips and statements of each kind of request, as the gateways saw them.
 * @module
 */
import { askRedis } from "../../cloud/redis.ts";
import { type Answered, type Cost, createCostMeter } from "../../gateways/costs.ts";
import type { Forum } from "../forum.ts";
import type { Table } from "../report.ts";

const DELAY_MS = 40;
/** What the machine disturbs, it makes dearer: the cheapest of some runs counts. */
const RUNS = 3;

type Step = () => Promise<unknown>;
type Route = {
  what: string;
  /** Most round trips and statements, of the contract's section 5. */
  budget: [number, number];
  before?: Step;
  send: () => Promise<Answered>;
};

/** @returns every row of the contract's table of budgets */
export async function measureRoutes(forum: Forum): Promise<Table> {
  const { cloud, signal } = forum;
  const meter = await createCostMeter(
    { db: cloud.planetscaleUrl, redis: cloud.upstashUrl, qstash: cloud.qstashUrl },
    DELAY_MS,
  );
  const rows = [];
  try {
    for (const { what, budget, before, send } of await routesOf(forum)) {
      const costs: Cost[] = [];
      for (let run = 0; run < RUNS; run += 1) {
        signal.throwIfAborted();
        costs.push(await meter.measure(send, before));
      }
      const least = (read: (cost: Cost) => number) => Math.min(...costs.map(read));
      rows.push([
        what,
        least((cost) => cost.roundTrips),
        budget[0],
        least((cost) => cost.statements),
        budget[1],
      ]);
    }
  } finally {
    await meter.delay(0);
  }
  return {
    title: "Round trips and statements",
    columns: ["request", "round trips", "budget", "statements", "budget of statements"],
    rows,
    note: "test/budget.node.test.ts holds these.",
  };
}

async function routesOf({ ours, cloud, boardId, userIds, call, signedIn }: Forum): Promise<Route[]> {
  const [authorId = 0, readerId = 0] = userIds;
  const [author, reader] = [await signedIn(authorId), await signedIn(readerId)];
  const content = { title: "A post for counting", content: "Content" };
  const { id } = await call<{ id: number }>("POST", "/posts", {
    headers: author,
    body: { boardId, ...content },
  });
  const send =
    (method: string, path: string, headers: Record<string, string> = {}, body?: unknown) =>
    () =>
      fetch(`${ours.url}/api${path}`, {
        method,
        headers: { ...headers, ...(body === undefined ? {} : { "content-type": "application/json" }) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
  const cold = () => askRedis(cloud.redisUrl, ["FLUSHDB"]);
  /** Anonymous and signed in, warm and cold. */
  const reads = (what: string, path: string, coldStatements: number): Route[] =>
    [
      { who: "", headers: {}, more: 0 },
      { who: ", signed in", headers: reader, more: 1 },
    ].flatMap(({ who, headers, more }) => {
      const read = send("GET", path, headers);
      return [
        { what: `${what}, warm${who}`, budget: [1, more] as [number, number], before: read, send: read },
        {
          what: `${what}, cold${who}`,
          budget: [2, coldStatements + more] as [number, number],
          before: cold,
          send: read,
        },
      ];
    });
  const { nextCursor } = await call<{ nextCursor: string }>("GET", "/posts?limit=20");
  return [
    ...reads("GET post", `/posts/${id}`, 1),
    ...reads("GET posts, first page", "/posts", 2),
    ...reads("GET popular", "/posts/popular", 2),
    {
      what: "GET posts, deeper page",
      budget: [1, 2],
      send: send("GET", `/posts?limit=20&cursor=${nextCursor}`),
    },
    { what: "GET comments", budget: [1, 2], send: send("GET", `/posts/${id}/comments`) },
    { what: "GET notifications", budget: [1, 2], send: send("GET", "/notifications", author) },
    {
      what: "POST comment",
      budget: [2, 1],
      send: send("POST", `/posts/${id}/comments`, reader, { content: "More" }),
    },
    { what: "POST post", budget: [2, 1], send: send("POST", "/posts", reader, { boardId, ...content }) },
    {
      what: "PUT like",
      budget: [3, 2],
      before: send("DELETE", `/posts/${id}/like`, reader),
      send: send("PUT", `/posts/${id}/like`, reader),
    },
    {
      what: "DELETE like",
      budget: [3, 2],
      before: send("PUT", `/posts/${id}/like`, reader),
      send: send("DELETE", `/posts/${id}/like`, reader),
    },
    {
      what: "POST login",
      budget: [3, 2],
      send: send(
        "POST",
        "/auth/login",
        {},
        {
          email: `load${readerId}@liveforum.local`,
          password: "liveforum-demo",
        },
      ),
    },
  ];
}
