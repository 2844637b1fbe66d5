import { describe, it } from "vitest";
import type { AttemptResult } from "../../dev/gateways/qstash/attempt.ts";
import { parseDurationMs, parseRetryAfterMs } from "../../dev/gateways/qstash/durations.ts";
import { compileRetryDelay } from "../../dev/gateways/qstash/expression.ts";
import { canonicalName } from "../../dev/gateways/qstash/headers.ts";
import { parseMessage } from "../../dev/gateways/qstash/options.ts";
import { retryDelayMs } from "../../dev/gateways/qstash/settlement.ts";

const NOW = Date.UTC(2026, 10, 22, 6, 0, 0);

describe("Upstash-Retry-Delay", () => {
  const good: [expression: string, values: [number, number, number]][] = [
    ["1000", [1000, 1000, 1000]],
    ["1000 * (1 + retried)", [1000, 2000, 3000]],
    ["pow(2, retried) * 1000", [1000, 2000, 4000]],
    ["max(1000, pow(2, retried) * 100)", [1000, 1000, 1000]],
    ["min(5, retried) - -2 * 3", [6, 7, 8]],
    ["10 - 4 - 3", [3, 3, 3]],
    ["100 / 4 / 5 % 3", [2, 2, 2]],
    ["-retried + +1", [1, 0, -1]],
    ["floor(1.9) + ceil(.1) + round(2.5) + abs(-1) + sqrt(16) + exp(0)", [11, 11, 11]],
    [" 1e3+2.5E1 ", [1025, 1025, 1025]],
  ];
  for (const [expression, values] of good) {
    it(`computes ${expression}`, ({ expect }) => {
      const evaluate = compileRetryDelay(expression);
      expect([0, 1, 2].map((retried) => evaluate(retried))).toEqual(values);
    });
  }

  const bad = [
    "",
    " ",
    "1 +",
    "(1",
    "1)",
    "1 2",
    "pow(1)",
    "min(1, 2, 3)",
    "retried()",
    "x",
    "constructor(1)",
    "1; 2",
  ];
  for (const expression of [...bad, "process.exit()", "2 ** 3", "'a'", "1e", "9".repeat(501)]) {
    it(`refuses ${JSON.stringify(expression.slice(0, 20))}`, ({ expect }) => {
      expect(() => compileRetryDelay(expression)).toThrow(SyntaxError);
    });
  }
});

describe("durations", () => {
  it("add up their parts", ({ expect }) => {
    expect(parseDurationMs("1d10h30m")).toBe(124_200_000);
    expect(parseDurationMs("1.5s")).toBe(1500);
    expect(parseDurationMs("250ms")).toBe(250);
    expect(parseDurationMs("0")).toBe(0);
  });

  it("need units", ({ expect }) => {
    for (const text of ["", "10", "-1s", "1s 2", "s", "1x", "1ss"])
      expect(parseDurationMs(text), text).toBeUndefined();
  });

  it("of Retry-After are seconds, durations or a date", ({ expect }) => {
    expect(parseRetryAfterMs("10", NOW)).toBe(10_000);
    expect(parseRetryAfterMs("6m5s", NOW)).toBe(365_000);
    expect(parseRetryAfterMs("Sun, 22 Nov 2026 06:01:00 GMT", NOW)).toBe(60_000);
    expect(parseRetryAfterMs("Sun, 22 Nov 2026 05:00:00 GMT", NOW)).toBe(0);
    for (const text of ["soon", "-5", "June"]) expect(parseRetryAfterMs(text, NOW), text).toBeUndefined();
  });
});

describe("the wait before a retry", () => {
  const failed = (header: AttemptResult["header"] = {}): AttemptResult => ({
    status: 500,
    header,
    body: Buffer.alloc(0),
    error: null,
  });
  const wait = (retried: number, options: object, header?: AttemptResult["header"]) =>
    retryDelayMs({ retried, options: JSON.stringify(options) }, failed(header), NOW);

  it("is e^(2.5 n) seconds, at most a day", ({ expect }) => {
    const seconds = [0, 1, 2, 3, 4, 5].map((retried) => Math.floor(wait(retried, {}) / 1000));
    // 12 s, 2m28s, 30m8s, 6h7m6s, then a day.
    expect(seconds).toEqual([12, 148, 1808, 22_026, 86_400, 86_400]);
  });

  it("is what the message's expression gives, from nothing to a day", ({ expect }) => {
    expect(wait(2, { retryDelay: "1000 * retried" })).toBe(2000);
    expect(wait(0, { retryDelay: "-5" })).toBe(0);
    expect(wait(0, { retryDelay: "1 / 0" })).toBe(86_400_000);
    expect(wait(0, { retryDelay: "sqrt(-1)" })).toBe(86_400_000);
  });

  it("is what the answer asks for, unless that is more than a day", ({ expect }) => {
    expect(wait(0, { retryDelay: "1" }, { "Retry-After": ["7"] })).toBe(7000);
    expect(wait(0, { retryDelay: "1" }, { "X-Ratelimit-Reset-Tokens": ["6m5s"] })).toBe(365_000);
    expect(wait(0, { retryDelay: "1" }, { "Retry-After": ["86401"] })).toBe(1);
    expect(wait(0, { retryDelay: "1" }, { "Retry-After": ["soon"], "X-Ratelimit-Reset": ["2"] })).toBe(2000);
  });
});

describe("the options of a message", () => {
  it("keep callback settings apart from the message's own", ({ expect }) => {
    const { options, header } = parseMessage({
      "content-type": "text/plain",
      "upstash-retries": "1",
      "upstash-callback": "https://a.example/c",
      "upstash-callback-retries": "2",
      "upstash-failure-callback": "https://a.example/f",
      "upstash-failure-callback-retries": "3",
      "upstash-failure-callback-forward-x-a": "b",
      "upstash-telemetry-sdk": "ignored",
      authorization: "Bearer never stored",
    });
    expect(header).toEqual({ "Content-Type": ["text/plain"] });
    expect(options).toEqual({
      retries: 1,
      callback: "https://a.example/c",
      callbackOptions: { options: { retries: 2 }, header: {} },
      failureCallback: "https://a.example/f",
      failureCallbackOptions: { options: { retries: 3 }, header: { "X-A": ["b"] } },
    });
  });

  it("read flow control in any case and order", ({ expect }) => {
    const read = (value: string) =>
      parseMessage({ "upstash-flow-control-key": "k", "upstash-flow-control-value": value }).options
        .flowControl;
    expect(read("Rate=20,Parallelism=10")).toEqual({ key: "k", rate: 20, parallelism: 10, periodSeconds: 1 });
    expect(read("period=1m, rate=5")).toEqual({ key: "k", rate: 5, parallelism: 0, periodSeconds: 60 });
    for (const value of [
      "rate=0",
      "parallelism=1.5",
      "period=1m",
      "rate=1e300",
      "rate=1, period=x",
      "speed=3",
      "rate",
    ]) {
      expect(() => read(value), value).toThrow("upstash-flow-control-value");
    }
  });

  it("refuse a header that cannot be sent", ({ expect }) => {
    expect(() => parseMessage({ "upstash-forward-x-a": "a\r\nb: c" })).toThrow("invalid header");
    expect(() => parseMessage({ "upstash-forward-a b": "c" })).toThrow("invalid header");
  });
});

it("header names are shown in canonical case", ({ expect }) => {
  expect(canonicalName("x-REQUEST-id")).toBe("X-Request-Id");
});
