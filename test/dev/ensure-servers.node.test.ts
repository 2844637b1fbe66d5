import { describe, it } from "vitest";
import { ensureServers } from "../../dev/cloud/ensure-servers.ts";
import type { FoundServers } from "../../dev/cloud/find-servers.ts";
import type { Machine } from "../../dev/cloud/machine.ts";

const MARIADB = { path: "/usr/sbin/mariadbd", flavour: "mariadb", version: [10, 11, 6] } as const;
const REDIS = { path: "/usr/bin/redis-check-rdb", argv0: "redis-server" } as const;
const BOTH = { mysql: true, redis: true };

/** A machine without servers. `packages` are those of apt with their versions; installing makes both servers appear. */
function machine(options: {
  found?: Partial<FoundServers>;
  platform?: NodeJS.Platform;
  isRoot?: boolean;
  sudo?: boolean;
  apt?: Record<string, string>;
  /** Known after `apt-get update` alone. */
  aptLater?: Record<string, string>;
  brew?: boolean;
  docker?: boolean;
}) {
  const commands: string[] = [];
  let installed = false;
  let packages = options.apt;
  const fake: Machine = {
    platform: options.platform ?? "linux",
    isRoot: options.isRoot ?? true,
    findServers: () =>
      installed ? { mysql: MARIADB, redis: REDIS, tooOld: [] } : { tooOld: [], ...options.found },
    run: (command, args) => {
      const line = [command, ...args].join(" ");
      commands.push(line);
      let ok = false;
      let output = "";
      if (command === "apt-get") ok = packages !== undefined;
      else if (command === "apt-cache") {
        const version = packages?.[args.at(-1) ?? ""];
        ok = true;
        output = version === undefined ? "" : `  Installed: (none)\n  Candidate: ${version}\n`;
      } else if (command === "docker") ok = options.docker ?? false;
      else if (line === "sudo -n true") ok = options.sudo ?? false;
      else if (line.endsWith("update")) {
        packages = { ...packages, ...options.aptLater };
        ok = true;
      } else if (line.includes(" install ")) {
        installed = true;
        ok = true;
      } else if (command === "brew") ok = options.brew ?? false;
      return Promise.resolve({ ok, output });
    },
    log: () => {},
  };
  return { fake, installs: () => commands.filter((line) => line.includes("install ")), commands };
}

const APT = "env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -qq -o DPkg::Lock::Timeout=120";

describe("ensureServers", () => {
  it("uses what is there and asks for nothing else", async ({ expect }) => {
    const { fake, commands } = machine({ found: { mysql: MARIADB, redis: REDIS } });
    expect(await ensureServers(fake, BOTH)).toEqual({ mysql: MARIADB, redis: REDIS });
    expect(commands).toEqual([]);
  });

  it("looks for nothing when both servers are the user's own", async ({ expect }) => {
    const { fake, commands } = machine({});
    expect(await ensureServers(fake, { mysql: false, redis: false })).toEqual({});
    expect(commands).toEqual([]);
  });

  it.for([
    {
      system: "Debian 12",
      apt: { "mariadb-server-core": "1:10.11.11-0+deb12u1", "redis-tools": "5:7.0.15-1~deb12u4" },
      chosen: "mariadb-server-core redis-tools",
    },
    {
      system: "Debian 13",
      apt: {
        "mariadb-server-core": "1:11.8.2-1",
        "redis-tools": "5:8.0.2-3",
        "valkey-tools": "8.1.1+dfsg1-3",
      },
      chosen: "mariadb-server-core redis-tools",
    },
    {
      system: "Ubuntu 24.04",
      apt: {
        "mariadb-server-core": "1:10.11.13-0ubuntu0.24.04.1",
        "mysql-server-core-8.0": "8.0.42-0ubuntu0.24.04.1",
        "redis-tools": "5:7.0.15-1ubuntu0.24.04.1",
      },
      chosen: "mariadb-server-core redis-tools",
    },
    {
      system: "a system with MySQL and Valkey alone",
      apt: { "mysql-server-core-8.0": "8.0.42-1", "redis-tools": "5:6.0.16-1", "valkey-tools": "7.2.11" },
      chosen: "mysql-server-core-8.0 valkey-tools",
    },
  ])("installs server-only packages with apt on $system", async ({ apt, chosen }, { expect }) => {
    const { fake, installs } = machine({ apt });
    expect(await ensureServers(fake, BOTH)).toEqual({ mysql: MARIADB, redis: REDIS });
    expect(installs()).toEqual([`${APT} install -y --no-install-recommends ${chosen}`]);
  });

  it("installs only what is missing", async ({ expect }) => {
    const { fake, installs } = machine({ found: { mysql: MARIADB }, apt: { "redis-tools": "5:7.0.15-1" } });
    await ensureServers(fake, BOTH);
    expect(installs()).toEqual([`${APT} install -y --no-install-recommends redis-tools`]);
  });

  it("updates the list of packages when it is empty, as in a fresh container", async ({ expect }) => {
    const packages = { "mariadb-server-core": "1:10.11.11-0+deb12u1", "redis-tools": "5:7.0.15-1" };
    const { fake, installs, commands } = machine({ apt: {}, aptLater: packages });
    await ensureServers(fake, BOTH);
    expect(commands.filter((line) => line.endsWith("update"))).toHaveLength(1);
    expect(installs()).toEqual([`${APT} install -y --no-install-recommends mariadb-server-core redis-tools`]);
  });

  it("uses sudo where it asks for no password, and leaves apt alone where it would", async ({ expect }) => {
    const apt = { "mariadb-server-core": "1:10.11.11", "redis-tools": "5:7.0.15" };
    const able = machine({ isRoot: false, sudo: true, apt });
    await ensureServers(able.fake, BOTH);
    expect(able.installs()).toEqual([
      `sudo -n ${APT} install -y --no-install-recommends mariadb-server-core redis-tools`,
    ]);
    const unable = machine({ isRoot: false, sudo: false, apt, docker: true });
    expect(await ensureServers(unable.fake, BOTH)).toEqual({ mysql: "docker", redis: "docker" });
    expect(unable.installs()).toEqual([]);
  });

  it("installs with Homebrew", async ({ expect }) => {
    const { fake, installs } = machine({ platform: "darwin", isRoot: false, brew: true });
    expect(await ensureServers(fake, BOTH)).toEqual({ mysql: MARIADB, redis: REDIS });
    expect(installs()).toEqual(["brew install --quiet mariadb redis"]);
  });

  it("takes Docker for what is still missing", async ({ expect }) => {
    const { fake } = machine({ found: { mysql: MARIADB }, platform: "win32", docker: true });
    expect(await ensureServers(fake, BOTH)).toEqual({ mysql: MARIADB, redis: "docker" });
  });

  it("names what is missing, what is too old, and the two settings for one's own servers", async ({
    expect,
  }) => {
    const { fake } = machine({ found: { tooOld: ["/usr/bin/redis-server (6.0.16)"] } });
    await expect(ensureServers(fake, BOTH)).rejects.toThrow(
      /^There is no MariaDB or MySQL, no Redis 7 or Valkey on this machine \(too old: \/usr\/bin\/redis-server \(6\.0\.16\)\), and none could be installed\. .*LIVEFORUM_MYSQL_URL=mysql:.*LIVEFORUM_REDIS_URL=redis:/,
    );
  });
});
