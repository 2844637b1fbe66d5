/** How long the client waits before it tries again: at random, for longer each time, and for as long as the server asks. */
import { setImmediate as turn } from "node:timers/promises";
import { beforeEach, describe, it, onTestFinished, vi } from "vitest";
import { LiveForum, type LiveForumOptions, type SavedSession } from "../../client/src/client.ts";
import { fullJitter } from "../../client/src/waiting.ts";

/** What `Math.random` gives: every wait is this part of the longest. */
const DRAWN = 0.5;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
  const random = vi.spyOn(Math, "random").mockReturnValue(DRAWN);
  return () => {
    random.mockRestore();
    vi.useRealTimers();
  };
});

type Answer = { status: number; body?: unknown; headers?: Record<string, string> } | "lost";
const busy = (status: number, retryAfter?: string): Answer => ({
  status,
  headers: retryAfter === undefined ? {} : { "retry-after": retryAfter },
});
const EMPTY: Answer = { status: 200, body: { items: [], nextCursor: null } };

/** A server that gives these answers, the last one for ever, and when it was asked. */
function server(...answers: Answer[]) {
  const asked: number[] = [];
  const paths: string[] = [];
  const call: typeof fetch = async (input) => {
    asked.push(Date.now());
    paths.push(new URL(input instanceof Request ? input.url : input).pathname);
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    if (answer === undefined || answer === "lost") throw new TypeError("network down");
    return Response.json(answer.body ?? null, { status: answer.status, headers: answer.headers ?? {} });
  };
  return {
    fetch: call,
    paths,
    times: () => asked.length,
    /** Milliseconds between one call and the next. */
    pauses: () => asked.slice(1).map((at, index) => at - (asked[index] ?? 0)),
  };
}

const forumOf = (fetch: typeof globalThis.fetch, options: LiveForumOptions = {}) =>
  new LiveForum({ url: "https://forum.example.org", fetch, ...options });

/** Lets time pass until the work is done. @returns what it comes to */
async function played<T>(work: Promise<T>): Promise<T> {
  let done = false;
  const settled = work.finally(() => {
    done = true;
  });
  settled.catch(() => undefined);
  for (;;) {
    // What no timer is for goes on first.
    await turn();
    if (done) return settled;
    if (vi.getTimerCount() > 0) await vi.advanceTimersToNextTimerAsync();
  }
}

const readBoards = (forum: LiveForum) => played(forum.boards.list().page());

