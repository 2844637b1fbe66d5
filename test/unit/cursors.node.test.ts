/** What a made-up cursor costs. In Node, because a thread there can be stopped when it does not come back. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { describe, it } from "vitest";

const MODULE = new URL("../../src/common/pagination.ts", import.meta.url).href;
/** Many times what a refusal takes: a thread that is at it for so long will not come back. */
const PATIENCE_MS = 10_000;

/** Decodes the cursor in a thread of its own. @returns the code of the refusal, or `stuck` */
async function refusalOf(cursor: string): Promise<unknown> {
  const worker = new Worker(
    `const { parentPort, workerData } = require("node:worker_threads");
     import(workerData.module)
       .then(({ createCursorCodec }) => createCursorCodec(["secret"]).decode("posts", workerData.cursor))
       .then(() => "taken", (error) => error.kind ?? String(error))
       .then((outcome) => parentPort.postMessage(outcome));`,
    { eval: true, workerData: { module: MODULE, cursor }, execArgv: ["--no-warnings"] },
  );
  const patience = AbortSignal.timeout(PATIENCE_MS);
  try {
    const [outcome] = (await once(worker, "message", { signal: patience })) as unknown[];
    return outcome;
  } catch (error) {
    if (patience.aborted) return "stuck";
    throw error;
  } finally {
    await worker.terminate();
  }
}

describe("a cursor that nobody issued is refused without ado when it is", () => {
  it.for([
    { name: "200 digits", cursor: "1".repeat(200) },
    { name: "200 digits with a dot at the end", cursor: `${"1".repeat(199)}.` },
    { name: "100 short keys", cursor: "1~".repeat(100) },
    { name: "signs and digits", cursor: "-1".repeat(100) },
    { name: "a key of 100 digits", cursor: `${"9".repeat(100)}.${"A".repeat(16)}` },
  ])("$name", async ({ cursor }, { expect }) => {
    expect(await refusalOf(cursor)).toBe("invalid_cursor");
  });
});
