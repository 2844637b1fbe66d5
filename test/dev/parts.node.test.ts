import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { describe, inject, it, onTestFinished } from "vitest";
import { unstable_readConfig } from "wrangler";
import { cronTriggers, fireCronTriggers, localExpression } from "../../dev/cloud/cron.ts";
import { systemEnvironment } from "../../dev/cloud/environment.ts";
import { findServers, parseMysqlVersion, parseRedisVersion } from "../../dev/cloud/find-servers.ts";
import { checkOwnMysql, checkOwnQstash, checkOwnRedis, ownServers } from "../../dev/cloud/own-servers.ts";
import { claimPort, onPort, portsFromEnvironment } from "../../dev/cloud/ports.ts";
import { CloudProblem } from "../../dev/cloud/problem.ts";
import { CHOICES, readChoices } from "../../dev/cloud/settings.ts";
import { createWranglerOutput } from "../../dev/cloud/wrangler-output.ts";
import { SCHEDULE } from "../../src/scheduled.ts";
import { isolate } from "../support/node/own-servers.ts";

/** A port that another program listens on until the test ends. */
async function takenPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

const cloud = inject("cloud");
const NOWHERE = { host: "", port: 0, user: "", password: "", database: "" };

describe("ports", () => {
  it("come from their variables, else are the documented ones", ({ expect }) => {
    expect(
      portsFromEnvironment({ PORT: "9000", LIVEFORUM_QSTASH_PORT: "0", LIVEFORUM_MYSQL_PORT: "" }),
    ).toEqual({
      worker: 9000,
      mysql: 13306,
      redis: 16379,
      planetscale: 3900,
      upstash: 8079,
      qstash: 0,
    });
  });

  it("may all be left to the system, but not be shared", ({ expect }) => {
    const all = (port: string) => ({ PORT: port, LIVEFORUM_MYSQL_PORT: port });
    expect(portsFromEnvironment(all("0"))).toMatchObject({ worker: 0, mysql: 0 });
    expect(() => portsFromEnvironment(all("5000"))).toThrow(
      "PORT and LIVEFORUM_MYSQL_PORT both ask for port 5000",
    );
  });

  it.for(["-1", "65536", "80.5", "eighty"])("refuse %s", (port, { expect }) => {
    expect(() => portsFromEnvironment({ PORT: port })).toThrow(`PORT=${port} is not a port`);
  });

  it("that are taken are refused by name", async ({ expect }) => {
    const port = await takenPort();
    await expect(claimPort("worker", port)).rejects.toThrow(
      `Port ${port} of the Worker is taken by another program. Stop that program or choose another port with PORT=<port>`,
    );
  });

  it("that were free and were lost are replaced, but only when the system chose them", async ({ expect }) => {
    const tried: number[] = [];
    const loseTwice = (port: number): Promise<number> => {
      tried.push(port);
      if (tried.length < 3) throw new CloudProblem("It ended", "Look", ["bind: Address already in use"]);
      return Promise.resolve(port);
    };
    expect(await onPort("mysql", 0, loseTwice)).toBe(tried[2]);
    tried.length = 0;
    const fixed = await claimPort("mysql", 0);
    await expect(onPort("mysql", fixed, loseTwice)).rejects.toThrow("It ended");
    expect(tried).toEqual([fixed]);
  });
});

describe("the environment of the parts", () => {
  it("has what programs need to run and no setting of anything", ({ expect }) => {
    expect(
      systemEnvironment({
        PATH: "/bin",
        HOME: "/root",
        LC_ALL: "C",
        SystemRoot: "C:\\Windows",
        DATABASE_URL: "mysql://production",
        QSTASH_TOKEN: "secret",
        CLOUDFLARE_ENV: "production",
        NODE_OPTIONS: "--inspect",
        MYSQL_HOME: "/etc",
        REDIS_URL: "redis://production",
      }),
    ).toEqual({ PATH: "/bin", HOME: "/root", LC_ALL: "C", SystemRoot: "C:\\Windows" });
  });

  it("leaves the developer a choice of limits, not of services", ({ expect }) => {
    expect(readChoices({ RATE_LIMIT_SCALE: "0", DATABASE_URL: "mysql://production" })).toEqual({
      RATE_LIMIT_SCALE: "0",
      BCRYPT_COST: CHOICES.BCRYPT_COST,
      CORS_ORIGINS: CHOICES.CORS_ORIGINS,
    });
    expect(readChoices({ CORS_ORIGINS: "", ROOM_SOCKETS_MAX: "7" })).toMatchObject({
      CORS_ORIGINS: "",
      ROOM_SOCKETS_MAX: "7",
    });
  });
});

