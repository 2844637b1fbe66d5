/**
 * The last look at what is stored and logged (`support/node/leaks`), which also ends every run of the suite: a walk through
 * every route with marked secrets leaves none behind, and one that lay about would be found.
 */
import { randomUUID } from "node:crypto";
import { appendFileSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, inject, it, onTestFinished } from "vitest";
import { migrate } from "../dev/cloud/migrate.ts";
import { queryMysql } from "../dev/cloud/mysql.ts";
import { askRedis } from "../dev/cloud/redis.ts";
import { workerSettings } from "../dev/cloud/settings.ts";
import { lookAndClose } from "./support/node/leaks/cloud.ts";
import { lookAtRedis } from "./support/node/leaks/redis.ts";
import { createSearch, refuseLeaks, secretsOf } from "./support/node/leaks/search.ts";
import { WALK_KINDS, walk } from "./support/node/leaks/walk.ts";
import { startOwnCloud, startPrivateCloud } from "./support/node/own-cloud.ts";

describe("after a walk through every route, limits switched on", () => {
  it("nothing that was stored or logged holds what belongs elsewhere", async ({ expect }) => {
    const cloud = await startOwnCloud({ RATE_LIMIT_SCALE: "1" }, WALK_KINDS);
    const routes = walk(cloud);
    // Of two errors the walk's is the cause.
    await routes.catch(() => cloud.close().catch(() => undefined));
    const { walked, documented } = await routes;
    await cloud.close();
    expect(walked).toEqual(documented);
    const looked = cloud.search.looked();
    for (const source of ["tables", "redis", "journal", "qstash", "rooms", "logs"]) {
      expect(looked[source], source).toBeGreaterThan(10);
    }
  });
});

const ACCESS_TOKEN = `eyJ${"a".repeat(40)}.eyJ${"b".repeat(40)}.${"c".repeat(43)}`;
const REFRESH_TOKEN = `lfr_1_${"0".repeat(32)}_1_${"d".repeat(43)}`;
const HASH = `$2b$10$${"e".repeat(53)}`;

