/** What SECURITY.md says of dependencies and of tests is so. */
import { existsSync, readFileSync } from "node:fs";
import { describe, it } from "vitest";

type Package = {
  version?: string;
  resolved?: string;
  integrity?: string;
  hasInstallScript?: true;
  dev?: true;
  devOptional?: true;
  license?: string;
};

const read = (file: string) => readFileSync(file, "utf8");
const manifest = JSON.parse(read("package.json")) as {
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  allowScripts: Record<string, boolean>;
};
const { packages } = JSON.parse(read("package-lock.json")) as { packages: Record<string, Package> };
const installed = Object.entries(packages)
  .filter(([path]) => path !== "")
  .map(([path, each]) => ({ ...each, name: path.slice(path.lastIndexOf("node_modules/") + 13), path }));
const security = read("SECURITY.md");

describe("dependencies", () => {
  it("are named by exact versions", ({ expect }) => {
    for (const [name, version] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })) {
      expect(version, name).toMatch(/^\d+\.\d+\.\d+(-[\w.]+)?$/);
    }
  });

  it("come from the registry, each with its hash", ({ expect }) => {
    for (const { path, resolved, integrity } of installed) {
      expect(resolved ?? "https://registry.npmjs.org/", path).toMatch(/^https:\/\/registry\.npmjs\.org\//);
      expect(integrity, path).toMatch(/^sha512-/);
    }
  });

  it("that run a program at installation are in SECURITY.md's table, allowed or denied as it says", ({
    expect,
  }) => {
    const [, table = ""] = /\| Package \| Why \| Allowed \|\n([\s\S]*?)\n\n/.exec(security) ?? [];
    const documented = table.split("\n").flatMap((row) => {
      const [, name, version, allowed] =
        /^\| `([^`]+)`(?: ([\d.]+))? \|.*\| (yes|\*\*denied\*\*) \|$/.exec(row) ?? [];
      return name === undefined ? [] : [{ name, version, allowed: allowed === "yes" }];
    });
    const running = installed.filter(({ hasInstallScript }) => hasInstallScript);
    expect(documented).toHaveLength(running.length);
    for (const { name, version, dev } of running) {
      const entry = documented.find((each) => each.name === name && (each.version ?? version) === version);
      expect(entry?.allowed, `${name} ${version}`).toBe(manifest.allowScripts[name]);
      expect(dev, `${name} is part of what is deployed`).toBe(true);
    }
  });

  it("of the Worker are as many as SECURITY.md says, under the licences that it names", ({ expect }) => {
    const deployed = installed.filter(({ dev, devOptional }) => !dev && !devOptional);
    const [, all, named] = /made of (\d+) packages \((\d+) named/.exec(security) ?? [];
    expect([deployed.length, Object.keys(manifest.dependencies).length]).toEqual([
      Number(all),
      Number(named),
    ]);
    for (const { name, license } of deployed) {
      expect(["MIT", "Apache-2.0", "BSD-3-Clause", "ISC"], name).toContain(license);
    }
  });
});

describe("SECURITY.md", () => {
  const promises = security.split("\n").filter((line) => line.startsWith("| ") && line.includes("`test/"));

  it("names tests that exist", ({ expect }) => {
    expect(promises.length).toBeGreaterThan(10);
    for (const [, file = ""] of security.matchAll(/`(test\/[^`]+)`/g))
      expect(existsSync(file), file).toBe(true);
  });

  it("has a test for every promise", ({ expect }) => {
    const [, table = ""] =
      /\| Promise \| Tested by \|\n\| --- \| --- \|\n([\s\S]*?)\n\n/.exec(security) ?? [];
    expect(table.split("\n")).toEqual(promises);
  });
});
