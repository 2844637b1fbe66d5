/**
 * Local credentials, and the settings the Worker receives: the same names and meaning as in production.
 * @module
 */
import { randomBytes } from "node:crypto";
import { type DataFolder, readJson, writeJson } from "./data-folder.ts";

export type Secrets = {
  databaseUser: string;
  databasePassword: string;
  upstashToken: string;
  qstashToken: string;
  qstashCurrentSigningKey: string;
  qstashNextSigningKey: string;
  /** `kid:secret`, made at random once per data folder. */
  jwtKeys: string;
};

/** Where the Worker's services are, and where the Worker is. */
export type Addresses = {
  planetscaleUrl: string;
  upstashUrl: string;
  qstashUrl: string;
  /** Where clients, and QStash, reach the Worker; without a trailing slash. */
  publicUrl: string;
};

/**
 * The settings that a developer may choose, with what they are locally; empty: the Worker's own default. None of
 * them says where a service is or how to get in.
 */
export const CHOICES = {
  RATE_LIMIT_SCALE: "1",
  BCRYPT_COST: "10",
  // Front ends in development: Next.js and Vite.
  CORS_ORIGINS: "http://localhost:3000,http://localhost:5173",
  REDIS_TIMEOUT_MS: "",
  EFFECTS_PATIENCE_MS: "",
  SWEEP_SECONDS: "",
  ROOM_SOCKETS_MAX: "",
  USER_SOCKETS_MAX: "",
} as const;

export type Choices = Partial<Record<keyof typeof CHOICES, string>>;

/** What is chosen by environment variables, else by default. */
export function readChoices(env: NodeJS.Dict<string>): Choices {
  const choices: Choices = {};
  for (const [name, fallback] of Object.entries(CHOICES) as [keyof Choices, string][]) {
    const value = env[name] ?? fallback;
    if (value !== "" || name === "CORS_ORIGINS") choices[name] = value;
  }
  return choices;
}

/**
 * The credentials of a data folder. Everything but the keys that sign users' tokens is fixed and public: those of
 * QStash are the official development server's, so that it can take the gateway's place.
 */
export function loadSecrets(folder: DataFolder): Secrets {
  const file = folder.file("secrets.json");
  let stored = readJson<{ jwtKeys: string }>(file);
  if (stored === undefined) {
    stored = { jwtKeys: `local1:${randomBytes(32).toString("hex")}` };
    writeJson(file, stored);
  }
  return {
    databaseUser: "liveforum",
    databasePassword: "liveforum",
    upstashToken: "liveforum",
    qstashToken: "eyJVc2VySUQiOiJkZWZhdWx0VXNlciIsIlBhc3N3b3JkIjoiZGVmYXVsdFBhc3N3b3JkIn0=",
    qstashCurrentSigningKey: "sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r",
    qstashNextSigningKey: "sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs",
    jwtKeys: stored.jwtKeys,
  };
}

/** The Worker's settings as environment variables. */
export function workerSettings(
  secrets: Secrets,
  addresses: Addresses,
  choices: Choices,
): Record<string, string> & { DATABASE_URL: string } {
  const database = new URL(addresses.planetscaleUrl);
  return {
    DATABASE_URL: `http://${secrets.databaseUser}:${secrets.databasePassword}@${database.host}`,
    UPSTASH_REDIS_REST_URL: addresses.upstashUrl,
    UPSTASH_REDIS_REST_TOKEN: secrets.upstashToken,
    QSTASH_URL: addresses.qstashUrl,
    QSTASH_TOKEN: secrets.qstashToken,
    QSTASH_CURRENT_SIGNING_KEY: secrets.qstashCurrentSigningKey,
    QSTASH_NEXT_SIGNING_KEY: secrets.qstashNextSigningKey,
    JWT_KEYS: secrets.jwtKeys,
    PUBLIC_URL: addresses.publicUrl,
    ...choices,
  };
}
