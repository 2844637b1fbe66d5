/** Every route of the OpenAPI document while the database, Redis or QStash is away, in each of the ways of being so. */
import { createExecutionContext, createScheduledController, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, it } from "vitest";
import worker from "../src/index.ts";
import { takeAway, WAYS } from "./support/away.ts";
import {
  type Answer,
  anonymous,
  type Client,
  openApiDocument,
  type Page,
  type PostSummary,
  type Problem,
  signedIn,
} from "./support/client.ts";
import { returnToPresent, stopClock } from "./support/clock.ts";
import { type Account, admin, registerUser } from "./support/factories.ts";
import { send, signature } from "./support/jobs.ts";
import { LINES, type Line, type Wanted } from "./support/matrix.ts";
import { checksum, type Concerned, dueOf, letTimePass } from "./support/rows.ts";

/** A request that would be answered well, and whose rows it is about. */
type Scene = { wanted: Wanted; account: Account; concerned: Concerned };

const methodOf = ({ name }: Line) => name.split(" ")[0] ?? "";
const titleOf = ({ name, of }: Line) => (of ? `${name} (${of})` : name);

async function setScene({ outcomes, request }: Line): Promise<Scene> {
  const owner = await registerUser();
  const account = outcomes.owner.length === 3 || outcomes.admin.length > 3 ? owner : await admin();
  const wanted = await request(owner);
  return {
    wanted,
    account,
    concerned: { userIds: [owner.id, account.id], boardIds: wanted.boardIds ?? [] },
  };
}

/** How the route is answered while all is well; a job is one that QStash signed. */
const wellOf = (line: Line) =>
  line.name === "POST /api/jobs"
    ? "204"
    : line.outcomes[line.outcomes.owner.length === 3 ? "owner" : "admin"];

async function ask(line: Line, { path, json }: Wanted, client: Client): Promise<Answer<Problem>> {
  if (line.name === "POST /api/jobs") {
    const body = JSON.stringify(json);
    return send(body, await signature(body), client);
  }
  const headers = line.upgrade ? { upgrade: "websocket" } : {};
  return client.request(methodOf(line), path, json === undefined ? { headers } : { headers, json });
}

/** What needs no database. All else is cached, or is refused. */
const NEEDLESS = new Set([
  "GET /api/openapi.json",
  "GET /api/asyncapi.json",
  "GET /api/docs",
  "GET /api/docs/rooms",
  "GET /api/rooms/{room} (a user's, token as subprotocol)",
  "GET /api/rooms/{room} (a user's, token as header)",
  "GET /api/rooms/{room}/events (a user's)",
]);
/** What is served from the cache, once it is there. */
const CACHED = new Set([
  "GET /api/boards",
  "GET /api/posts",
  "GET /api/posts/popular",
  "GET /api/posts/{id}",
  "GET /api/users/{id}/posts",
]);
/** Statements that are tried in vain before an answer: each may take 10 s. */
const VAIN_STATEMENTS_MAX = 2;
const PATIENT = { timeout: 30_000 };

