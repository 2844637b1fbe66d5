import { readFileSync } from "node:fs";
import { parseEnv } from "node:util";
import { describe, it } from "vitest";
import { readConfig } from "../../src/env.ts";

const settings = [...readFileSync("src/env.ts", "utf8").matchAll(/^ {2}([A-Z][A-Z0-9_]+):/gm)].map(
  ([, name]) => name,
);

describe("the settings", () => {
  it("are all in README's table, and no others", ({ expect }) => {
    const readme = readFileSync("README.md", "utf8");
    const [, table = ""] =
      /\| Name \| Meaning \| Default \| Comes from \|\n([\s\S]*?)\n\n/.exec(readme) ?? [];
    const documented = [...table.matchAll(/^\| `([A-Z_]+)`/gm)].map(([, name]) => name);
    expect(documented.toSorted()).toEqual(settings.toSorted());
  });

  it("are all in .dev.vars.example, with values that the Worker accepts", ({ expect }) => {
    const example = parseEnv(readFileSync(".dev.vars.example", "utf8"));
    expect(Object.keys(example).toSorted()).toEqual(settings.toSorted());
    expect(readConfig({ ...example })).toMatchObject({ ok: true });
  });
});
