/**
 * The search for what must not lie about: it is given texts with the place they were found at, and knows kinds of secrets
 * by their shape and the run's own secrets by their value. What it found is named by place and kind, never quoted.
 * @module
 */
import { randomBytes } from "node:crypto";

export type Kind = { name: string; isIn: (text: string) => boolean };

export type Search = {
  /** Looks at a text. `may` names the kinds that belong at the place. */
  look: (place: string, text: string, may?: readonly string[]) => void;
  /** `<kind> in <place>` with how often, in order of discovery. */
  found: () => string[];
  /** How many texts were looked at, to tell a clean place from one that was not there, by the first word of the place. */
  looked: () => Record<string, number>;
};

export const EMAIL = "an email address";
export const ACCOUNT_EMAIL = "an account's email address";
export const ADDRESS = "a network address";
export const PASSWORD_HASH = "a password hash";
/** Names and texts, which are for readers and not for logs. */
export const TEXT = "what people write";
export const BEARER = "a bearer header";

/** Four numbers with dots, but not this machine's own; four groups of hexadecimal digits or more with colons. */
const ADDRESS_SHAPE =
  /(?<![\w.-])(?!127\.0\.0\.1(?![\d.])|0\.0\.0\.0)(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\w.-])|(?<![\w:.-])(?:[\da-f]{1,4}:){3,7}[\da-f:]{1,9}(?![\w.-])/i;

/** What gives itself away by its shape. */
const SHAPES: readonly Kind[] = [
  shape("an access token", /eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{16,}/),
  shape("a refresh token", /lfr_\d+_[0-9a-f]{32}_\d+_[\w-]{43}/),
  shape(PASSWORD_HASH, /\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}/),
  shape(BEARER, /\bBearer[ .:]+[\w.~+/-]{8}/i),
  shape(EMAIL, /[\w.+-]@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}/i),
  shape(ADDRESS, ADDRESS_SHAPE),
];

/** What the tests' own accounts and clients have (`newAccount()`, `randomAddress()`): these belong into no text either. */
const MARKS: readonly Kind[] = [
  shape(ACCOUNT_EMAIL, /@example\.com/i),
  shape("a client's address", /(?<![\d.])(?:10\.\d+\.\d+\.\d|203\.0\.113\.)|2001:db8:/i),
  shape("a password", /\b(?:password|new) [\da-f]{12}\b|correct horse/),
];

function shape(name: string, pattern: RegExp): Kind {
  return { name, isIn: (text) => pattern.test(text) };
}

/** One certain text. @throws when it is so short that it would be found everywhere */
export function exactly(name: string, value: string): Kind {
  if (value.length < 8) throw new Error(`${name} is too short to be looked for`);
  return { name, isIn: (text) => text.includes(value) };
}

/** What must not lie about where a Worker with these settings runs, the secrets among them included. */
export function secretsOf(settings: Record<string, string>): Kind[] {
  const { DATABASE_URL = "", JWT_KEYS = "" } = settings;
  return [
    ...SHAPES,
    ...MARKS,
    exactly("the database's password", new URL(DATABASE_URL).password),
    exactly("the token of Redis", settings["UPSTASH_REDIS_REST_TOKEN"] ?? ""),
    exactly("the token of QStash", settings["QSTASH_TOKEN"] ?? ""),
    exactly("QStash's signing key", settings["QSTASH_CURRENT_SIGNING_KEY"] ?? ""),
    exactly("QStash's next signing key", settings["QSTASH_NEXT_SIGNING_KEY"] ?? ""),
    ...JWT_KEYS.split(",").map((key) => exactly("a key that signs tokens", key.replace(/^[^:]*:/, ""))),
  ];
}

/** Credentials for a local cloud that cannot be mistaken for anything else; the usual ones are ordinary words. */
export function unmistakableSecrets() {
  const random = () => randomBytes(16).toString("hex");
  return { databasePassword: random(), upstashToken: random(), qstashToken: random() };
}

export function createSearch(kinds: readonly Kind[]): Search {
  const findings = new Map<string, number>();
  const looked: Record<string, number> = {};
  return {
    look(place, text, may = []) {
      const [source = ""] = place.split(" ");
      looked[source] = (looked[source] ?? 0) + 1;
      for (const { name, isIn } of kinds) {
        if (may.includes(name) || !isIn(text)) continue;
        const finding = `${name} in ${place}`;
        findings.set(finding, (findings.get(finding) ?? 0) + 1);
      }
    },
    found: () =>
      [...findings].map(([finding, count]) => (count === 1 ? finding : `${finding}, ${count} times`)),
    looked: () => looked,
  };
}

/** @throws with the findings, if there are any */
export function refuseLeaks(search: Search): void {
  const found = search.found();
  if (found.length > 0) throw new Error(`Secrets lie where none belongs:\n  ${found.join("\n  ")}`);
}