describe("servers on the machine", () => {
  it.for([
    ["mariadbd  Ver 10.11.6-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64", "mariadb", [10, 11, 6]],
    ["/usr/sbin/mysqld  Ver 8.0.42-0ubuntu0.24.04.1 for Linux on x86_64 ((Ubuntu))", "mysql", [8, 0, 42]],
  ] as const)("are recognised by what they print: %s", ([text, flavour, version], { expect }) => {
    expect(parseMysqlVersion("/x", text)).toEqual({ path: "/x", flavour, version });
  });

  it("are Redis under whatever name", ({ expect }) => {
    expect(parseRedisVersion("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0")).toEqual([
      7, 0, 15,
    ]);
    expect(parseRedisVersion("Valkey server v=8.1.1 sha=0")).toEqual([8, 1, 1]);
    expect(parseRedisVersion("redis-check-rdb 7.0.15")).toBeUndefined();
  });

  it("are none in a folder without them", ({ expect }) => {
    expect(findServers([fileURLToPath(new URL(".", import.meta.url))])).toEqual({ tooOld: [] });
  });
});

describe("one's own servers", () => {
  it("are read from three variables", ({ expect }) => {
    expect(ownServers({})).toEqual({});
    expect(
      ownServers({
        LIVEFORUM_MYSQL_URL: "mysql://me:p%40ss@[::1]/forum",
        LIVEFORUM_REDIS_URL: "redis://:secret@db:6380/2",
        LIVEFORUM_QSTASH_URL: "http://127.0.0.1:8080/",
      }),
    ).toEqual({
      mysql: { host: "::1", port: 3306, user: "me", password: "p@ss", database: "forum" },
      redisUrl: "redis://:secret@db:6380/2",
      qstashUrl: "http://127.0.0.1:8080",
    });
  });

  it.for([
    ["LIVEFORUM_MYSQL_URL", "postgres://me:pass@host/forum"],
    ["LIVEFORUM_MYSQL_URL", "mysql://host/forum"],
    ["LIVEFORUM_MYSQL_URL", "mysql://me:pass@host"],
    ["LIVEFORUM_REDIS_URL", "127.0.0.1:6379"],
    ["LIVEFORUM_QSTASH_URL", "8080"],
  ] as const)("are refused when malformed: %s=%s", ([name, value], { expect }) => {
    expect(() => ownServers({ [name]: value })).toThrow(`${name} is not an address`);
  });

  it("are never PlanetScale's, where the demo admin would be everybody's", ({ expect }) => {
    expect(() => ownServers({ LIVEFORUM_MYSQL_URL: "mysql://me:pass@aws.connect.psdb.cloud/forum" })).toThrow(
      "LIVEFORUM_MYSQL_URL names a database in PlanetScale's cloud",
    );
  });

  it("are refused with the server's own words when they cannot be used", async ({ expect }) => {
    const { mysql } = ownServers({ LIVEFORUM_MYSQL_URL: cloud.mysql });
    const wrong = { ...NOWHERE, ...mysql, password: "wrong" };
    await expect(checkOwnMysql(wrong)).rejects.toThrow(/cannot be used: Access denied for user/);
    const nobody = await claimPort("redis", 0);
    await expect(checkOwnRedis(`redis://127.0.0.1:${nobody}`)).rejects.toThrow(
      /cannot be used: .*ECONNREFUSED/,
    );
    const redis = new URL(cloud.redis);
    redis.password = "wrong";
    await expect(checkOwnRedis(redis.href)).rejects.toThrow(/cannot be used: WRONGPASS/);
  });

  it("may be a QStash with the local token and keys", async ({ expect }) => {
    const secrets = {
      databaseUser: "",
      databasePassword: "",
      upstashToken: "",
      qstashToken: cloud.settings["QSTASH_TOKEN"] ?? "",
      qstashCurrentSigningKey: cloud.settings["QSTASH_CURRENT_SIGNING_KEY"] ?? "",
      qstashNextSigningKey: "",
      jwtKeys: "",
    };
    expect(await checkOwnQstash(cloud.qstash, secrets)).toBe(cloud.qstash);
    await expect(checkOwnQstash(cloud.qstash, { ...secrets, qstashToken: "other" })).rejects.toThrow(
      "it answers 401 to the local token",
    );
    await expect(
      checkOwnQstash(cloud.qstash, { ...secrets, qstashCurrentSigningKey: "sig_other" }),
    ).rejects.toThrow("signs with other keys");
  });

  it("are shared by suites without touching each other or what is there", async ({ expect }) => {
    const own = ownServers({ LIVEFORUM_MYSQL_URL: cloud.mysql, LIVEFORUM_REDIS_URL: cloud.redis });
    const first = await isolate({ ...own, qstashUrl: cloud.qstash });
    const { database } = first.own.mysql ?? {};
    expect(database).toMatch(/^liveforum\w*_test_\d+$/);
    expect(first.own.redisUrl).toMatch(/\/\d+$/);
    expect(first.own).not.toHaveProperty("qstashUrl");
    const second = await isolate(own.redisUrl === undefined ? {} : { redisUrl: own.redisUrl });
    expect(second.own.redisUrl).not.toBe(first.own.redisUrl);
    await second.remove();
    await first.remove();
    await expect(checkOwnMysql(first.own.mysql ?? NOWHERE)).rejects.toThrow(/Unknown database/);
  });
});

