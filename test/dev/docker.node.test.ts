import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { beforeEach, describe, inject, it, onTestFinished, vi } from "vitest";
import { openDataFolder } from "../../dev/cloud/data-folder.ts";
import { startMysqlInDocker, startRedisInDocker } from "../../dev/cloud/docker-servers.ts";
import { LOCAL_DATABASE, queryMysql } from "../../dev/cloud/mysql.ts";
import { claimPort } from "../../dev/cloud/ports.ts";
import { askRedis } from "../../dev/cloud/redis.ts";
import { allGone } from "./checkout.ts";

const cloud = inject("cloud");
const { user, password } = LOCAL_DATABASE;
const usesPrivateServers = cloud.mysql.includes(`//${user}:${password}@`);

/** Writes down how it is called; `run` publishes the suite's own servers at the port it is told, until SIGTERM. */
const FAKE_DOCKER = `#!/usr/bin/env node
const { appendFileSync } = require("node:fs");
const net = require("node:net");
const args = process.argv.slice(2);
appendFileSync(process.env.DOCKER_CALLS, JSON.stringify(args) + "\\n");
if (args[0] === "run") {
  const [, port, inside] = /^--publish=127\\.0\\.0\\.1:(\\d+):(\\d+)$/.exec(args.find((a) => a.startsWith("--publish")));
  const to = inside === "3306" ? ${new URL(cloud.mysql).port} : ${new URL(cloud.redis).port};
  net.createServer((client) => {
    const server = net.connect(to, "127.0.0.1");
    client.pipe(server).pipe(client);
    for (const socket of [client, server]) socket.on("error", () => {});
  }).listen(port, "127.0.0.1");
}
`;

// The fake is a script, which Windows does not run as a program, and its servers have the private ones' accounts.
describe.skipIf(process.platform === "win32" || !usesPrivateServers)("servers in Docker", () => {
  let calls: () => string[][];
  let folderPath: string;

  beforeEach(() => {
    folderPath = mkdtempSync(join(tmpdir(), "liveforum docker-"));
    onTestFinished(() => {
      vi.unstubAllEnvs();
      rmSync(folderPath, { recursive: true, force: true });
    });
    const program = join(folderPath, "docker");
    writeFileSync(program, FAKE_DOCKER);
    chmodSync(program, 0o755);
    const log = join(folderPath, "calls");
    vi.stubEnv("PATH", `${folderPath}${delimiter}${process.env.PATH}`);
    vi.stubEnv("DOCKER_CALLS", log);
    calls = () =>
      readFileSync(log, "utf8")
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as string[]);
  });

  async function dataFolder() {
    const folder = await openDataFolder(join(folderPath, "data"));
    onTestFinished(() => folder.release());
    return folder;
  }

  it("run MariaDB on loopback, with its data and its rights on scratch databases in the folder", async ({
    expect,
  }) => {
    const folder = await dataFolder();
    const port = await claimPort("mysql", 0);
    const { child, address } = await startMysqlInDocker(folder, port, new AbortController().signal);
    onTestFinished(() => child.stop());
    expect(await queryMysql(address, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
    const [remove = [], run = []] = calls();
    const name = run.find((arg) => arg.startsWith("--name="))?.slice("--name=".length);
    // What a killed run left behind is removed first; it has the same name.
    expect(remove).toEqual(["rm", "--force", name]);
    expect(run.slice(0, 3)).toEqual(["run", "--rm", "--init"]);
    expect(run).toContain(`--publish=127.0.0.1:${port}:3306`);
    expect(run).toContain(`--mount=type=bind,source=${folder.file("mysql", "docker")},target=/var/lib/mysql`);
    expect(run).toContain(`--user=${process.getuid?.()}:${process.getgid?.()}`);
    expect(readFileSync(folder.file("mysql", "docker.sql"), "utf8")).toBe(
      "GRANT ALL PRIVILEGES ON `liveforum%`.* TO 'liveforum'@'%';\n",
    );
    await child.stop();
    await allGone([{ name: child.name, pid: child.pid ?? 0 }]);
  });

  it("run Redis behind a password", async ({ expect }) => {
    const folder = await dataFolder();
    const port = await claimPort("redis", 0);
    const { child, url } = await startRedisInDocker(folder, port, new AbortController().signal);
    onTestFinished(() => child.stop());
    expect(await askRedis(url, ["PING"])).toBe("PONG");
    const run = calls().at(-1) ?? [];
    expect(run).toContain(`--publish=127.0.0.1:${port}:6379`);
    expect(run.slice(run.indexOf("redis-server"))).toContain("--requirepass");
  });

  it("that do not start are told with Docker's own words", async ({ expect }) => {
    const folder = await dataFolder();
    writeFileSync(join(folderPath, "docker"), "#!/bin/sh\necho 'no space left on device' >&2\nexit 125\n");
    await expect(startRedisInDocker(folder, 1, new AbortController().signal)).rejects.toMatchObject({
      message: expect.stringMatching(/^Redis \(Docker\) exited with code 125 while starting\. /),
      logLines: ["no space left on device"],
    });
  });
});
