/** Rules of text that more than one domain shares. */
import * as fc from "fast-check";
import { describe, it } from "vitest";
import {
  byteLength,
  characterCount,
  EXCERPT_MAX_CHARACTERS,
  excerptOf,
  normaliseEmail,
  usernameKey,
} from "../../src/common/text.ts";
import { usernameSchema } from "../../src/users/schema.ts";

describe("usernameKey", () => {
  /** Any one letter, with those that fold in uncommon ways among the likely ones. */
  const letter = fc.oneof(
    fc.integer({ min: 0x61, max: 0x24ff }).map((code) => String.fromCodePoint(code)),
    fc.constantFrom(...Array.from("aZßẞİıiſKÅΣςσǅĳﬀéＡ한ᾼ𐐷")),
  );
  const names = fc
    .string({
      unit: letter.filter((character) => /^[\p{L}\p{Nd}]$/u.test(character)),
      minLength: 3,
      maxLength: 6,
    })
    .filter((name) => usernameSchema.safeParse(name).success);

  it("is the same for a name in capitals, in small letters and in either normal form", async () => {
    await fc.assert(
      fc.asyncProperty(names, async (name) => {
        const key = await usernameKey(name);
        const others = [
          name.toUpperCase(),
          name.toLowerCase(),
          name.normalize("NFD"),
          name.normalize("NFKC"),
        ];
        for (const other of others) {
          if ((await usernameKey(other)) !== key) throw new Error(`${name} and ${other} have different keys`);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("is 64 hex digits, and another for another name", async ({ expect }) => {
    expect(await usernameKey("mina")).toMatch(/^[0-9a-f]{64}$/);
    const keys = await Promise.all(["mina", "minä", "mina_", "mi-na", "미나", "мина"].map(usernameKey));
    expect(new Set(keys).size).toBe(6);
  });
});

describe("lengths", () => {
  it.for([
    ["", 0, 0],
    ["abc", 3, 3],
    ["한글", 2, 6],
    ["🙂", 1, 4],
    ["👩‍👩‍👧‍👦", 7, 25],
    ["e\u0301", 2, 3],
  ] as const)("of %j are %i characters in %i bytes", ([text, characters, bytes], { expect }) => {
    expect([characterCount(text), byteLength(text)]).toEqual([characters, bytes]);
  });
});

describe("normaliseEmail", () => {
  it("is the lower case, and changes nothing more when done again", ({ expect }) => {
    expect(normaliseEmail("Mina.Kim@Example.COM")).toBe("mina.kim@example.com");
    fc.assert(
      fc.property(
        fc.emailAddress(),
        (email) => normaliseEmail(normaliseEmail(email)) === normaliseEmail(email),
      ),
    );
  });
});

describe("excerptOf", () => {
  it("folds white space into one line", ({ expect }) => {
    expect(excerptOf("  a\n\n b\t\u00A0c \u3000")).toBe("a b c");
    expect(excerptOf(" \n ")).toBe("");
  });

  it("leaves a text alone that is short enough, counted in characters", ({ expect }) => {
    const text = "🙂".repeat(EXCERPT_MAX_CHARACTERS);
    expect(excerptOf(text)).toBe(text);
    expect(characterCount(excerptOf(`${text}🙂`))).toBe(EXCERPT_MAX_CHARACTERS);
  });

  it("ends at a word where one is near, with an ellipsis", ({ expect }) => {
    const excerpt = excerptOf(`${"word ".repeat(55)}unfinished-word-that-is-long`);
    expect(excerpt.endsWith("word…")).toBe(true);
    expect(excerptOf("x".repeat(1_000))).toBe(`${"x".repeat(EXCERPT_MAX_CHARACTERS - 1)}…`);
  });

  it("is well-formed, one line and within its limit, whatever the text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 700 }), (text) => {
        const excerpt = excerptOf(text);
        return (
          excerpt.isWellFormed() &&
          characterCount(excerpt) <= EXCERPT_MAX_CHARACTERS &&
          !/[\n\r\t]/.test(excerpt) &&
          excerpt === excerpt.trim()
        );
      }),
      { numRuns: 300 },
    );
  });
});