describe("cron triggers", () => {
  const configFile = fileURLToPath(new URL("../../wrangler.toml", import.meta.url));

  it("are those of wrangler.toml, and the Worker has tasks for each", ({ expect }) => {
    const { triggers } = unstable_readConfig({ config: configFile, env: "" }, { hideWarnings: true });
    expect(cronTriggers(configFile)).toEqual(triggers.crons);
    expect(Object.keys(SCHEDULE).toSorted()).toEqual(triggers.crons?.toSorted());
  });

  it("count weekdays as Cloudflare does", ({ expect }) => {
    expect(localExpression("17 * * * *")).toBe("17 * * * *");
    expect(localExpression("0 3 * * 1")).toBe("0 3 * * 0");
    expect(localExpression("0 3 1 1 2-6/2,7#2")).toBe("0 3 1 1 1-5/2,6#2");
    expect(localExpression("0 3 * * MON-FRI")).toBe("0 3 * * MON-FRI");
  });

  it("reach the Worker with their expression, and a failure is told", async ({ expect }) => {
    // A sixth field in front is seconds: it fires at once instead of at the next minute.
    const said: string[] = [];
    const everySecond = "* * * * * *";
    const stop = fireCronTriggers(cloud.recorder, [everySecond], (line) => said.push(line));
    onTestFinished(stop);
    const path = "/cdn-cgi/local/scheduled";
    const count = async (): Promise<number> => {
      const response = await fetch(`${cloud.recorder}/_recorder/count?path=${path}`);
      return ((await response.json()) as { count: number }).count;
    };
    await expect.poll(count, { timeout: 20_000 }).toBeGreaterThan(0);
    const seen = await fetch(`${cloud.recorder}/_recorder/requests?path=${path}`);
    const { requests } = (await seen.json()) as { requests: { target: string }[] };
    expect(new URL(requests[0]?.target ?? "", "http://x").searchParams.get("cron")).toBe(everySecond);
    expect(said).toEqual([]);

    await fetch(`${cloud.recorder}/_recorder/answers`, {
      method: "PUT",
      body: JSON.stringify({ path, status: 500, body: "no such trigger" }),
    });
    await expect
      .poll(() => said, { timeout: 20_000 })
      .toContain(`cron "${everySecond}" failed: the Worker answered 500 no such trigger`);
  });
});

