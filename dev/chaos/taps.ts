/**
 * Faults inside the Worker's runtime: every call of a request to its upstreams passes through a tap of its own, which
 * lets it pass, breaks it, or never lets it end. A request is told from others by the credentials that it uses.
 * @module
 */
import type { Fault, Upstream } from "./plan.ts";

/** Says what befalls a request, where it comes from outside. JSON: `{ fault, isolate }`. */
export const CHAOS_HEADER = "x-liveforum-chaos";

/** Where a Worker with taps writes the counted views to the database. */
export const FLUSH_PATH = "/chaos/flush";

/** How long what is slow is on its way. */
export const SLOW_MS = 2_000;

const late = () => new Promise((resolve) => setTimeout(resolve, SLOW_MS));

async function lateCall<T>(send: () => Promise<T>): Promise<T> {
  await late();
  return send();
}

async function lateAnswer<T>(send: () => Promise<T>): Promise<T> {
  const answer = await send();
  await late();
  return answer;
}

/** A promise of somebody who is dead. */
const never = <T>(): Promise<T> => new Promise(() => undefined);

class Tap {
  readonly isolate: string;
  readonly #fault: Fault | null;
  readonly #isCalm: () => boolean;
  readonly #died = Promise.withResolvers<void>();
  #calls = 0;
  #callsTo: Record<Upstream, number> = { redis: 0, qstash: 0, room: 0, db: 0 };
  #dead = false;

  constructor(fault: Fault | null, isolate: string, isCalm: () => boolean) {
    this.isolate = isolate;
    this.#fault = fault;
    this.#isCalm = isCalm;
  }

  /** Resolves when the Worker has died. */
  get died(): Promise<void> {
    return this.#died.promise;
  }

  /**
   * @param send the call, given the signal of who waits; without one, it happens whether or not anybody does
   * @param broken what an answer with status 500 is; without it, the call rejects
   * @param halve an answer that breaks off in the middle, with or without an error; without it, the call rejects
   */
  async pass<T>(
    upstream: Upstream,
    send: (signal?: AbortSignal) => Promise<T>,
    { signal, broken, halve }: PassOptions<T> = {},
  ): Promise<T> {
    const call = () => send(signal ?? undefined);
    const call_ = this.#calls++;
    const nth = this.#callsTo[upstream]++;
    if (this.#dead) return never();
    const fault = this.#fault;
    if (!fault) return call();
    if (fault.kind === "death") {
      if (call_ < fault.after) return call();
      this.#dead = true;
      if (fault.lost === "answer") await call().then(lose, () => undefined);
      this.#died.resolve();
      return never();
    }
    const hit = upstream === fault.upstream && nth >= fault.skip && nth < fault.skip + fault.count;
    if (!hit || this.#isCalm()) return call();
    switch (fault.mode) {
      case "before":
        throw new TypeError("Network connection lost.");
      case "after":
        lose(await call());
        throw new TypeError("Network connection lost.");
      case "half": {
        const answer = await call();
        if (halve) return halve(answer, nth % 2 === 0);
        lose(answer);
        throw new TypeError("Network connection lost.");
      }
      case "error":
        if (broken) return broken();
        throw new Error("internal error");
      case "hang":
        return abandoned<T>(signal);
      default: {
        const slow = nth % 2 === 0 ? lateCall(send) : lateAnswer(send);
        return Promise.race([slow, abandoned<T>(signal)]);
      }
    }
  }
}

/** What nobody got: the connection that came with it ends. */
function lose(answer: unknown): void {
  const socket = answer instanceof Response ? answer.webSocket : null;
  socket?.accept();
  socket?.close(1001, "lost");
}

type PassOptions<T> = {
  signal?: AbortSignal | null | undefined;
  broken?: () => T;
  halve?: (answer: T, torn: boolean) => Promise<T>;
};

/** Rejects when nobody waits any more, and never before. */
function abandoned<T>(signal: AbortSignal | null | undefined): Promise<T> {
  const { promise, reject } = Promise.withResolvers<T>();
  signal?.addEventListener("abort", () => reject(signal.reason as Error));
  return promise;
}

/** The first half of an answer, and then an end, or the end of the connection. */
async function halfOf(response: Response, torn: boolean): Promise<Response> {
  const bytes = new Uint8Array(await response.arrayBuffer());
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(bytes.subarray(0, Math.ceil(bytes.length / 2)));
      if (!torn) controller.close();
    },
    pull(controller) {
      controller.error(new TypeError("Network connection lost."));
    },
  });
  const type = response.headers.get("content-type") ?? "application/json";
  return new Response(body, { status: response.status, headers: { "content-type": type } });
}

/** The settings that say where upstreams are and how to get in. */
export type Addresses = {
  DATABASE_URL: string;
  UPSTASH_REDIS_REST_URL: string;
  UPSTASH_REDIS_REST_TOKEN: string;
  QSTASH_URL: string;
  QSTASH_TOKEN: string;
  REDIS_TIMEOUT_MS: string;
};
/** Whoever meets no fault waits as long as it takes: a busy machine is not one. */
const CALM_REDIS_TIMEOUT_MS = "10000";
type Namespace = { getByName: (name: string) => object };
type Bindings = Addresses & { POST_ROOM: Namespace; USER_ROOM: Namespace };

