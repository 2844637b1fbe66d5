/**
 * Watches the HTTP calls that the code under test makes to its upstreams. The watch is on `fetch` of the isolate
 * that the tests run in, so other programs that call the same gateways do not disturb it.
 * @module
 */
import { inject, onTestFinished, vi } from "vitest";

export { roundTrips } from "../../dev/gateways/round-trips.ts";

/** Times are milliseconds of one clock; `endedAt` is undefined while the call runs. */
export type UpstreamCall = {
  upstream: "db" | "redis" | "qstash";
  /** The SQL text, or the pipeline as JSON. */
  text: string;
  startedAt: number;
  endedAt: number | undefined;
};

export type Watch = {
  /** What a request waited for. */
  during: <T>(request: () => Promise<T>) => Promise<{ answer: T; calls: UpstreamCall[] }>;
};

/**
 * @param delayMs added to each call, so that calls side by side can be told from calls after each other, and those that
 * the answer waits for from those behind it
 */
export function watchUpstreams(delayMs = 25): Watch {
  const { planetscale, upstash, qstash } = inject("cloud");
  const kinds = { [planetscale]: "db", [upstash]: "redis", [qstash]: "qstash" } as const;
  const original = globalThis.fetch;
  let calls: UpstreamCall[] = [];
  const spy = vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const upstream = kinds[new URL(input instanceof Request ? input.url : input).origin];
    if (!upstream) return original(input, init);
    const call: UpstreamCall = {
      upstream,
      text: textOf(init?.body),
      startedAt: performance.now(),
      endedAt: undefined,
    };
    calls.push(call);
    try {
      await scheduler.wait(delayMs);
      const response = await original(input, init);
      // The call lasts until its body has arrived.
      const body = await response.arrayBuffer();
      return new Response(body, { status: response.status, headers: response.headers });
    } finally {
      call.endedAt = performance.now();
    }
  });
  onTestFinished(() => {
    spy.mockRestore();
  });
  return {
    async during(request) {
      calls = [];
      const answer = await request();
      return { answer, calls: calls.filter((call) => call.endedAt !== undefined) };
    },
  };
}

/** The statements among the calls. */
export function statements(calls: UpstreamCall[]): string[] {
  return calls.filter((call) => call.upstream === "db").map((call) => call.text);
}

function textOf(body: unknown): string {
  if (typeof body !== "string") return "";
  const parsed: unknown = JSON.parse(body);
  return parsed !== null && typeof parsed === "object" && "query" in parsed ? String(parsed.query) : body;
}
