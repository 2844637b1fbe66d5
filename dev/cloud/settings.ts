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

export type SettingsOptions = {
  planetscaleUrl: string;
  upstashUrl: string;
  qstashUrl: string;
  /** Where clients, and QStash, reach the Worker; without a trailing slash. */
  publicUrl: string;
  corsOrigins: readonly string[];
  /** 1 normal, 0 off. */
  rateLimitScale: number;
  /** bcrypt's cost, 4 to 31. */
  bcryptCost: number;
};

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
export function workerSettings(secrets: Secrets, options: SettingsOptions): Record<string, string> {
  const database = new URL(options.planetscaleUrl);
  return {
    DATABASE_URL: `http://${secrets.databaseUser}:${secrets.databasePassword}@${database.host}`,
    UPSTASH_REDIS_REST_URL: options.upstashUrl,
    UPSTASH_REDIS_REST_TOKEN: secrets.upstashToken,
    QSTASH_URL: options.qstashUrl,
    QSTASH_TOKEN: secrets.qstashToken,
    QSTASH_CURRENT_SIGNING_KEY: secrets.qstashCurrentSigningKey,
    QSTASH_NEXT_SIGNING_KEY: secrets.qstashNextSigningKey,
    JWT_KEYS: secrets.jwtKeys,
    PUBLIC_URL: options.publicUrl,
    CORS_ORIGINS: options.corsOrigins.join(","),
    RATE_LIMIT_SCALE: String(options.rateLimitScale),
    BCRYPT_COST: String(options.bcryptCost),
  };
}
