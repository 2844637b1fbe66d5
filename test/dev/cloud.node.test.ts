import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, it, onTestFinished } from "vitest";
import { type Cloud, type CloudOptions, startCloud } from "../../dev/cloud/cloud.ts";
import { openDataFolder } from "../../dev/cloud/data-folder.ts";
import { queryMysql } from "../../dev/cloud/mysql.ts";
import { claimPort, FREE_PORTS } from "../../dev/cloud/ports.ts";
import { birthOf, survivors } from "../../dev/cloud/processes.ts";
import { askRedis } from "../../dev/cloud/redis.ts";
import { allGone, until } from "./checkout.ts";

/** A path for a data folder; it goes when the test ends. */
function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), "liveforum-cloud-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "data");
}

/** Closed when the test ends. */
async function start(dataDir: string, options: Partial<CloudOptions> = {}): Promise<Cloud> {
  const cloud = await startCloud({
    dataDir,
    ports: FREE_PORTS,
    own: {},
    qstashSpeed: 1,
    log: () => {},
    signal: new AbortController().signal,
    ...options,
  });
  onTestFinished(cloud.close);
  return cloud;
}

/** The text of the refusal. @throws when it starts */
async function refusal(dataDir: string, options: Partial<CloudOptions> = {}): Promise<string> {
  try {
    await start(dataDir, options);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("it started");
}

function recorded(dataDir: string) {
  return survivors(join(dataDir, "processes.json"));
}

describe("the local cloud", () => {
  it("keeps database and Redis for the next start, and --reset empties both", async ({ expect }) => {
    const dataDir = scratch();
    const first = await start(dataDir);
    await queryMysql(first.mysql, "CREATE TABLE kept (text VARCHAR(20))");
    await queryMysql(first.mysql, "INSERT INTO kept VALUES ('안녕 👋')");
    await askRedis(first.redisUrl, ["SET", "kept", "안녕"]);
    const { jwtKeys } = first.secrets;
    await first.close();
    expect(recorded(dataDir)).toEqual([]);

    const second = await start(dataDir);
    expect(await queryMysql(second.mysql, "SELECT text FROM kept")).toEqual([{ text: "안녕 👋" }]);
    expect(await askRedis(second.redisUrl, ["GET", "kept"])).toBe("안녕");
    expect(second.secrets.jwtKeys).toBe(jwtKeys);
    await second.close();
    writeFileSync(join(dataDir, "notes.txt"), "not ours");

    const third = await start(dataDir, { reset: true });
    expect(await queryMysql(third.mysql, "SHOW TABLES")).toEqual([]);
    expect(await askRedis(third.redisUrl, ["GET", "kept"])).toBeNull();
    expect(third.secrets.jwtKeys).not.toBe(jwtKeys);
    expect(existsSync(join(dataDir, "notes.txt"))).toBe(true);
  });

  it("names the part that died", async ({ expect }) => {
    const dataDir = scratch();
    const cloud = await start(dataDir);
    const parts = recorded(dataDir);
    const [database] = parts.filter(({ name }) => name === "MariaDB" || name === "MySQL");
    process.kill(database?.pid ?? 0, "SIGKILL");
    const problem = await cloud.failed;
    expect(problem.message).toMatch(/^(MariaDB|MySQL) was killed by SIGKILL\. Everything else was stopped/);
    await cloud.close();
    await allGone(parts);
  });

  it("stops what has started when one part cannot, and names the port that is taken", async ({ expect }) => {
    const dataDir = scratch();
    const other = createServer().listen(0, "127.0.0.1");
    onTestFinished(() => void other.close());
    await until(
      () => other.listening,
      () => "the other program",
    );
    const { port } = other.address() as AddressInfo;
    const redis = await claimPort("redis", 0);
    expect(await refusal(dataDir, { ports: { ...FREE_PORTS, redis, upstash: port } })).toBe(
      `Port ${port} of the Upstash gateway is taken by another program. Stop that program or choose another port with LIVEFORUM_UPSTASH_PORT=<port>.`,
    );
    expect(recorded(dataDir)).toEqual([]);
    expect(await claimPort("redis", redis)).toBe(redis);
  });

  it("gives up when it is told to stop while it starts", async ({ expect }) => {
    const dataDir = scratch();
    const stop = new AbortController();
    const starting = start(dataDir, { signal: stop.signal });
    await until(
      () => recorded(dataDir).length > 0,
      () => "the first part",
    );
    const parts = recorded(dataDir);
    stop.abort(new Error("enough"));
    await expect(starting).rejects.toThrow("enough");
    await allGone(parts);
    // The database was interrupted while its files were made: that harms nothing.
    await start(dataDir);
  });

  it("refuses database files whose making was interrupted, and names the remedy", async ({ expect }) => {
    const dataDir = scratch();
    (await openDataFolder(dataDir)).release();
    mkdirSync(join(dataDir, "mysql/data"), { recursive: true });
    expect(await refusal(dataDir)).toBe(
      `The database folder ${join(dataDir, "mysql/data")} is half initialised: its first start was interrupted. Start clean with \`npm run dev -- --reset\`.`,
    );
    expect(recorded(dataDir)).toEqual([]);
  });

  it("takes no folder that holds something else, and none that it cannot write", async ({ expect }) => {
    const home = scratch();
    mkdirSync(home);
    writeFileSync(join(home, "thesis.txt"), "");
    expect(await refusal(home, { reset: true })).toBe(
      `The folder ${home} holds other files, and no data of a local cloud. Choose an empty or a new one with LIVEFORUM_DATA_DIR.`,
    );
    expect(readdirSync(home)).toEqual(["thesis.txt"]);
    const inAFile = join(home, "thesis.txt/data");
    expect(await refusal(inAFile)).toBe(
      `The data folder ${inAFile} cannot be written (ENOTDIR). Make it writable, or make room, or choose another one with LIVEFORUM_DATA_DIR.`,
    );
  });

  it("leaves nothing behind when a run that owns its folder is killed", async ({ expect }) => {
    const dataDir = scratch();
    const script = `
      import { startCloud } from ${JSON.stringify(fileURLToPath(new URL("../../dev/cloud/cloud.ts", import.meta.url)))};
      import { FREE_PORTS } from ${JSON.stringify(fileURLToPath(new URL("../../dev/cloud/ports.ts", import.meta.url)))};
      await startCloud({ dataDir: ${JSON.stringify(dataDir)}, ports: FREE_PORTS, own: {}, qstashSpeed: 1,
        removeOnDeath: true, log() {}, signal: new AbortController().signal });
      console.log("started");`;
    const run = spawn(process.execPath, ["--input-type=module-typescript", "--eval", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await new Promise((resolve) => run.stdout.once("data", resolve));
    const parts = recorded(dataDir);
    expect(parts).toHaveLength(5);
    run.kill("SIGKILL");
    await allGone(parts);
    await until(
      () => !existsSync(dataDir),
      () => "the end of the folder",
    );
  });

  it("ends what a killed run left when nobody else did, and nothing that merely has its process id", async ({
    expect,
  }) => {
    const dataDir = scratch();
    (await openDataFolder(dataDir)).release();
    const left = spawn(process.execPath, ["--eval", "setInterval(() => {}, 1000)"], { detached: true });
    const innocent = spawn(process.execPath, ["--eval", "setInterval(() => {}, 1000)"], { detached: true });
    onTestFinished(() => void innocent.kill("SIGKILL"));
    const { pid = 0 } = left;
    writeFileSync(
      join(dataDir, "processes.json"),
      JSON.stringify({
        owner: 1,
        processes: [
          { name: "left over", pid, birth: birthOf(pid) },
          { name: "reused", pid: innocent.pid, birth: "another boot 1" },
        ],
      }),
    );
    const folder = await openDataFolder(dataDir);
    onTestFinished(() => folder.release());
    expect(folder.ended).toEqual(["left over"]);
    await allGone([{ name: "left over", pid }]);
    expect(innocent.exitCode).toBeNull();
    expect(innocent.signalCode).toBeNull();
  });
});
