/**
 * What the tests of the QStash gateway share, in workerd and in Node.
 * @module
 */
import { Client } from "@upstash/qstash";
import { inject } from "vitest";
import type { CloudAddresses } from "../support/provided.ts";

/** A request as the recorder saw it; `time` is milliseconds since the epoch. */
export type Delivery = {
  method: string;
  target: string;
  headers: Record<string, string>;
  body: { base64: string; text: string };
  time: number;
};

/** How the recorder answers; see `test/support/node/recorder.ts`. */
export type Answer = {
  status?: number;
  headers?: Record<string, string>;
  body?: string;
  delayMs?: number;
  remaining?: number;
};

/** The `delayMs` of an answer that comes when it is released, and not before. */
export const HELD_MS = 600_000;

const PATIENCE_MS = 20_000;

const POLL_MS = 20;

function cloud(): CloudAddresses {
  return inject("cloud");
}

/** The SDK against the gateway of the suite, or the one at `baseUrl`. */
export function connect(baseUrl?: string): Client {
  const { QSTASH_URL = "", QSTASH_TOKEN = "" } = cloud().settings;
  return new Client({ baseUrl: baseUrl ?? QSTASH_URL, token: QSTASH_TOKEN, devMode: false, retry: false });
}

/** A call to the API without the SDK, with the right token unless `headers` has one. */
export function callApi(
  method: string,
  target: string,
  init: { headers?: Record<string, string>; body?: string } = {},
) {
  const { QSTASH_URL = "", QSTASH_TOKEN = "" } = cloud().settings;
  const headers = { authorization: `Bearer ${QSTASH_TOKEN}`, ...init.headers };
  return fetch(`${QSTASH_URL}${target}`, {
    method,
    headers,
    ...(init.body === undefined ? {} : { body: init.body }),
  });
}

/** A name no other test uses. */
export function unique(name: string): string {
  return `${name}-${crypto.randomUUID()}`;
}

/** An address of its own at the recorder. */
export function destination(name: string, recorder = cloud().recorder) {
  const path = `/${unique(name)}`;

  async function deliveries(): Promise<Delivery[]> {
    const response = await fetch(`${recorder}/_recorder/requests?path=${encodeURIComponent(path)}`);
    const { requests } = (await response.json()) as { requests: Delivery[] };
    return requests;
  }

  return {
    url: `${recorder}${path}`,
    deliveries,
    /** Plans answers, used in this order; one without `remaining` is used for ever. */
    async answers(...planned: Answer[]): Promise<void> {
      for (const answer of planned) {
        await fetch(`${recorder}/_recorder/answers`, {
          method: "PUT",
          body: JSON.stringify({ path, ...answer }),
        });
      }
    },
    /** Sends the answers at once that are waiting for their `delayMs`. */
    async release(): Promise<void> {
      await fetch(`${recorder}/_recorder/release`, { method: "PUT", body: JSON.stringify({ path }) });
    },
    /** Waits until at least `count` requests have arrived, and gives all of them. @throws after 20 s. */
    async received(count: number): Promise<Delivery[]> {
      await until(`${count} deliveries to ${path}`, async () => {
        const response = await fetch(`${recorder}/_recorder/count?path=${encodeURIComponent(path)}`);
        const arrived: { count: number } = await response.json();
        return arrived.count >= count ? true : undefined;
      });
      return deliveries();
    },
  };
}

/** Waits until `probe` gives something. @throws after 20 s (`patienceMs`), naming `what` was waited for. */
export async function until<Result>(
  what: string,
  probe: () => Promise<Result | undefined>,
  patienceMs = PATIENCE_MS,
): Promise<Result> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const result = await probe();
    if (result !== undefined) return result;
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** The states a message has been in, oldest first. */
export async function statesOf(client: Client, messageId: string): Promise<string[]> {
  const { logs } = await client.logs({ messageIds: [messageId] });
  return logs.map((entry) => entry.state as string).toReversed();
}

/** Waits until the message has reached a state, and gives all it has been in. */
export function reached(client: Client, messageId: string, state: string): Promise<string[]> {
  return until(`${messageId} to be ${state}`, async () => {
    const states = await statesOf(client, messageId);
    return states.includes(state) ? states : undefined;
  });
}
