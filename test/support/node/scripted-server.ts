/**
 * A server for the client package that a test plays: each answer and each frame comes when the test says so, on its clock.
 * @module
 */
import { setImmediate as turn } from "node:timers/promises";
import { onTestFinished, vi } from "vitest";
import { LiveForum, type LiveForumOptions, type SavedSession } from "../../../client/src/client.ts";

export { turn };

export const AT = "2026-11-30T05:10:00.000Z";

/** Stops the clock, and makes each random wait half of the longest. @returns how to let go of it */
export function takeClock(): () => void {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
  vi.spyOn(Math, "random").mockReturnValue(0.5);
  return () => {
    vi.restoreAllMocks();
    vi.useRealTimers();
  };
}

/** Lets so much time pass, and what no timer is for go on. */
export async function pass(ms: number): Promise<void> {
  for (let step = 0; step < 20; step += 1) {
    await vi.advanceTimersByTimeAsync(ms / 20);
    await turn();
  }
}

export type Call = { name: string; token: string | null; query: URLSearchParams };

/** A socket whose other side is played by the test. */
export class Socket extends EventTarget {
  readyState = 0;
  readonly url: URL;
  constructor(url: string, open: (socket: Socket) => void) {
    super();
    this.url = new URL(url);
    queueMicrotask(() => open(this));
  }
  send(): void {
    // Pings, and tokens: nobody looks.
  }
  tell(...frames: object[]): void {
    if (this.readyState === 0) {
      this.readyState = 1;
      this.dispatchEvent(new Event("open"));
    }
    for (const frame of frames)
      this.dispatchEvent(Object.assign(new Event("message"), { data: JSON.stringify(frame) }));
  }
  close(code = 1000): void {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.dispatchEvent(Object.assign(new Event("close"), { code }));
  }
}

/** A server that is all in the test's hands. */
export function serverOf(answer: (call: Call) => unknown, open: (socket: Socket) => void) {
  const calls: Call[] = [];
  const sockets: Socket[] = [];
  const call: typeof fetch = async (input, init) => {
    const { pathname, searchParams: query } = new URL(input instanceof Request ? input.url : input);
    const token = new Headers(init?.headers).get("authorization");
    const asked = { name: `${init?.method} ${pathname}`, token, query };
    calls.push(asked);
    init?.signal?.throwIfAborted();
    const answered = await Promise.race([
      answer(asked),
      new Promise<never>((_, reject) => {
        init?.signal?.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
      }),
    ]);
    return answered instanceof Response ? answered : Response.json(answered);
  };
  class ScriptedSocket extends Socket {
    constructor(url: string) {
      super(url, open);
      sockets.push(this);
    }
  }
  return {
    sockets,
    callsOf: (name: string) => calls.filter((each) => each.name === name),
    forum: (options: LiveForumOptions = {}): LiveForum => {
      // A trusted cast: no more of a socket than this is used.
      const WebSocket = ScriptedSocket as unknown as typeof globalThis.WebSocket;
      const forum = new LiveForum({
        url: "https://forum.example.org",
        fetch: call,
        WebSocket,
        session: savedOf(1),
        refreshToken: "memory",
        ...options,
      });
      onTestFinished(() => forum.close());
      return forum;
    },
  };
}

export const userOf = (id: number) => ({ id, username: `user${id}`, role: "user" as const, createdAt: AT });
export const savedOf = (id: number): SavedSession => ({
  user: userOf(id),
  accessToken: `of ${id}`,
  refreshToken: "r",
  // Longer than any of these tests.
  expiresAt: Date.now() + 20 * 86_400_000,
});
export const sessionOf = (id: number, accessToken = `of ${id}`) => ({
  user: userOf(id),
  accessToken,
  refreshToken: "s",
  expiresIn: 20 * 86_400,
});
export const problem = (status: number, code: string) =>
  Response.json({ status, code, detail: code, requestId: "x" }, { status });

/** Something that is answered when the test says so. */
export function held() {
  let release: (answer: unknown) => void = () => undefined;
  const answer = new Promise<unknown>((resolve) => {
    release = resolve;
  });
  return { answer, release };
}
