/** The packed client in a Worker: in workerd, on its own sockets and timers. */
import { readdirSync, readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { Miniflare } from "miniflare";
import { afterAll, beforeAll, describe, it } from "vitest";
import type { Done, Task } from "../support/consumer/worker.ts";
import { eventually, openStage, type Stage } from "../support/node/client-stage.ts";
import { type Project, projectWithClient } from "../support/node/packed-client.ts";

const WORKER = new URL("../support/consumer/worker.ts", import.meta.url);
const COMPATIBILITY_DATE = "2026-10-01";

let stage: Stage;
let project: Project;
let runtime: Miniflare;

/** The program and the installed package, as a bundler that joins nothing would give them. */
function modulesOf(project: Project): Record<string, { type: "esm"; contents: string }> {
  const dist = project.file("node_modules/@liveforum/client/dist");
  const files = readdirSync(dist, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".js"),
  );
  const contents: Record<string, string> = {
    "worker.js": stripTypeScriptTypes(readFileSync(WORKER, "utf8")),
    "@liveforum/client": `export * from "./dist/client.js";`,
  };
  for (const name of files) contents[`@liveforum/dist/${name}`] = readFileSync(`${dist}/${name}`, "utf8");
  return Object.fromEntries(
    Object.entries(contents).map(([name, text]) => [name, { type: "esm", contents: text }]),
  );
}

beforeAll(async () => {
  [stage, project] = await Promise.all([openStage(1), projectWithClient()]);
  runtime = new Miniflare({
    workers: [
      {
        config: {
          name: "consumer",
          compatibilityDate: COMPATIBILITY_DATE,
          manifest: { mainModule: "worker.js", modulesRoot: "/", modules: modulesOf(project) },
        },
      },
    ],
  });
  await runtime.ready;
});
afterAll(async () => {
  await runtime?.dispose();
  await stage?.close();
  project?.remove();
});

describe("a Worker with the package", () => {
  it("signs in, follows a thread over a socket, writes, and misses nothing when it is cut off", async ({
    expect,
  }) => {
    const [site] = stage.sites;
    if (!site) throw new Error("no proxy");
    const [author, reader] = [await stage.forum(), await stage.forum()];
    const post = await stage.post(author);
    const task: Task = {
      url: site.url,
      credentials: reader.credentials,
      postId: post.id,
      first: "from a Worker",
      last: "the last",
    };
    const answered = runtime.dispatchFetch("http://worker/", { method: "POST", body: JSON.stringify(task) });
    await eventually(
      () => "the Worker's comment",
      async () => (await author.comments.list(post.id).page()).items.length === 1,
    );
    site.proxy.refuse();
    await author.comments.create(post.id, { content: "while it was away" });
    site.proxy.heal();
    await author.comments.create(post.id, { content: task.last });
    const done = (await (await answered).json()) as Done;
    expect(done.contents).toEqual([task.first, "while it was away", task.last]);
    expect(done.transport).toBe("websocket");
    expect(done.states.join(" ")).toMatch(/^catching-up live offline .*live$/);
  });
});
