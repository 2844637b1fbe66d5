import { describe, it } from "vitest";
import { readFrame } from "../../dev/bench/load/socket.ts";
import { parseBenchOptions, PARTS } from "../../dev/bench/options.ts";
import { toJson, toMarkdown } from "../../dev/bench/report.ts";
import { median, medianOf, percentile } from "../../dev/bench/statistics.ts";

describe("figures", () => {
  it("takes the smallest sample that enough do not exceed", ({ expect }) => {
    const samples = [5, 1, 4, 2, 3];
    expect([0, 0.2, 0.5, 0.8, 0.81, 1].map((share) => percentile(samples, share))).toEqual([
      1, 1, 3, 4, 5, 5,
    ]);
    expect(samples).toEqual([5, 1, 4, 2, 3]);
    expect(percentile([], 0.5)).toBeNaN();
  });

  it("takes the middle, and the mean of two middles", ({ expect }) => {
    expect([median([9, 1, 2]), median([4, 1, 2, 9]), median([7])]).toEqual([2, 3, 7]);
    expect(median([])).toBeNaN();
    expect(medianOf([{ ms: 3 }, { ms: 1 }, { ms: 100 }], (round) => round.ms)).toBe(3);
  });
});

describe("the table", () => {
  const table = {
    title: "Requests",
    columns: ["request", "ms"],
    rows: [
      ["GET", 1.23456],
      ["POST", 12_345.6],
      ["PUT", NaN],
    ],
    note: "A note.",
  };

  it("is Markdown with numbers of three digits on the right", ({ expect }) => {
    expect(toMarkdown(table)).toBe(
      [
        "### Requests",
        "",
        "| request |     ms |",
        "| ------- | -----: |",
        "| GET     |   1.23 |",
        "| POST    | 12,346 |",
        "| PUT     |      – |",
        "",
        "A note.",
      ].join("\n"),
    );
  });

  it("is JSON with every digit, and null for what could not be measured", ({ expect }) => {
    expect(JSON.parse(JSON.stringify(toJson([table])))).toEqual([
      {
        title: "Requests",
        note: "A note.",
        rows: [
          { request: "GET", ms: 1.23456 },
          { request: "POST", ms: 12_345.6 },
          { request: "PUT", ms: null },
        ],
      },
    ]);
  });
});

describe("flags", () => {
  it("default to a quick run of all parts", ({ expect }) => {
    expect(parseBenchOptions([])).toEqual({
      parts: [...PARTS],
      posts: [1_000, 100_000],
      sockets: [100, 1_000, 2_000],
      rounds: 3,
      inspect: undefined,
    });
    expect(parseBenchOptions(["--help", "--posts", "x"])).toBe("help");
  });

  it("choose more, less and in any order", ({ expect }) => {
    expect(parseBenchOptions(["--full", "--sockets", "300,20,300"])).toMatchObject({
      posts: [1_000, 100_000, 1_000_000],
      sockets: [20, 300],
      rounds: 7,
    });
    expect(parseBenchOptions(["--only", "sizes,requests"])).toMatchObject({ parts: ["requests", "sizes"] });
    expect(parseBenchOptions(["--rounds", "1", "--inspect", "9229"])).toMatchObject({
      rounds: 1,
      inspect: 9229,
    });
  });

  it("are refused by name where they make no sense", ({ expect }) => {
    for (const [args, message] of [
      [["--fast"], "Unknown option '--fast'. `npm run bench -- --help` lists the flags."],
      [["--only", "likes"], "--only likes makes no sense. Use some of"],
      [["--posts", "1e3"], "--posts 1e3 makes no sense. Use whole numbers from 1 to 5000000."],
      [["--sockets", "100,,5"], "--sockets  makes no sense"],
      [["--rounds", "0"], "--rounds 0 makes no sense"],
      [["quick"], "Unexpected argument 'quick'"],
    ] as const) {
      expect(() => parseBenchOptions(args)).toThrow(message);
    }
  });
});

describe("frames of a socket", () => {
  const frame = (length: number, head: number[]) =>
    Buffer.concat([Buffer.from([0x81, ...head]), Buffer.alloc(length, "x"), Buffer.from([0x88, 0])]);

  it("are read whole, in all three forms of their length", ({ expect }) => {
    for (const [length, head] of [
      [5, [5]],
      [300, [126, 1, 44]],
      [70_000, [127, 0, 0, 0, 0, 0, 1, 17, 112]],
    ] as const) {
      const bytes = frame(length, [...head]);
      const first = readFrame(bytes);
      expect([first?.opcode, first?.payload.length]).toEqual([1, length]);
      expect(readFrame(bytes.subarray(first?.end))).toMatchObject({ opcode: 8, end: 2 });
      expect(readFrame(bytes.subarray(0, (first?.end ?? 0) - 1))).toBeUndefined();
    }
    expect(readFrame(Buffer.alloc(1))).toBeUndefined();
  });
});