describe("while the database is away", () => {
  it.for(LINES)("$name", async (line, { expect }) => {
    const scene = await setScene(line);
    const before = await checksum(scene.concerned);
    for (const way of WAYS) {
      const away = takeAway("db", way);
      const client = signedIn(scene.account.session, { settings: away.settings });
      const name = `${titleOf(line)}, ${way}`;
      if (CACHED.has(line.name)) {
        const body = await servedFromCache(scene.wanted.path, client);
        expect(likesIn(body), name).toEqual(likesIn(body).map(() => null));
        continue;
      }
      const { status, body, headers } = await ask(line, scene.wanted, client);
      if (NEEDLESS.has(titleOf(line))) expect(String(status), name).toBe(wellOf(line));
      else {
        expect([status, body.code], name).toEqual([503, "unavailable"]);
        // QStash would take it for the time of its next delivery.
        if (line.name !== "POST /api/jobs") expect(headers.get("retry-after"), name).toMatch(/^[1-9]\d*$/);
        expect(JSON.stringify(body), name).not.toMatch(/select|insert|update|delete from|away|network|json/i);
        expect(away.calls(), name).toBeGreaterThan(0);
      }
      await client.settled();
      expect(away.calls(), name).toBeLessThanOrEqual(VAIN_STATEMENTS_MAX);
    }
    expect(await checksum(scene.concerned)).toBe(before);
  });

  /** Others read it, so that it is cached, until it is served to whoever has no database; what fails otherwise is named. */
  async function servedFromCache(path: string, client: Client): Promise<Partial<Page<PostSummary>>> {
    for (const giveUpAt = Date.now() + PATIENT.timeout; ;) {
      await anonymous().get(path);
      const { status, body } = await client.get<Page<PostSummary> & Problem>(path);
      if (status === 200) return body;
      if (status !== 503 || Date.now() > giveUpAt) throw new Error(`${path} is answered ${status}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  function likesIn({ items = [] }: Partial<Page<PostSummary>>): unknown[] {
    return items.filter((item) => "likedByMe" in item).map(({ likedByMe }) => likedByMe);
  }
});

/** One way each, and all of them for the health check: what tells them apart is in the clients, not in the routes. */
const waysFor = (line: Line) =>
  line.name === "GET /api/health" ? WAYS : WAYS.slice(LINES.indexOf(line) % WAYS.length).slice(0, 1);

/** Calls in vain, work behind the answer included: after the first an isolate leaves Redis alone for a while. */
const VAIN_CALLS_MAX = 4;

describe("while Redis is away", () => {
  afterEach(returnToPresent);

  it.for(LINES)("$name", async (line, { expect }) => {
    for (const way of waysFor(line)) {
      const { wanted, account, concerned } = await setScene(line);
      const away = takeAway("redis", way);
      // However long it takes, it is within that while.
      stopClock();
      const settings = { ...away.settings, RATE_LIMIT_SCALE: "1", EFFECTS_PATIENCE_MS: "0" };
      const client = signedIn(account.session, { settings });
      const { status, body, headers } = await ask(line, wanted, client);
      const name = `${titleOf(line)}, ${way}`;
      expect(String(status), name).toBe(wellOf(line));
      if (line.name === "GET /api/health") {
        expect(body).toMatchObject({ status: "degraded", checks: { db: "ok", redis: "down", qstash: "ok" } });
      }
      if (status !== 101) {
        // Counted by the isolate.
        expect(headers.has("ratelimit"), name).toBe(line.name !== "POST /api/jobs");
      }
      await client.settled();
      expect(away.calls(), name).toBeLessThanOrEqual(VAIN_CALLS_MAX);
      left.push(concerned);
    }
  });
});

describe("while QStash is away", () => {
  it.for(LINES)("$name", async (line, { expect }) => {
    for (const way of waysFor(line)) {
      const { wanted, account, concerned } = await setScene(line);
      await checksum(concerned);
      const away = takeAway("qstash", way);
      const client = signedIn(account.session, { settings: { ...away.settings, EFFECTS_PATIENCE_MS: "0" } });
      const { status, body } = await ask(line, wanted, client);
      const name = `${titleOf(line)}, ${way}`;
      expect(String(status), name).toBe(wellOf(line));
      if (line.name === "GET /api/health") {
        expect(body).toMatchObject({ status: "degraded", checks: { db: "ok", redis: "ok", qstash: "down" } });
        continue;
      }
      await client.settled();
      // A job that could not be sent stays due.
      expect([name, (await dueOf(concerned)).length > 0]).toEqual([name, away.calls() > 0]);
      left.push(concerned);
    }
  });
});

/** Whose effects were kept from happening. */
const left: Concerned[] = [];

it("what an outage kept from happening is made up for", async ({ expect }) => {
  const concerned: Concerned = {
    userIds: left.flatMap(({ userIds }) => userIds),
    boardIds: left.flatMap(({ boardIds = [] }) => boardIds),
  };
  expect(await dueOf(concerned)).not.toEqual([]);
  await letTimePass(concerned);
  const context = createExecutionContext();
  await worker.scheduled(createScheduledController({ cron: "* * * * *" }), env, context);
  await waitOnExecutionContext(context);
  await expect.poll(() => dueOf(concerned), PATIENT).toEqual([]);
});

it("every route of the document is among them", async ({ expect }) => {
  const { paths } = await openApiDocument();
  const documented = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(new Set(LINES.map(({ name }) => name))).toEqual(new Set(documented));
});
