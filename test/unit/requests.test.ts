/** What frames a request: work behind the answer, the meter, what may be logged of an error. */
import { describe, it, vi } from "vitest";
import { createBackgroundQueue } from "../../src/common/background.ts";
import { createLogger, describeError } from "../../src/common/logger.ts";
import { createMeter, serverTiming } from "../../src/common/meter.ts";

describe("the background queue", () => {
  function queueOf() {
    const promises: Promise<unknown>[] = [];
    const log = createLogger();
    const error = vi.spyOn(log, "error").mockImplementation(() => undefined);
    const queue = createBackgroundQueue((promise) => promises.push(promise), log);
    return { ...queue, error, settled: () => Promise.all(promises) };
  }

  it("holds work back until the response is made, and runs what comes later at once", async ({ expect }) => {
    const { background, start, settled } = queueOf();
    const done: string[] = [];
    background("first", async () => done.push("first"));
    await Promise.resolve();
    expect(done).toEqual([]);
    start();
    background("second", async () => done.push("second"));
    await settled();
    expect(done).toEqual(["first", "second"]);
  });

  it("logs work that fails, thrown or rejected, under its label and goes on", async ({ expect }) => {
    const { background, start, settled, error } = queueOf();
    const failure = new Error("failed");
    background("rejects", () => Promise.reject(failure));
    background("throws", () => {
      throw failure;
    });
    start();
    await settled();
    const labels = error.mock.calls.map(([, , fields]) => String(fields?.["label"]));
    expect(labels.sort()).toEqual(["rejects", "throws"]);
  });

  it("runs each piece of work once, however often it is started", async ({ expect }) => {
    const { background, start, settled } = queueOf();
    const work = vi.fn<() => Promise<void>>(() => Promise.resolve());
    background("once", work);
    start();
    start();
    await settled();
    expect(work).toHaveBeenCalledOnce();
  });
});

describe("the meter", () => {
  it("counts calls and adds their times, of failed ones too", async ({ expect }) => {
    let now = 0;
    const meter = createMeter(() => now);
    const call = async (ms: number) => {
      now += ms;
    };
    await meter.measure("db", () => call(4));
    await meter.measure("db", () => call(2.25));
    await meter.measure("redis", () => Promise.reject(new Error("away"))).catch(() => undefined);
    expect(serverTiming(meter)).toBe('db;dur=6.3;desc="2", redis;dur=0.0;desc="1"');
  });

  it("says nothing of what was not used", ({ expect }) => {
    expect(serverTiming(createMeter())).toBe("");
  });
});

describe("describeError", () => {
  it("keeps name, message, code and causes, and no stack", ({ expect }) => {
    const cause = Object.assign(new TypeError("inner"), { code: "E1" });
    expect(describeError(new Error("outer", { cause }))).toEqual({
      name: "Error",
      message: "outer",
      cause: { name: "TypeError", message: "inner", code: "E1" },
    });
    expect(describeError("text")).toEqual({ message: "text" });
  });

  it.for([
    { message: "Failed query: insert into users values (?)\nparams: mina@example.com", kept: "Failed query" },
    {
      message:
        "target: db: rpc error: Duplicate entry 'mina@example.com' for key 'users_email' (errno 1062) (sqlstate 23000): Sql: \"insert 'mina@example.com'\", BindVars: {}",
      kept: "(errno 1062)",
    },
    { message: "Duplicate entry 'a\nmina@example.com' for key 'k'", kept: "for key" },
  ])("keeps what users wrote out of it: $kept", ({ message, kept }, { expect }) => {
    const described = JSON.stringify(describeError(new Error(message)));
    expect(described).toContain(kept);
    expect(described).not.toContain("mina@example.com");
  });

  it("ends somewhere, for long messages and endless causes", ({ expect }) => {
    const error = new Error("x".repeat(10_000));
    error.cause = error;
    expect(JSON.stringify(describeError(error)).length).toBeLessThan(4_000);
  });
});
