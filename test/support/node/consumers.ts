/**
 * Programs that use the installed client package: in Node, and in a page of headless Chromium.
 * @module
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { cpSync, readdirSync, readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { fileURLToPath } from "node:url";
import type { Command, Harness } from "../consumer/harness.ts";
import type { Chromium, Page } from "./chromium.ts";
import type { FaultProxy } from "./fault-proxy.ts";
import type { Project } from "./packed-client.ts";

const HARNESS = fileURLToPath(new URL("../consumer/harness.ts", import.meta.url));

/** A program, wherever it runs. */
export type Consumer = {
  name: string;
  call: <Method extends keyof Harness>(
    method: Method,
    ...parameters: Parameters<Harness[Method]>
  ) => Promise<Awaited<ReturnType<Harness[Method]>>>;
  /** Stops everything in it, as when a lid is closed. */
  sleep: () => Promise<void>;
  wake: () => Promise<void>;
  close: () => Promise<void>;
};

/** A program in Node, in a process of its own in the project. */
export function nodeConsumer(project: Project): Consumer {
  const script = project.file("harness.ts");
  cpSync(HARNESS, script);
  const child: ChildProcess = fork(script, {
    cwd: project.path,
    execArgv: ["--disable-warning=ExperimentalWarning"],
  });
  const waiting = new Map<number, (answer: { value?: unknown; error?: string }) => void>();
  let lastId = 0;
  child.on("message", (answer: { id: number; value?: unknown; error?: string }) => {
    waiting.get(answer.id)?.(answer);
    waiting.delete(answer.id);
  });
  return {
    name: "Node",
    async call(method, ...parameters) {
      lastId += 1;
      const id = lastId;
      const answered = new Promise<{ value?: unknown; error?: string }>((resolve) =>
        waiting.set(id, resolve),
      );
      child.send({ id, method, parameters } satisfies Command);
      const { value, error } = await answered;
      if (error !== undefined) throw new Error(error);
      // A trusted cast: the harness has these types.
      return value as never;
    },
    sleep: () => Promise.resolve(void child.kill("SIGSTOP")),
    wake: () => Promise.resolve(void child.kill("SIGCONT")),
    async close() {
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
    },
  };
}

/** Lets the proxy serve a page that runs the harness with the installed package. */
export function servePage(proxy: FaultProxy, project: Project): void {
  const type = "text/javascript";
  const dist = project.file("node_modules/@liveforum/client/dist");
  for (const name of readdirSync(dist, { recursive: true, encoding: "utf8" })) {
    if (name.endsWith(".js"))
      proxy.files.set(`/client/${name}`, { type, body: readFileSync(`${dist}/${name}`) });
  }
  proxy.files.set("/harness.js", { type, body: stripTypeScriptTypes(readFileSync(HARNESS, "utf8")) });
  const imports = JSON.stringify({ imports: { "@liveforum/client": "/client/client.js" } });
  const body = `<!doctype html><title>Harness</title><script type="importmap">${imports}</script><script type="module" src="/harness.js"></script>`;
  proxy.files.set("/", { type: "text/html", body });
}

/** A program in a tab. */
export async function pageConsumer(chromium: Chromium, url: string): Promise<Consumer & { page: Page }> {
  const page = await chromium.open(`${url}/`, "globalThis.harness !== undefined");
  return {
    name: "Chromium",
    page,
    call: (method, ...parameters) =>
      page.evaluate(`harness.${method}(${parameters.map((value) => JSON.stringify(value)).join(", ")})`),
    sleep: page.freeze,
    wake: page.thaw,
    close: () => Promise.resolve(),
  };
}
