/** The gate of `npm run check` over the published documents, and the command itself. */
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { describe, it } from "vitest";
import { type Documents, type Json, textOf } from "../../dev/api/documents.ts";
import { gateProblems, releaseProblems, type Texts, versionOf } from "../../dev/api/gate.ts";
import { copyCheckout } from "./checkout.ts";

const openapi = (version: string, paths: Json = { "/a": {}, "/b": {} }): Json => ({
  info: { version },
  paths,
  components: { schemas: {} },
});
const asyncapi = (version: string): Json => ({
  info: { version },
  channels: {},
  operations: {},
  components: { schemas: {}, messages: {} },
});
const documents = (version: string, paths?: Json): Documents => ({
  openapi: openapi(version, paths),
  asyncapi: asyncapi(version),
});
const texts = ({ openapi, asyncapi }: Documents): Texts => ({
  openapi: textOf(openapi),
  asyncapi: textOf(asyncapi),
});
const NONE: Texts = { openapi: undefined, asyncapi: undefined };

describe("the gate", () => {
  it("lets through what is kept and breaks nothing", ({ expect }) => {
    const same = documents("1.2.3");
    expect(gateProblems(same, texts(same), texts(same))).toEqual([]);
    const more = documents("1.2.3", { "/a": {}, "/b": {}, "/c": {} });
    expect(gateProblems(more, texts(more), texts(same))).toEqual([]);
    expect(gateProblems(same, texts(same), NONE)).toEqual([]);
  });

  it("wants documents that the code no longer makes to be written anew", ({ expect }) => {
    const kept = documents("1.2.3", { "/a": {} });
    expect(gateProblems(documents("1.2.3"), texts(kept), NONE)).toEqual([
      expect.stringMatching(/^api\/openapi\.json .*npm run api/),
    ]);
    expect(gateProblems(kept, NONE, NONE)).toHaveLength(2);
  });

  it.for([
    ["1.2.3", "1.2.3", false],
    ["1.2.3", "1.2.4", false],
    ["1.2.3", "1.3.0", false],
    ["1.2.3", "2.0.0", true],
    ["0.2.3", "0.2.4", false],
    ["0.2.3", "0.3.0", true],
    ["0.2.3", "1.0.0", true],
    ["9.0.0", "10.0.0", true],
  ] as const)(
    "asks what breaks clients for a version that says so: %s to %s",
    ([from, to, may], { expect }) => {
      const broken = documents(to, { "/a": {} });
      const problems = gateProblems(broken, texts(broken), texts(documents(from)));
      if (may) expect(problems).toEqual([]);
      else expect(problems).toEqual([expect.stringContaining("API_VERSION"), "  /b: removed"]);
    },
  );

  it("does not go back behind a release", ({ expect }) => {
    const older = documents("1.2.3");
    const problems = gateProblems(older, texts(older), texts(documents("1.10.0")));
    expect(problems).toEqual(
      ["openapi", "asyncapi"].map((name) => `${name}: 1.2.3 comes before 1.10.0, which was released`),
    );
  });

  it("releases another document under another version alone", ({ expect }) => {
    const released = documents("1.2.3");
    expect(releaseProblems(released, texts(released), texts(released))).toEqual([]);
    const more = documents("1.2.3", { "/a": {}, "/b": {}, "/c": {} });
    expect(releaseProblems(more, texts(more), texts(released))).toEqual([
      expect.stringMatching(/^openapi: .*raise API_VERSION/),
    ]);
    const next = documents("1.3.0", { "/a": {}, "/b": {}, "/c": {} });
    expect(releaseProblems(next, texts(next), texts(released))).toEqual([]);
    expect(releaseProblems(next, texts(next), NONE)).toEqual([]);
  });

  it("knows versions of three parts alone", ({ expect }) => {
    expect(versionOf(openapi("1.20.300"))).toEqual([1, 20, 300]);
    expect(() => versionOf(openapi("1.2"))).toThrow("not of the form 1.2.3");
  });
});

describe("npm run api", () => {
  it("fails the check for a stale document and for a break, and says what", ({ expect }) => {
    const checkout = copyCheckout();
    const run = (...flags: string[]) => {
      const { status, stderr } = spawnSync(process.execPath, [checkout.file("dev/api.ts"), ...flags], {
        encoding: "utf8",
      });
      return { status, stderr };
    };
    const edit = (file: string, from: string, to: string) => {
      const text = readFileSync(checkout.file(file), "utf8");
      expect(text).toContain(from);
      writeFileSync(checkout.file(file), text.replace(from, to));
    };
    rmSync(checkout.file("api/released"), { recursive: true });
    expect(run("--release")).toEqual({ status: 0, stderr: "" });
    expect(run("--check")).toEqual({ status: 0, stderr: "" });

    edit("src/comments/schema.ts", "likeCount: z.int(),", "likeCount: z.int().nullable(),");
    expect(run("--check")).toMatchObject({ status: 1, stderr: expect.stringContaining("run `npm run api`") });
    expect(run()).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("\n  Comment (response).likeCount: may be null now\n"),
    });
    expect(run("--check").stderr).not.toContain("run `npm run api`");
    expect(run("--release").status).toBe(1);

    edit("src/docs/document.ts", 'API_VERSION = "1.', 'API_VERSION = "2.');
    expect(run()).toEqual({ status: 0, stderr: "" });
    expect(run("--check")).toEqual({ status: 0, stderr: "" });
  });
});
