/** Small parts of HTTP: entity tags, device labels, viewers, allowed methods. */
import { describe, it } from "vitest";
import { deviceLabel } from "../../src/auth/device-label.ts";
import { AppError } from "../../src/common/errors.ts";
import { idempotencyClaim } from "../../src/common/idempotency.ts";
import { matchesIfNoneMatch, postEtag, versionFromIfMatch } from "../../src/http/etag.ts";
import { viewerKey } from "../../src/posts/views.ts";

describe("postEtag", () => {
  const post = {
    version: 3,
    likeCount: 1,
    commentCount: 2,
    author: { username: "mina" },
    board: { name: "Board", slug: "board" },
  };

  it("is a strong tag that begins with the version", ({ expect }) => {
    expect(postEtag(post)).toMatch(/^"3-[0-9a-z]+"$/);
    expect(postEtag(post)).toBe(postEtag({ ...post }));
  });

  it.for([
    { version: 4 },
    { likeCount: 2 },
    { commentCount: 1 },
    { author: null },
    { author: { username: "Mina" } },
    { board: { name: "Board 2", slug: "board" } },
    { board: { name: "Board", slug: "board-2" } },
  ])("changes with %o", (change, { expect }) => {
    expect(postEtag({ ...post, ...change })).not.toBe(postEtag(post));
  });
});

describe("versionFromIfMatch", () => {
  it.for([
    [undefined, null],
    ["*", null],
    [" * ", null],
    ['"1"', 1],
    [' "12" ', 12],
    ['W/"7"', 7],
    ['"7-1a2b"', 7],
    ['W/"7-1a2b"', 7],
  ] as const)("reads %j as %j", ([header, version], { expect }) => {
    expect(versionFromIfMatch(header)).toBe(version);
  });

  it.for(["", "7", '"x"', '"7', '"-7"', '"7.5"', '"1", "2"', 'w/"7"', '"7-1A"', '"1234567890"'])(
    "refuses %j",
    (header, { expect }) => {
      expect(() => versionFromIfMatch(header)).toThrow(AppError);
    },
  );
});

describe("matchesIfNoneMatch", () => {
  it.for([
    [undefined, false],
    ['"1-a"', true],
    ['W/"1-a"', true],
    ['"x", W/"1-a" , "y"', true],
    ["*", true],
    ['"1-b"', false],
    ["1-a", false],
    ["", false],
  ] as const)("compares %j", ([header, matches], { expect }) => {
    expect(matchesIfNoneMatch(header, '"1-a"')).toBe(matches);
  });
});

describe("deviceLabel", () => {
  it.for([
    [undefined, "Unknown device"],
    ["", "Unknown device"],
    ["curl/8.5.0", "curl"],
    ["MyApp/1.0 (internal)", "MyApp/1.0"],
    ["앱/1.0", "Unknown device"],
    [
      "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/131.0 Safari/537.36 Edg/131.0",
      "Edge on Windows",
    ],
    [
      "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Version/18.1 Mobile/15E148 Safari/604.1",
      "Safari on iOS",
    ],
    [
      "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 SamsungBrowser/27.0 Chrome/125.0 Mobile Safari/537.36",
      "Samsung Internet on Android",
    ],
    [
      "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Chrome/131.0 Safari/537.36",
      "Chrome on macOS",
    ],
    ["Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0", "Firefox on Linux"],
  ] as const)("of %j is %s", ([userAgent, label], { expect }) => {
    expect(deviceLabel(userAgent)).toBe(label);
  });

  it("is short, whatever it is made of", ({ expect }) => {
    expect(deviceLabel("x".repeat(10_000)).length).toBeLessThanOrEqual(100);
  });
});

describe("viewerKey", () => {
  const traits = { userId: null, network: "203.0.113.1", userAgent: "Browser/1.0" };
  const noon = new Date("2026-11-22T12:00:00Z");
  const key = (change: Partial<typeof traits> = {}, secret = "secret", now = noon) =>
    viewerKey({ ...traits, ...change }, secret, now);

  it("cannot be told from one day to the next, nor without the secret", async ({ expect }) => {
    const keys = [
      await key(),
      await key({}, "secret", new Date("2026-11-23T00:00:00Z")),
      await key({}, "other"),
    ];
    expect(new Set(keys).size).toBe(3);
    expect(await key({}, "secret", new Date("2026-11-22T23:59:59Z"))).toBe(keys[0]);
    for (const each of keys) expect(each).toMatch(/^[\w-]{22}$/);
  });

  it("is the user's where there is one", async ({ expect }) => {
    expect(await viewerKey({ ...traits, userId: 7 }, "secret", noon)).toBe("u7");
  });

  it("tells a missing agent from a crawler", async ({ expect }) => {
    expect(await viewerKey({ ...traits, userAgent: undefined }, "secret", noon)).not.toBeNull();
    expect(await key({ userAgent: "Slackbot-LinkExpanding 1.0" })).toBeNull();
  });
});

describe("idempotencyClaim", () => {
  it("is null without a key", async ({ expect }) => {
    expect(await idempotencyClaim(undefined, "post", {})).toBeNull();
  });

  it("tells keys, bodies and what is created apart", async ({ expect }) => {
    const claims = [
      await idempotencyClaim("k", "post", { a: 1 }),
      await idempotencyClaim("k", "post", { a: 2 }),
      await idempotencyClaim("K", "post", { a: 1 }),
      await idempotencyClaim("k", "comment", { a: 1 }),
    ];
    expect(new Set(claims.map((claim) => claim?.keyHash)).size).toBe(3);
    expect(new Set(claims.map((claim) => JSON.stringify(claim))).size).toBe(4);
    expect(await idempotencyClaim("k", "post", { a: 1 })).toEqual(claims[0]);
  });
});
