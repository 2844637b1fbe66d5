/** The gateway's pure parts: rewriting of scripts, and what the record of calls says. */
import { describe, it } from "vitest";
import { labelOf } from "../../dev/gateways/upstash/label.ts";
import { withoutUpstashFlag } from "../../dev/gateways/upstash/scripts.ts";

describe("the shebang of a script", () => {
  it.for([
    ["#!lua flags=allow-key-locking\nreturn 1", "#!lua\nreturn 1"],
    ["#!lua flags=allow-key-locking", "#!lua"],
    ["#!lua flags=no-writes,allow-key-locking\r\n--", "#!lua flags=no-writes\r\n--"],
    ["#!lua  flags=allow-key-locking,no-writes\n", "#!lua flags=no-writes\n"],
    ["#!lua name=x flags=allow-key-locking\n", "#!lua name=x\n"],
    ["#!lua flags=no-writes\n--allow-key-locking", "#!lua flags=no-writes\n--allow-key-locking"],
    ["return 'flags=allow-key-locking'", "return 'flags=allow-key-locking'"],
    ["\n#!lua flags=allow-key-locking", "\n#!lua flags=allow-key-locking"],
    ["", ""],
  ] as const)("%j becomes %j, as text and as bytes", ([original, rewritten], { expect }) => {
    expect(withoutUpstashFlag(original)).toBe(rewritten);
    expect(withoutUpstashFlag(Buffer.from(original))).toEqual(Buffer.from(rewritten));
  });

  it("leaves the bytes of the script alone", ({ expect }) => {
    const body = Buffer.from([0xff, 0x00, 0xea, 0xb0, 0x80]);
    const script = Buffer.concat([Buffer.from("#!lua flags=allow-key-locking\n"), body]);
    expect(withoutUpstashFlag(script)).toEqual(Buffer.concat([Buffer.from("#!lua\n"), body]));
  });
});

describe("the label of a call", () => {
  it.for([
    [["get", "a"], "GET a"],
    [["PING"], "PING"],
    [["EVALSHA", "0".repeat(40), "2", "k1", "k2", "arg"], "EVALSHA k1"],
    [["EVAL", "return 1", "0"], "EVAL"],
    [["XREAD", "COUNT", "1", "STREAMS", "s", "0"], "XREAD s"],
    [["OBJECT", "ENCODING", "k"], "OBJECT k"],
    [["SCRIPT", "LOAD", "return 1"], "SCRIPT LOAD"],
    [["GET", "k".repeat(100)], `GET ${"k".repeat(80)}…`],
  ] as const)("of %j is %j", ([command, label], { expect }) => {
    expect(labelOf("command", [[...command]])).toBe(label);
  });

  it("names the first 50 commands of a batch", ({ expect }) => {
    const commands = Array.from({ length: 60 }, () => ["GET", "a"]);
    const label = labelOf("pipeline", commands);
    expect(label).toBe(`pipeline: ${"GET a; ".repeat(50)}… 10 more`);
  });
});
