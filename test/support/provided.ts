/**
 * What the global set-up of the suite hands to tests, in workerd and in Node alike, by `inject("cloud")`.
 * @module
 */

import "vitest";

export type CloudAddresses = {
  /** The Worker's settings: the same names and meaning as in production. */
  settings: Record<string, string>;
  /** Base URLs of the gateways; each also serves the control surface of `dev/gateways/server.ts` under `/_local/`. */
  planetscale: string;
  upstash: string;
  qstash: string;
  /** Base URL of the recording HTTP server (`test/support/node/recorder.ts`) that stands in for a delivery target. */
  recorder: string;
  /** Direct connections for tests in Node: `mysql://…` and `redis://…`. */
  mysql: string;
  redis: string;
};

/** How many spoilt requests and frames are tried, and which: `BAD_INPUT_CASES` and `BAD_INPUT_SEED`. */
export type BadInput = { cases: number; seed: number };

declare module "vitest" {
  interface ProvidedContext {
    cloud: CloudAddresses;
    badInput: BadInput;
  }
}
