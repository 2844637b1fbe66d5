/** What the pages in docs/ and the READMEs name is there: files, what is in them, sections, commands, settings, log lines. */
import { existsSync, globSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { describe, it } from "vitest";

const DOCS = globSync("docs/*.md");
const PAGES = [...DOCS, "README.md", "dev/README.md", "client/README.md"];
const CODE = globSync(["src/**/*.ts", "durable-objects/*.ts"]);

const read = (path: string) => readFileSync(path, "utf8");
/** Without blocks of code. */
const prose = (page: string) => read(page).replaceAll(/^( *)```[\s\S]*?^\1```$/gm, "");
/** What is set as code, outside of the texts of links and in them. */
const spans = (text: string) => [...text.matchAll(/`([^`\n]+)`/g)].map(([, span = ""]) => span);
const links = (page: string) =>
  [...prose(page).matchAll(/\[((?:[^\]`]|`[^`]*`)*)\]\(([^)\s]+)\)/g)]
    .map(([, text = "", target = ""]) => ({ text, target }))
    .filter(({ target }) => !/^[a-z]+:/.test(target));

/** GitHub's name of a heading. */
const slug = (heading: string) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .replaceAll(/\s/g, "-");
const sections = (page: string) =>
  [...prose(page).matchAll(/^#+ (.+)$/gm)].map(([, text = ""]) => slug(text));

/** Names of log lines, and labels of what is done behind answers and by cron. */
const messages = (code: string) =>
  [...code.matchAll(/\blog\.(?:info|warn|error)\(\s*"([^"]+)"/g)].map(([, message = ""]) => message);
const labels = (code: string) =>
  [...code.matchAll(/(?:\blabel: |\b(?:background|effects|announceLater)\(\s*)"([^"]+)"/g)].map(
    ([, label = ""]) => label,
  );
const source = CODE.map(read);
const logged = new Set<string>(source.flatMap(messages));
const known = new Set<string>([...logged, ...source.flatMap(labels)]);

describe.for(PAGES)("%s", (page) => {
  const folder = dirname(page);

  it("links to files and sections that are there", ({ expect }) => {
    const missing = links(page).filter(({ target }) => {
      const [path = "", section] = target.split("#");
      const file = path === "" ? page : join(folder, path);
      return !existsSync(file) || (section !== undefined && !sections(file).includes(section));
    });
    expect(missing).toEqual([]);
  });

  it("names what is in the file that it links to", ({ expect }) => {
    const wrong = links(page).flatMap(({ text, target }) => {
      const file = join(folder, target.split("#")[0] ?? "");
      return spans(text).filter((span) =>
        /^\w+$/.test(span)
          ? !new RegExp(String.raw`\b${span}\b`).test(read(file))
          : !span.includes("/") && /\.\w+$/.test(span) && span !== basename(file),
      );
    });
    expect(wrong).toEqual([]);
  });

  it("names paths, commands and settings that there are", ({ expect }) => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    const everything = [
      ...source,
      ...globSync(["dev/**/*.ts", "test/support/**/*.ts"]).map(read),
      read("wrangler.toml"),
    ].join("\n");
    const wrong = spans(prose(page)).filter((span) => {
      const [, script] = /^npm run ([\w:-]+)/.exec(span) ?? [];
      if (script !== undefined) return !(script in scripts);
      if (/^(?:src|durable-objects|dev|test|client|docs|migrations|api)\/[\w./*-]*$/.test(span)) {
        return globSync([span, join(folder, span)]).length === 0;
      }
      return /^[A-Z]+(?:_[A-Z]+)+$/.test(span) && !everything.includes(span);
    });
    expect(wrong).toEqual([]);
  });
});

describe("log lines", () => {
  it.for(DOCS)("that %s names in quotes are written by the Worker", (page, { expect }) => {
    const named = spans(prose(page)).flatMap((span) => /^"(.+)"$/.exec(span)?.[1] ?? []);
    expect(named.filter((name) => !known.has(name))).toEqual([]);
  });

  it("are all in docs/operations.md", ({ expect }) => {
    const text = read("docs/operations.md");
    expect(logged.size).toBeGreaterThan(10);
    expect([...logged].filter((message) => !text.includes(`\`"${message}"\``))).toEqual([]);
  });
});
