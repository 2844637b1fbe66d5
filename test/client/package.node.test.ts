/** The client package as its users get it. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, it } from "vitest";
import { type AsyncApi, frameTypes } from "../../dev/client-types/frame-types.ts";
import { type OpenApi, restTypes } from "../../dev/client-types/rest-types.ts";
import { type Project, projectWithClient } from "../support/node/packed-client.ts";

const CONSUMER = `
import { LiveForum, ProblemError, type ThreadView } from "@liveforum/client";

const forum = new LiveForum({ url: "https://forum.example.org" });

export async function titles(): Promise<string[]> {
  const found: string[] = [];
  for await (const { title, excerpt } of forum.posts.list({ boardId: 1 })) found.push(title + excerpt);
  return found;
}

export async function follow(id: number, show: (view: ThreadView) => void): Promise<void> {
  try {
    for await (const view of forum.thread(id)) show(view);
  } catch (error) {
    if (error instanceof ProblemError && error.code === "rate_limited") throw new Error("later");
    throw error;
  }
}

forum.room("post:1").addEventListener("comment_added", ({ frame }) => frame.data.content?.length);
export const page = forum.request("GET /api/posts/{id}/comments", { path: { id: 1 }, query: { limit: 5 } });
`;

const SETTINGS = {
  compilerOptions: {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noEmit: true,
    target: "es2023",
    module: "nodenext",
    lib: ["esnext", "dom"],
    types: [],
  },
  files: ["consumer.ts"],
};

function asConsumer(project: Project): Project {
  writeFileSync(project.file("consumer.ts"), CONSUMER);
  writeFileSync(project.file("tsconfig.json"), JSON.stringify(SETTINGS));
  return project;
}

const read = (name: string) => readFileSync(new URL(`../../api/${name}.json`, import.meta.url), "utf8");

let project: Project;

beforeAll(async () => {
  project = asConsumer(await projectWithClient());
});
afterAll(() => project.remove());

describe("the package", () => {
  it("has no dependency, and imports nothing but its own files", ({ expect }) => {
    const installed = readdirSync(project.file("node_modules")).filter((name) => !name.startsWith("."));
    expect(installed).toEqual(["@liveforum"]);
    const dist = project.file("node_modules/@liveforum/client/dist");
    for (const name of readdirSync(dist, { recursive: true, encoding: "utf8" })) {
      if (!name.endsWith(".js")) continue;
      const text = readFileSync(`${dist}/${name}`, "utf8");
      for (const [, from = ""] of text.matchAll(/(?:\bfrom|^import) "([^"]+)";$/gm)) {
        expect(from, name).toMatch(/^\.\.?\/.*\.js$/);
      }
    }
  });

  it("says what it is: licence and description of its use", ({ expect }) => {
    const files = readdirSync(project.file("node_modules/@liveforum/client")).sort();
    expect(files).toEqual(["LICENSE", "README.md", "dist", "package.json"]);
  });

  it("loads in Node", ({ expect }) => {
    const program = `import * as it from "@liveforum/client"; console.log(Object.keys(it).sort().join());`;
    const out = execFileSync(process.execPath, ["--input-type=module", "-e", program], {
      cwd: project.path,
      encoding: "utf8",
    });
    expect(out.trim()).toBe(
      "EndEvent,LiveForum,LiveForumError,ProblemError,Room,RoomClosedError,RoomFrameEvent,SessionEndedError,StateEvent,Thread,UnreachableError,ViewEvent",
    );
  });
});

describe("a project that uses it", () => {
  it("type-checks, the package's own declarations included", async ({ expect }) => {
    const startedAt = performance.now();
    expect(await project.typeCheck()).toBe("");
    console.log(`a consumer project type-checks in ${((performance.now() - startedAt) / 1000).toFixed(2)} s`);
  });

  it("no longer does when the server has another field", async ({ expect }) => {
    const openapi = JSON.parse(read("openapi").replaceAll('"excerpt"', '"summary"')) as OpenApi;
    const { components } = JSON.parse(read("asyncapi")) as AsyncApi;
    const generated = { "rest.ts": restTypes(openapi, Object.keys(components.schemas)) };
    const changed = asConsumer(await projectWithClient(generated));
    try {
      expect(await changed.typeCheck()).toMatch(
        /consumer\.ts.*error TS2339: Property 'excerpt' does not exist/,
      );
    } finally {
      changed.remove();
    }
  });

  it("no longer does when a frame has another field", async ({ expect }) => {
    const asyncapi = JSON.parse(read("asyncapi")) as AsyncApi;
    const comment = asyncapi.components.schemas["RoomComment"];
    if (!comment?.properties?.["content"]) throw new Error("the document has no such field");
    comment.properties["content"] = { type: "integer" };
    const generated = { "frames.ts": frameTypes(asyncapi) };
    // The package itself does not build with it: a thread's comments are those of REST.
    await expect(projectWithClient(generated)).rejects.toThrow("npm pack");
  });
});
