/** `npm run dlq` against the suite's QStash. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, inject, it } from "vitest";
import { connect, destination, until } from "./gateways/qstash-support.ts";

const { settings } = inject("cloud");
const { QSTASH_URL = "", QSTASH_TOKEN = "" } = settings;
const qstash = connect();

type Outcome = { code: number; stdout: string; stderr: string };

async function dlq(
  args: string[],
  env: Record<string, string> = { QSTASH_URL, QSTASH_TOKEN },
): Promise<Outcome> {
  try {
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      ["--disable-warning=ExperimentalWarning", "dev/dlq.ts", ...args],
      { env: { ...process.env, QSTASH_URL: "", QSTASH_TOKEN: "", ...env } },
    );
    return { code: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as Outcome;
    return { code, stdout, stderr };
  }
}

/** Waits until so many messages for the address have been given up. @returns their ids, newest first */
async function givenUp(url: string, count: number): Promise<string[]> {
  return until(`${count} messages to be given up`, async () => {
    const { messages } = await qstash.dlq.listMessages({ filter: { url } });
    return messages.length === count ? messages.map(({ dlqId }) => dlqId) : undefined;
  });
}

const job = { job: "sync-notification", payload: { source: "like", id: 7 } };

describe("npm run dlq", () => {
  it("lists what was given up, shows it and sends it again", async ({ expect }) => {
    const target = destination("dlq");
    await target.answers({ status: 500, body: "no" });
    for (const id of [1, 2, 3]) {
      await qstash.publishJSON({
        url: target.url,
        body: { ...job, payload: { source: "like", id } },
        retries: 0,
      });
    }
    const [newest = "", ...older] = await givenUp(target.url, 3);

    const listed = await dlq(["--url", target.url]);
    expect(listed.code).toBe(0);
    for (const id of [newest, ...older]) expect(listed.stdout).toContain(id);
    expect(listed.stdout).toContain("500 no");
    expect(listed.stdout).toMatch(/3 jobs given up on .*\(the environment\)/);

    const shown = await dlq(["--show", newest]);
    expect(JSON.parse(shown.stdout)).toMatchObject({ dlqId: newest, url: target.url, responseStatus: 500 });

    await target.answers({ status: 204 });
    expect((await dlq(["--retry", newest])).stdout).toMatch(/^Sent again as msg_/);
    await target.received(4);
    expect(await givenUp(target.url, 2)).toEqual(older);

    expect((await dlq(["--retry-all", "--url", target.url])).stdout).toBe("2 jobs sent again.\n");
    await target.received(6);
    expect(await givenUp(target.url, 0)).toEqual([]);
  });

  it("forgets one", async ({ expect }) => {
    const target = destination("dlq");
    await target.answers({ status: 489 });
    await qstash.publishJSON({ url: target.url, body: job, retries: 0 });
    const [id = ""] = await givenUp(target.url, 1);
    expect(await dlq(["--delete", id])).toMatchObject({ code: 0, stdout: `${id} is forgotten.\n` });
    expect((await dlq(["--url", target.url])).stdout).toMatch(/^0 jobs given up/);
  });

  it.for([
    ["an id that there is not", ["--retry", "1700000000000-999999"], "There is no 1700000000000-999999"],
    ["nothing to show", ["--show", "1700000000000-999999"], "There is no 1700000000000-999999"],
    ["two orders at once", ["--retry-all", "--delete", "1"], "One thing at a time"],
    ["a flag that there is not", ["--everything"], "Unknown option '--everything'"],
  ] as const)("says in one line what is wrong with %s", async ([, args, problem], { expect }) => {
    const { code, stderr } = await dlq([...args]);
    expect(code).toBe(1);
    expect(stderr).toContain(problem);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });

  it("says in one line that QStash cannot be used", async ({ expect }) => {
    for (const [env, problem] of [
      [{ QSTASH_URL: "http://127.0.0.1:1", QSTASH_TOKEN }, "cannot be reached"],
      [{ QSTASH_URL, QSTASH_TOKEN: "wrong" }, "Correct QSTASH_TOKEN"],
      [{ QSTASH_URL }, "no QSTASH_TOKEN"],
      [{ QSTASH_URL: "qstash", QSTASH_TOKEN }, "is not an address"],
    ] as [Record<string, string>, string][]) {
      const { code, stderr } = await dlq([], env);
      expect([code, stderr]).toEqual([1, expect.stringContaining(problem)]);
      expect(stderr.trim().split("\n")).toHaveLength(1);
    }
  });
});
