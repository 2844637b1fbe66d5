/** The packed client in use: its examples, and two tabs of a browser that share a session. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, it, onTestFinished } from "vitest";
import { Chromium } from "../support/node/chromium.ts";
import { eventually, openStage, type Stage } from "../support/node/client-stage.ts";
import { type Consumer, pageConsumer, servePage } from "../support/node/consumers.ts";
import { NO_CHROMIUM } from "../support/node/find-chromium.ts";
import type { FaultProxy } from "../support/node/fault-proxy.ts";
import { type Project, projectWithClient } from "../support/node/packed-client.ts";

const EXAMPLES = fileURLToPath(new URL("../../client/examples", import.meta.url));
/** Installing a browser takes its time on a machine that has none. */
const SET_UP_WITHIN_MS = 600_000;

let stage: Stage;
let project: Project;
let chromium: Chromium | undefined;
let proxy: FaultProxy;
let url: string;

beforeAll(async () => {
  [stage, chromium, project] = await Promise.all([openStage(1), Chromium.launch(), projectWithClient()]);
  for (const name of readdirSync(EXAMPLES)) {
    if (name !== "tsconfig.json") cpSync(`${EXAMPLES}/${name}`, project.file(name));
  }
  const [site] = stage.sites;
  if (!site) throw new Error("no proxy");
  ({ proxy, url } = site);
  servePage(proxy, project);
}, SET_UP_WITHIN_MS);
afterAll(async () => {
  await chromium?.close();
  await stage?.close();
  project?.remove();
});

/** Runs an example until the test ends. */
function run(name: string, account: { credentials: { email: string; password: string } }, ...args: string[]) {
  const { email, password } = account.credentials;
  const program: ChildProcess = spawn(process.execPath, [project.file(name), ...args], {
    cwd: project.path,
    env: {
      ...process.env,
      LIVEFORUM_URL: stage.worker.url,
      LIVEFORUM_EMAIL: email,
      LIVEFORUM_PASSWORD: password,
    },
  });
  onTestFinished(() => void program.kill("SIGKILL"));
  let output = "";
  for (const stream of [program.stdout, program.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => (output += text));
  }
  const says = (text: string) =>
    eventually(
      () => `“${text}” in ${output}`,
      () => output.includes(text),
    );
  return { program, says };
}

describe("the examples", () => {
  it("show a thread as it changes, until Ctrl-C", async ({ expect }) => {
    const writer = await stage.forum();
    const post = await stage.post(writer);
    const { program, says } = run("live-thread.ts", await stage.forum(), String(post.id));
    await says(`[live] ${post.title}, by ${writer.auth.user?.username}`);
    await writer.comments.create(post.id, { content: "hello from afar" });
    await says("hello from afar");
    program.kill("SIGINT");
    expect(await once(program, "exit")).toEqual([0, null]);
  });

  it("answer mentions, each once, also when the bot is started again", async ({ expect }) => {
    const writer = await stage.forum();
    const bot = await stage.forum();
    const name = bot.auth.user?.username ?? "";
    const post = await stage.post(writer);
    const answers = async () => {
      const all = await Array.fromAsync(writer.comments.list(post.id));
      return all.filter(({ author }) => author?.username === name).map(({ content }) => content);
    };
    const first = run("mention-bot.ts", bot);
    await first.says(`${name} answers in`);
    await writer.comments.create(post.id, { content: "nobody is meant" });
    await writer.comments.create(post.id, { content: `are you there, @${name}?` });
    await first.says(`answered ${writer.auth.user?.username}`);
    first.program.kill("SIGKILL");
    await once(first.program, "exit");
    await writer.comments.create(post.id, { content: `and now, @${name}?` });
    const second = run("mention-bot.ts", bot);
    await eventually(
      () => "two answers",
      async () => (await answers()).length >= 2,
    );
    await second.says(`${name} answers in`);
    await writer.comments.create(post.id, { content: `still, @${name}?` });
    await eventually(
      () => "three answers",
      async () => (await answers()).length >= 3,
    );
    expect(await answers()).toHaveLength(3);
  });

  it("draw the daily statistics", async () => {
    const { says } = run("daily-dashboard.ts", await stage.forum(), "Asia/Seoul");
    await says("The last 30 days (Asia/Seoul)");
    await says(new Date().toISOString().slice(0, 7));
  });
});

describe("two tabs", () => {
  async function signedInTabs(chromium: Chromium): Promise<[Consumer, Consumer, string]> {
    const account = await stage.forum();
    const post = await stage.post(account);
    const first = await pageConsumer(chromium, url);
    await first.call("start", url, account.credentials, post.id);
    const second = await pageConsumer(chromium, url);
    const name = await second.call("restore", url);
    return [first, second, name ?? ""];
  }

  it("share a session that the browser keeps, and one refresh serves both", async ({ expect, skip }) => {
    if (!chromium) {
      skip(NO_CHROMIUM);
      return;
    }
    proxy.shortTokens = { seconds: 1, told: "15 minutes" };
    onTestFinished(() => {
      proxy.shortTokens = undefined;
    });
    const [first, second, name] = await signedInTabs(chromium);
    expect(name).toMatch(/^u/);
    proxy.shortTokens = undefined;
    const before = proxy.refreshes;
    // Both hold the same token. From its end on, each of the calls needs another one.
    await eventually(
      () => "the end of the token",
      async () => {
        const all = [first, second, first, second].map((tab) => tab.call("me"));
        for (const me of await Promise.all(all)) expect(me).toBe(name);
        return proxy.refreshes > before;
      },
    );
    expect(proxy.refreshes).toBe(before + 1);
    const page = await first.call("record");
    expect(page.faults).toEqual([]);
  });
});