describe("wrangler's output", () => {
  const shown = (text: string): string[] => {
    const understand = createWranglerOutput();
    return text.split("\n").filter((line) => understand(line).show);
  };

  it("loses what is the same at each start", ({ expect }) => {
    const start = `[custom build] Running: npm run --silent docs-assets
Using secrets defined in .local/dev/worker.env
Using secrets defined in process.env
Your Worker has access to the following bindings:
Binding                                          Resource                  Mode
env.POST_ROOM (PostRoom)                         Durable Object            local
env.PUBLIC_URL ("(hidden)")                      Environment Variable      local

\u001B[33m▲ \u001B[43;33m[\u001B[43;30mWARNING\u001B[43;33m]\u001B[0m \u001B[1mScheduled Workers are not automatically triggered during local development.\u001B[0m

  To manually trigger a scheduled event, run:
    curl "http://localhost:8787/cdn-cgi/local/scheduled"
  For more details, see \u001B[4mhttps://developers.cloudflare.com/workers/configuration/cron-triggers/#test-cron-triggers-locally\u001B[0m


⎔ Starting local server...
[wrangler:info] ✨ Parsed 1 valid header rule.
[wrangler:info] Ready on http://localhost:8787
{"level":"info","message":"request"}
[wrangler:info] GET /api/health 200 OK (1202ms)`;
    expect(shown(start)).toEqual(["⎔ Starting local server...", '{"level":"info","message":"request"}']);
  });

  it("keeps every line of what went wrong", ({ expect }) => {
    const failures = `\u001B[31m✘ \u001B[41;31m[\u001B[41;97mERROR\u001B[41;31m]\u001B[0m \u001B[1mBuild failed with 1 error:\u001B[0m
  src/app.ts:110:10:
  110 │ const x = ;
Error: boom
    at Object.fetch (file:///src/app.ts:3:9)
    at async handle
env.DATABASE_URL is missing
Binding POST_ROOM failed
[wrangler:error] Uncaught (in promise) TypeError
[wrangler:warn] The Workers runtime crashed unexpectedly and is being restarted (crash #1).`;
    expect(shown(failures)).toEqual(failures.split("\n"));
  });

  it("tells of builds and crashes", ({ expect }) => {
    const understand = createWranglerOutput();
    const events = [
      "The file src/app.ts changed, restarting build...",
      "\u001B[31m✘ \u001B[41;31m[\u001B[41;97mERROR\u001B[41;31m]\u001B[0m \u001B[1mBuild failed with 1 error:\u001B[0m",
      "⎔ Reloading local server...",
      "[wrangler:warn] The Workers runtime crashed unexpectedly and is being restarted (crash #1).",
      '{"message":"request"}',
    ].map((line) => understand(line).event);
    expect(events).toEqual(["building", "broken build", "building", "crashed runtime", undefined]);
  });
});

it("the scripts of package.json run these programs", ({ expect }) => {
  const file = fileURLToPath(new URL("../../package.json", import.meta.url));
  const { scripts } = JSON.parse(readFileSync(file, "utf8")) as { scripts: Record<string, string> };
  expect(scripts).toMatchObject({ dev: "node dev/main.ts", test: "vitest run" });
});

describe("open files", () => {
  /** Starts a part from a shell with a limit. @returns the part's limit, and what was warned of */
  function partUnder(ulimit: string): { limit: number; warning: string } {
    const module = new URL("../../dev/cloud/open-files.ts", import.meta.url).href;
    const script = `
      import { spawnSync } from "node:child_process";
      import { withOpenFiles } from "${module}";
      const [command, ...args] = withOpenFiles(["sh", "-c", "ulimit -n"], (line) => console.error(line));
      process.stdout.write(spawnSync(command, args).stdout);`;
    const { stdout, stderr } = spawnSync(
      "sh",
      ["-c", `ulimit ${ulimit} && exec "$0" --input-type=module -e "$1"`, process.execPath, script],
      { encoding: "utf8" },
    );
    return { limit: Number(stdout), warning: stderr };
  }

  it.skipIf(process.platform === "win32")(
    "are as many as the shell may have, not as it has",
    ({ expect }) => {
      expect(partUnder("-S -n 256").limit).toBeGreaterThan(256);
    },
  );

  it.skipIf(process.platform === "win32")(
    "are raised where the user may, else there is a warning",
    ({ expect }) => {
      const { limit, warning } = partUnder("-n 256");
      if (limit === 256) expect(warning).toContain("this shell allows 256 open files");
      else expect({ limit, warning }).toEqual({ limit: 16_384, warning: "" });
    },
  );
});
