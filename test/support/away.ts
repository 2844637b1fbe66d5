/**
 * Upstreams that are away, for Workers in the test's own isolate: addresses at which nobody answers as he should.
 * @module
 */
export type Upstream = "db" | "redis" | "qstash";

/**
 * `refused`: no connection. `broken`: somebody in between says so, in HTML. `torn`: the connection ends in the middle of
 * the answer. `cut`: the answer ends there as if that were all.
 */
export const WAYS = ["refused", "broken", "torn", "cut"] as const;
export type Way = (typeof WAYS)[number];

const HALF_AN_ANSWER = '[{"result":{"fields":[{"name":"i';

function answerOf(way: Way): Response {
  if (way === "broken") return new Response("<html>502 Bad Gateway</html>", { status: 502 });
  const bytes = new TextEncoder().encode(HALF_AN_ANSWER);
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(bytes);
      if (way === "cut") controller.close();
    },
    pull(controller) {
      controller.error(new TypeError("Network connection lost."));
    },
  });
  return new Response(body, { headers: { "content-type": "application/json" } });
}

/** Calls in vain, by the host that is away. */
const away = new Map<string, { way: Way; calls: number }>();
const realFetch = globalThis.fetch;

globalThis.fetch = async function fetchUnlessAway(input: RequestInfo | URL, init?: RequestInit) {
  const host = away.get(new URL(input instanceof Request ? input.url : input).hostname);
  if (!host) return realFetch(input, init);
  host.calls += 1;
  if (host.way === "refused") throw new TypeError("Network connection lost.");
  return answerOf(host.way);
};

/** Settings of a Worker, and how often it has called in vain. */
export type Away = { settings: Record<string, string>; calls: () => number };

/** An upstream that is away. No two share an address, nor what an isolate remembers of it. */
export function takeAway(upstream: Upstream, way: Way): Away {
  const host = `${crypto.randomUUID()}.away`;
  away.set(host, { way, calls: 0 });
  const settings = {
    db: { DATABASE_URL: `http://lf:lf@${host}` },
    redis: { UPSTASH_REDIS_REST_URL: `http://${host}` },
    qstash: { QSTASH_URL: `http://${host}` },
  }[upstream];
  return { settings, calls: () => away.get(host)?.calls ?? 0 };
}
