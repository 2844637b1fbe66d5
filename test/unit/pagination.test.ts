/** Cursors and pages. */
import * as fc from "fast-check";
import { describe, it } from "vitest";
import { AppError } from "../../src/common/errors.ts";
import { createCursorCodec, toPage } from "../../src/common/pagination.ts";

const codec = createCursorCodec(["current-secret", "old-secret"]);
const keys = fc.array(fc.maxSafeInteger(), { minLength: 1, maxLength: 3 });
/** Short ones: what long runs of digits cost is for cursors.node.test.ts, which can stop it. */
const shortKeys = fc.array(fc.integer({ min: -9_999, max: 9_999 }), { minLength: 1, maxLength: 2 });
const lists = fc.string({ maxLength: 40 });

async function isRefused(list: string, cursor: string): Promise<boolean> {
  try {
    await codec.decode(list, cursor);
    return false;
  } catch (error) {
    return error instanceof AppError && error.kind === "invalid_cursor";
  }
}

describe("a cursor", () => {
  it("comes back as the sort key that went in", async ({ expect }) => {
    await fc.assert(
      fc.asyncProperty(lists, keys, async (list, key) => {
        expect(await codec.decode(list, await codec.encode(list, ...key))).toEqual(key);
      }),
    );
  });

  it("is refused once a single character of it is another", async () => {
    await fc.assert(
      fc.asyncProperty(
        shortKeys,
        fc.nat(),
        fc.constantFrom(...Array.from("0189-~.AZaz_ ")),
        async (key, position, character) => {
          const cursor = await codec.encode("posts", ...key);
          const at = position % cursor.length;
          const changed = cursor.slice(0, at) + character + cursor.slice(at + 1);
          return changed === cursor || isRefused("posts", changed);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("is refused by another list", async () => {
    await fc.assert(
      fc.asyncProperty(lists, lists, keys, async (list, other, key) => {
        return list === other || isRefused(other, await codec.encode(list, ...key));
      }),
    );
  });

  it("is refused when it is any text", async () => {
    await fc.assert(fc.asyncProperty(fc.string(), (text) => isRefused("posts", text)));
  });

  it("is taken under every secret that is listed, and made under the first", async ({ expect }) => {
    const old = createCursorCodec(["old-secret"]);
    expect(await codec.decode("posts", await old.encode("posts", 7))).toEqual([7]);
    await expect(old.decode("posts", await codec.encode("posts", 7))).rejects.toThrow(AppError);
  });

  it("fits into a URL as it is", async () => {
    await fc.assert(
      fc.asyncProperty(keys, async (key) => {
        const cursor = await codec.encode("posts", ...key);
        return encodeURIComponent(cursor) === cursor && cursor.length <= 100;
      }),
    );
  });
});

describe("a page", () => {
  const encode = (row: number) => Promise.resolve(`after-${row}`);

  it("ends the list when there is no row too many", async ({ expect }) => {
    expect(await toPage([3, 2, 1], 3, encode)).toEqual({ items: [3, 2, 1], nextCursor: null });
    expect(await toPage([], 3, encode)).toEqual({ items: [], nextCursor: null });
  });

  it("goes on from its last row when there is one", async ({ expect }) => {
    expect(await toPage([4, 3, 2, 1], 3, encode)).toEqual({ items: [4, 3, 2], nextCursor: "after-2" });
  });
});