describe("full jitter", () => {
  const bounds = (drawn: number) => {
    vi.mocked(Math.random).mockReturnValue(drawn);
    return [0, 1, 2, 3, 4, 5, 60].map((attempt) => fullJitter(attempt, 500, 8_000));
  };

  it("may be nothing, and is at most a time that doubles up to the longest", ({ expect }) => {
    expect(bounds(0)).toEqual([0, 0, 0, 0, 0, 0, 0]);
    expect(bounds(1)).toEqual([500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
  });

  it("is drawn evenly from all of that, anew each time", ({ expect }) => {
    expect(bounds(0.25)).toEqual([125, 250, 500, 1_000, 2_000, 2_000, 2_000]);
    vi.mocked(Math.random).mockReturnValueOnce(0.1).mockReturnValueOnce(0.9);
    expect([fullJitter(0, 100, 100), fullJitter(0, 100, 100)]).toEqual([10, 90]);
  });
});

describe("a call", () => {
  it("that is not answered is sent again after times that double, three times at most", async ({
    expect,
  }) => {
    const { fetch, pauses } = server("lost", busy(503), busy(500), busy(502));
    await expect(readBoards(forumOf(fetch))).rejects.toMatchObject({ status: 502 });
    expect(pauses()).toEqual([250, 500, 1_000]);
  });

  it.for([429, 503])(
    "that is answered %i waits for as long as the server asks, and for a random time on top",
    async (status, { expect }) => {
      const { fetch, pauses } = server(busy(status, "2"), busy(status, "0"), busy(status), EMPTY);
      await readBoards(forumOf(fetch));
      expect(pauses()).toEqual([2_250, 500, 1_000]);
    },
  );

  it("waits for half a minute, and tells the caller where the server asks for more", async ({ expect }) => {
    const patient = server(busy(503, "30"), EMPTY);
    await readBoards(forumOf(patient.fetch));
    expect(patient.pauses()).toEqual([30_250]);
    const impatient = server(busy(503, "31"), EMPTY);
    await expect(readBoards(forumOf(impatient.fetch))).rejects.toMatchObject({ retryAfterMs: 31_000 });
    expect(impatient.times()).toBe(1);
  });

  it("takes a hint that is no number of seconds for none", async ({ expect }) => {
    const { fetch, pauses } = server(busy(503, "Sun, 06 Nov 2094 08:49:37 GMT"), EMPTY);
    await readBoards(forumOf(fetch));
    expect(pauses()).toEqual([250]);
  });
});

describe("a session that has run out", () => {
  const user: SavedSession["user"] = {
    id: 1,
    username: "ann",
    role: "user",
    createdAt: "2026-11-22T00:00:00.000Z",
  };
  const expired = (): SavedSession => ({
    user,
    accessToken: "old",
    refreshToken: "r",
    expiresAt: Date.now(),
  });
  const RENEWED: Answer = {
    status: 200,
    body: { user, accessToken: "new", expiresIn: 900, refreshToken: "s" },
  };
  const REFRESH = "/api/auth/refresh";

  it("is renewed again soon where no answer came: the old token is good for ten seconds more", async ({
    expect,
  }) => {
    const { fetch, paths, pauses } = server("lost", "lost", RENEWED, EMPTY);
    await readBoards(forumOf(fetch, { session: expired() }));
    expect(paths).toEqual([REFRESH, REFRESH, REFRESH, "/api/boards"]);
    expect(pauses()).toEqual([125, 250, 0]);
  });

  it("is left alone for as long as the server asks, by the call that needs it", async ({ expect }) => {
    const { fetch, paths, pauses } = server(busy(429, "4"), RENEWED, EMPTY);
    await readBoards(forumOf(fetch, { session: expired() }));
    expect(paths).toEqual([REFRESH, REFRESH, "/api/boards"]);
    expect(pauses()).toEqual([4_250, 0]);
  });
});

describe("a room", () => {
  const session: SavedSession = {
    user: { id: 1, username: "ann", role: "user", createdAt: "2026-11-22T00:00:00.000Z" },
    accessToken: "token",
    refreshToken: "r",
    // Not renewed within these tests.
    expiresAt: Date.now() + 20 * 86_400_000,
  };

  /** Upgrades that fail without saying why. */
  class NoSocket extends EventTarget {
    readyState = 3;
    constructor() {
      super();
      queueMicrotask(() => this.dispatchEvent(Object.assign(new Event("close"), { code: 1006 })));
    }
    close(): void {
      // It never opened.
    }
  }

  /** Lets a room try to be entered so many times. Every failed upgrade is followed by a call that says why. */
  async function attempts(times: number, ...answers: Answer[]): Promise<number[]> {
    const site = server(...answers);
    // A trusted cast: the room uses no more of a socket than this.
    const WebSocket = NoSocket as unknown as typeof globalThis.WebSocket;
    const room = forumOf(site.fetch, { session, WebSocket }).room("post:1");
    onTestFinished(() => {
      room.close();
    });
    while (site.times() < times) {
      await turn();
      if (site.times() < times && vi.getTimerCount() > 0) await vi.advanceTimersToNextTimerAsync();
    }
    return site.pauses();
  }

  it("is tried again after times that double up to ten seconds", async ({ expect }) => {
    expect(await attempts(8, busy(503))).toEqual([501, 1_001, 2_001, 4_001, 5_001, 5_001, 5_001]);
  });

  it("is left alone for as long as the server asks, however long that is", async ({ expect }) => {
    expect(await attempts(4, busy(429, "3"), busy(503, "600"), busy(503))).toEqual([3_501, 601_001, 2_001]);
  });

  it("is tried at once when the network comes back", async ({ expect }) => {
    const window = new EventTarget();
    vi.stubGlobal("addEventListener", window.addEventListener.bind(window));
    vi.stubGlobal("removeEventListener", window.removeEventListener.bind(window));
    onTestFinished(() => {
      vi.unstubAllGlobals();
    });
    const site = server(busy(503, "600"));
    const WebSocket = NoSocket as unknown as typeof globalThis.WebSocket;
    const room = forumOf(site.fetch, { session, WebSocket }).room("post:1");
    onTestFinished(() => {
      room.close();
    });
    const triedAgain = async (times: number) => {
      while (site.times() < times) await turn();
    };
    await triedAgain(1);
    await turn();
    window.dispatchEvent(new Event("online"));
    await triedAgain(2);
    expect(site.pauses()).toEqual([0]);
  });
});
