/**
 * The client package inside workerd, on a network that can be watched and broken.
 * @module
 */
import { exports } from "cloudflare:workers";
import { LiveForum, type LiveForumOptions } from "../../client/src/client.ts";
import { ORIGIN, randomAddress } from "./client.ts";
import { newAccount } from "./factories.ts";

export type SentCall = { name: string; key: string | null; token: string | null; body: string };

/** What becomes of a call: it is refused with an answer, nothing arrives, or it happens and its answer is lost. */
export type Fault = Response | "lost request" | "lost answer";

export type Network = {
  fetch: typeof fetch;
  /** All calls so far. */
  calls: SentCall[];
  /** Those of one operation, such as `POST /api/posts`. */
  callsOf: (name: string) => SentCall[];
  /** Breaks the next calls of one operation, one fault each. */
  breakNext: (name: string, ...faults: Fault[]) => void;
};

/** A way to the suite's Worker. */
export function network(): Network {
  const address = randomAddress();
  const calls: SentCall[] = [];
  const faults = new Map<string, Fault[]>();
  return {
    calls,
    callsOf: (name) => calls.filter((call) => call.name === name),
    breakNext: (name, ...next) => void faults.set(name, [...(faults.get(name) ?? []), ...next]),
    async fetch(input, init) {
      // Nothing is given up while it is under way, and then sent again: the machine may be busy.
      init?.signal?.throwIfAborted();
      const request = new Request(input, { ...init, signal: null });
      request.headers.set("cf-connecting-ip", address);
      const name = `${request.method} ${new URL(request.url).pathname}`;
      const { headers } = request;
      const body = await request.clone().text();
      calls.push({ name, key: headers.get("idempotency-key"), token: headers.get("authorization"), body });
      const fault = faults.get(name)?.shift();
      if (fault instanceof Response) return fault;
      if (fault === "lost request") throw new TypeError("network down");
      const response = await exports.default.fetch(request);
      if (fault !== "lost answer") return response;
      await response.arrayBuffer();
      throw new TypeError("network down");
    },
  };
}

/** A refusal as the server or something in between sends it. */
export function refusal(status: number, headers: Record<string, string> = {}): Response {
  return new Response("<html>no</html>", { status, headers });
}

/** A client for somebody without an account. */
export function forumOn(wire: Network, options: LiveForumOptions = {}): LiveForum {
  return new LiveForum({ url: ORIGIN, fetch: wire.fetch, ...options });
}

/** A client that is signed in with a new account. */
export async function signedInForum(wire: Network, options: LiveForumOptions = {}): Promise<LiveForum> {
  const forum = forumOn(wire, options);
  await forum.auth.register(newAccount());
  return forum;
}