export type TapsOptions<Env> = {
  env: Env;
  /** Takes what is published, instead of QStash. */
  takeJob?: (job: { body: string; deduplicationId: string; isolate: string }) => void;
};

export type Tapped<Env> = { env: Env; died: Promise<void> };

/** Hosts under which tapped Workers reach their upstreams. */
const HOSTS = { db: "db.chaos", redis: "redis.chaos", qstash: "qstash.chaos" } as const;

/**
 * Puts itself in front of `fetch`.
 * @returns how to make the environment of one request
 */
export function installTaps<Env extends object>({ env, takeJob }: TapsOptions<Env>) {
  const real = env as unknown as Bindings;
  const taps = new Map<string, Tap>();
  const realFetch = globalThis.fetch;
  let last = 0;

  const database = new URL(real.DATABASE_URL.replace(/^mysql:/, "http:"));
  const targets = {
    [HOSTS.db]: {
      upstream: "db",
      origin: database.origin,
      authorization: `Basic ${btoa(`${database.username}:${database.password}`)}`,
    },
    [HOSTS.redis]: {
      upstream: "redis",
      origin: real.UPSTASH_REDIS_REST_URL,
      authorization: `Bearer ${real.UPSTASH_REDIS_REST_TOKEN}`,
    },
    [HOSTS.qstash]: {
      upstream: "qstash",
      origin: real.QSTASH_URL,
      authorization: `Bearer ${real.QSTASH_TOKEN}`,
    },
  } as const;

  globalThis.fetch = async function tappedFetch(input: RequestInfo | URL, init?: RequestInit) {
    const text = input instanceof Request ? input.url : String(input);
    const url = new URL(text);
    const host = Object.values(HOSTS).find(
      (name) => url.hostname === name || url.hostname.endsWith(`.${name}`),
    );
    if (!host) return realFetch(input, init);
    const { upstream, origin, authorization } = targets[host];
    const headers = new Headers(init?.headers);
    const tap = taps.get(tagOf(headers.get("authorization") ?? ""));
    if (!tap) throw new Error("a call of nobody's");
    headers.set("authorization", authorization);
    const { signal, ...rest } = init ?? {};
    const call = async (heeded?: AbortSignal): Promise<Response> => {
      if (upstream === "qstash" && takeJob) {
        const deduplicationId = headers.get("upstash-deduplication-id") ?? "";
        takeJob({
          body: typeof init?.body === "string" ? init.body : "",
          deduplicationId,
          isolate: tap.isolate,
        });
        return Response.json({ messageId: `msg_${crypto.randomUUID()}` }, { status: 201 });
      }
      return realFetch(`${origin}${text.slice(url.origin.length)}`, {
        ...rest,
        headers,
        ...(heeded ? { signal: heeded } : {}),
      });
    };
    const broken = () => Response.json({ error: "internal error" }, { status: 500 });
    return tap.pass(upstream, call, { signal, broken, halve: halfOf });
  };

  function tapped(namespace: Namespace, tap: Tap): Namespace {
    return {
      getByName: (name) =>
        new Proxy(namespace.getByName(name) as Record<string, (...args: unknown[]) => Promise<unknown>>, {
          get:
            (stub, method: string) =>
            (...args: unknown[]) =>
              tap.pass("room", async () => stub[method]?.(...args)),
        }),
    };
  }

  return {
    /**
     * @param isolate requests of one isolate share what it remembers of Redis
     * @param isCalm whether faults have ended: whoever lives goes on without them
     */
    tap(fault: Fault | null, isolate: string, isCalm: () => boolean = () => false): Tapped<Env> {
      const tag = `tap-${(last += 1)}`;
      const tap = new Tap(fault, isolate, isCalm);
      taps.set(tag, tap);
      const bindings: Bindings = {
        ...real,
        DATABASE_URL: `http://${tag}:x@${HOSTS.db}`,
        UPSTASH_REDIS_REST_URL: `http://${isolate}.${HOSTS.redis}`,
        UPSTASH_REDIS_REST_TOKEN: tag,
        QSTASH_URL: `http://${HOSTS.qstash}`,
        QSTASH_TOKEN: tag,
        ...(fault ? {} : { REDIS_TIMEOUT_MS: CALM_REDIS_TIMEOUT_MS }),
        POST_ROOM: tapped(real.POST_ROOM, tap),
        USER_ROOM: tapped(real.USER_ROOM, tap),
      };
      return { env: bindings as unknown as Env, died: tap.died };
    },
  };
}

function tagOf(authorization: string): string {
  const [scheme, credentials = ""] = authorization.split(" ");
  return scheme === "Basic" ? (atob(credentials).split(":")[0] ?? "") : credentials;
}
