import { describe, it } from "vitest";
import type { Machine } from "../../dev/cloud/machine.ts";
import { ensureChromium } from "../support/node/find-chromium.ts";

/** A machine whose browser appears once it is installed. */
function machine(apt: { version: string; installs?: boolean } | undefined) {
  const installs: string[] = [];
  const fake: Machine = {
    platform: "linux",
    isRoot: true,
    findServers: () => ({ tooOld: [] }),
    run: (command, args) => {
      const line = [command, ...args].join(" ");
      if (line.includes(" install ")) installs.push(line);
      const output = command === "apt-cache" && apt ? `  Candidate: ${apt.version}\n` : "";
      const fails = line.includes(" install ") && apt?.installs === false;
      return Promise.resolve({ ok: apt !== undefined && !fails, output });
    },
    log: () => undefined,
  };
  const installed = () => installs.length > 0 && apt?.installs !== false;
  return { fake, installs, find: () => (installed() ? "/usr/bin/chromium" : undefined) };
}

describe("ensureChromium", () => {
  it("uses the browser that is there", async ({ expect }) => {
    const { fake, installs } = machine({ version: "156.0" });
    expect(await ensureChromium(fake, () => "/opt/chrome")).toBe("/opt/chrome");
    expect(installs).toEqual([]);
  });

  it("installs it with apt where there is none", async ({ expect }) => {
    const { fake, installs, find } = machine({ version: "156.0.8078.108-1~deb12u1" });
    expect(await ensureChromium(fake, find)).toBe("/usr/bin/chromium");
    expect(installs).toHaveLength(1);
    expect(installs[0]).toMatch(/install -y --no-install-recommends chromium$/);
  });

  it.for([undefined, { version: "2:1snap1-0ubuntu2" }])(
    "has none where there is no apt, or only the stub of a snap",
    async (apt, { expect }) => {
      const { fake, find, installs } = machine(apt);
      expect(await ensureChromium(fake, find)).toBe(undefined);
      expect(installs).toEqual([]);
    },
  );

  it("fails with one line where installing fails", async ({ expect }) => {
    const { fake, find } = machine({ version: "156.0", installs: false });
    await expect(ensureChromium(fake, find)).rejects.toThrow(
      /^Chromium could not be installed with apt\. .*LIVEFORUM_CHROMIUM=/,
    );
  });
});