describe("the search", () => {
  const { settings } = inject("cloud");

  it.for([
    ["an access token", `token ${ACCESS_TOKEN}`],
    ["a refresh token", `{"refreshToken":"${REFRESH_TOKEN}"}`],
    ["a password hash", HASH],
    ["a bearer header", "authorization: Bearer abcdefgh"],
    ["a bearer header", "liveforum.v1, bearer.abcdefgh"],
    ["an email address", "to mina@forum.example"],
    ["an account's email address", "user-1@example.com"],
    ["a network address", "from 198.51.100.7 on"],
    ["a network address", "lf:1:limit:read:address:198.51.100.7:123"],
    ["a network address", '"2a02:1:2:3"'],
    ["a network address", "2a02:1:2:3:ffff::9"],
    ["a client's address", "10.1.2.3"],
    ["a password", "password 0123456789ab"],
    ["a password", "correct horse battery"],
    ["the database's password", new URL(settings["DATABASE_URL"] ?? "").password],
    ["the token of Redis", `x${settings["UPSTASH_REDIS_REST_TOKEN"]}x`],
    ["the token of QStash", settings["QSTASH_TOKEN"] ?? ""],
    ["QStash's signing key", settings["QSTASH_CURRENT_SIGNING_KEY"] ?? ""],
    ["QStash's next signing key", settings["QSTASH_NEXT_SIGNING_KEY"] ?? ""],
    ["a key that signs tokens", settings["JWT_KEYS"]?.split(":")[1] ?? ""],
  ] as const)("knows %s: %s", ([kind, text], { expect }) => {
    const search = createSearch(secretsOf(settings));
    search.look("logs x", text);
    expect(search.found()).toContain(`${kind} in logs x`);
    expect(() => refuseLeaks(search)).toThrow(`${kind} in logs x`);
    expect(search.found().join()).not.toContain(text);
  });

  it.for([
    "lf:1:post:17:holds",
    "lf:1:limit:read:network:zP1yZQus4o_JZ3_jfdGngf:29012345",
    "2026-11-25 14:00:01.123",
    "2026-11-25T14:00:01.123Z",
    "12:34:56",
    "like:post:7:open",
    "listening http://127.0.0.1:3900, 0.0.0.0",
    "Firefox on Linux",
    "mysqld 10.11.19-MariaDB",
    "0c1f5e0e-1b7e-4a9c-9c0e-3a54f2b5b0aa",
    "the bearer of bad news",
  ])("leaves alone: %s", (text, { expect }) => {
    const search = createSearch(secretsOf(settings));
    search.look("logs x", text);
    expect(search.found()).toEqual([]);
  });

  it("goes on when keys end between being listed and being read", async ({ expect }) => {
    const { redis } = inject("cloud");
    // One ends every 50 µs of the second in which they are looked at, and one lasts.
    const write = `for i = 1, 20000 do redis.call('SET', ARGV[1] .. i, 'x', 'PX', math.ceil(i / 20)) end
      redis.call('SET', ARGV[1], 'x', 'PX', 600000)`;
    await askRedis(redis, ["EVAL", write, "0", `lf:1:ending:${randomUUID()}:`]);
    const search = createSearch(secretsOf(settings));
    await lookAtRedis(search, redis);
    expect(search.looked()["redis"]).toBeGreaterThan(2);
  });

  it("finds what was planted at any place, though it is gone by the end", async ({ expect }) => {
    const cloud = await startPrivateCloud();
    onTestFinished(cloud.close);
    const planted = workerSettings(cloud.secrets, { ...cloud, publicUrl: "" }, {});
    const search = createSearch(secretsOf(planted));
    await migrate(planted.DATABASE_URL);
    await queryMysql(
      cloud.mysql,
      `INSERT INTO boards (name, slug, description, created_at) VALUES ('198.51.100.7', 'user@forum.example', '${ACCESS_TOKEN}', now())`,
    );
    await queryMysql(
      cloud.mysql,
      `INSERT INTO users (email, username, password_hash, created_at) VALUES ('mina@example.com', '203.0.113.9', '${HASH}', now())`,
    );
    await askRedis(cloud.redisUrl, [
      "HSET",
      "lf:1:post:7",
      "author",
      "mina@example.com",
      "text",
      "198.51.100.7",
    ]);
    await askRedis(cloud.redisUrl, ["SET", "lf:1:limit:read:address:198.51.100.7:1", "1", "PX", "1"]);
    await fetch(`${cloud.qstashUrl}/v2/publish/http://127.0.0.1:1/api/jobs`, {
      method: "POST",
      headers: { authorization: `Bearer ${cloud.secrets.qstashToken}`, "upstash-delay": "1h" },
      body: JSON.stringify({ token: REFRESH_TOKEN }),
    });
    appendFileSync(cloud.folder.logFile("worker"), '{"message":"request","address":"198.51.100.7"}\n');
    const room = cloud.folder.file("worker", "v3", "do", "liveforum-PostRoom", "1.sqlite");
    mkdirSync(dirname(room), { recursive: true });
    const storage = new DatabaseSync(room);
    storage.exec(`CREATE TABLE events (frame TEXT); INSERT INTO events VALUES ('${HASH}')`);
    storage.close();
    await lookAndClose(cloud, search);
    const found = search.found().map((finding) => finding.replace(/, \d+ times$/, ""));
    expect(found.toSorted()).toEqual([
      "a client's address in tables users.username",
      "a network address in journal lf:1:limit:read, a key",
      "a network address in logs worker.log",
      "a network address in tables users.username",
      "a password hash in rooms events.frame",
      "a refresh token in qstash messages.body",
      "an access token in tables boards.description",
      "an account's email address in journal lf:1:post",
      "an account's email address in redis lf:1:post",
      "an email address in tables boards.slug",
    ]);
  });
});
