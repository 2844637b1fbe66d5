/**
 * Whether the documents may be published as they are.
 * @module
 */
import { asyncApiBreaks } from "./asyncapi-breaks.ts";
import { type Documents, type Json, textOf } from "./documents.ts";
import { openApiBreaks } from "./openapi-breaks.ts";

/** The texts of the documents by their names; undefined where there is no file. */
export type Texts = { [name in keyof Documents]: string | undefined };

const BREAKS = { openapi: openApiBreaks, asyncapi: asyncApiBreaks };
const NAMES = ["openapi", "asyncapi"] as const;

/** @returns what has to be done first, one line each; empty when nothing has */
export function gateProblems(generated: Documents, kept: Texts, released: Texts): string[] {
  return [...staleProblems(generated, kept), ...breakProblems(generated, released)];
}

/** The files have to be what the code makes. */
function staleProblems(generated: Documents, kept: Texts): string[] {
  return NAMES.filter((name) => kept[name] !== textOf(generated[name])).map(
    (name) => `api/${name}.json is not what the code makes: run \`npm run api\` and commit it`,
  );
}

/** What breaks clients of the last release needs a version that says so. */
function breakProblems(generated: Documents, released: Texts): string[] {
  return NAMES.flatMap((name) => {
    const text = released[name];
    if (text === undefined) return [];
    const last = JSON.parse(text) as Json;
    const [from, to] = [versionOf(last), versionOf(generated[name])];
    if (compareVersions(from, to) > 0) {
      return [`${name}: ${to.join(".")} comes before ${from.join(".")}, which was released`];
    }
    const breaks = BREAKS[name](last, generated[name]);
    if (breaks.length === 0 || mayBreak(from, to)) return [];
    return [
      `${name}: this breaks clients of the released ${from.join(".")}. Take it back, or raise API_VERSION in src/docs/document.ts to ${breakingAfter(from)}:`,
      ...breaks.map((line) => `  ${line}`),
    ];
  });
}

/** @returns why the documents cannot be released; empty when they can */
export function releaseProblems(generated: Documents, kept: Texts, released: Texts): string[] {
  const problems = gateProblems(generated, kept, released);
  const reused = NAMES.filter((name) => {
    const text = released[name];
    if (text === undefined || text === textOf(generated[name])) return false;
    return compareVersions(versionOf(JSON.parse(text) as Json), versionOf(generated[name])) === 0;
  });
  return [
    ...problems,
    ...reused.map(
      (name) => `${name}: another document was released under this version: raise API_VERSION first`,
    ),
  ];
}

type Version = [major: number, minor: number, patch: number];

/** @throws when `info.version` is not of the form 1.2.3 */
export function versionOf(document: Json): Version {
  const { version } = (document as { info: { version: string } }).info;
  const [, major, minor, patch] = /^(\d+)\.(\d+)\.(\d+)$/.exec(version) ?? [];
  if (patch === undefined) throw new Error(`the version ${version} is not of the form 1.2.3`);
  return [Number(major), Number(minor), Number(patch)];
}

function compareVersions(a: Version, b: Version): number {
  const index = a.findIndex((part, at) => part !== b[at]);
  return index === -1 ? 0 : (a[index] ?? 0) - (b[index] ?? 0);
}

/** Semantic versioning: the major part, before 1.0 the minor one. */
function mayBreak(from: Version, to: Version): boolean {
  return to[0] > from[0] || (from[0] === 0 && to[1] > from[1]);
}

function breakingAfter([major, minor]: Version): string {
  return major === 0 ? `0.${minor + 1}.0` : `${major + 1}.0.0`;
}
