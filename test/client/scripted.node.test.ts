/** The client against a server that answers out of order, too late or not as it should: each turn is written down here. */
import { setImmediate as turn } from "node:timers/promises";
import { beforeEach, describe, it, onTestFinished, vi } from "vitest";
import {
  type Comment,
  type EndReason,
  LiveForum,
  type LiveForumOptions,
  type Post,
  type SavedSession,
} from "../../client/src/client.ts";
import type { Ready, RoomComment } from "../../client/src/generated/frames.ts";

const AT = "2026-11-30T05:10:00.000Z";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
  vi.spyOn(Math, "random").mockReturnValue(0.5);
  return () => {
    vi.restoreAllMocks();
    vi.useRealTimers();
  };
});

/** Lets so much time pass, and what no timer is for go on. */
async function pass(ms: number): Promise<void> {
  for (let step = 0; step < 20; step += 1) {
    await vi.advanceTimersByTimeAsync(ms / 20);
    await turn();
  }
}

type Call = { name: string; token: string | null; query: URLSearchParams };

/** A socket whose other side is played by the test. */
class Socket extends EventTarget {
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
function serverOf(answer: (call: Call) => unknown, open: (socket: Socket) => void) {
  const calls: Call[] = [];
  const sockets: Socket[] = [];
  const call: typeof fetch = async (input, init) => {
    const { pathname, searchParams: query } = new URL(input instanceof Request ? input.url : input);
    const token = new Headers(init?.headers).get("authorization");
    const asked = { name: `${init?.method} ${pathname}`, token, query };
    calls.push(asked);
    const answered = await answer(asked);
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

const userOf = (id: number) => ({ id, username: `user${id}`, role: "user" as const, createdAt: AT });
const savedOf = (id: number): SavedSession => ({
  user: userOf(id),
  accessToken: `of ${id}`,
  refreshToken: "r",
  // Longer than any of these tests.
  expiresAt: Date.now() + 20 * 86_400_000,
});
const sessionOf = (id: number, accessToken = `of ${id}`) => ({
  user: userOf(id),
  accessToken,
  refreshToken: "s",
  expiresIn: 20 * 86_400,
});
const problem = (status: number, code: string) =>
  Response.json({ status, code, detail: code, requestId: "x" }, { status });

const ready = (seq: number, resume: Ready["resume"]): Ready => ({
  type: "ready",
  room: "post:7",
  epoch: "e",
  seq,
  resume,
  viewers: 1,
});
const comment = (id: number): Comment => ({
  id,
  postId: 7,
  author: null,
  content: `number ${id}`,
  likeCount: 0,
  version: 1,
  createdAt: AT,
  updatedAt: AT,
  deletedAt: null,
  likedByMe: false,
});
const added = (seq: number, id: number) => {
  const { likedByMe: _, ...data } = comment(id);
  return { type: "comment_added", room: "post:7", seq, at: AT, data: data satisfies RoomComment };
};
const postWith = (change: Partial<Post>): Post => ({
  id: 7,
  board: { id: 1, name: "Board", slug: "board" },
  author: null,
  title: "Title",
  content: "Content",
  viewCount: 1,
  likeCount: 0,
  commentCount: 1,
  version: 1,
  createdAt: AT,
  updatedAt: AT,
  likedByMe: false,
  ...change,
});

/** Something that is answered when the test says so. */
function held() {
  let release: (answer: unknown) => void = () => undefined;
  const answer = new Promise<unknown>((resolve) => {
    release = resolve;
  });
  return { answer, release };
}

const REFRESH = "POST /api/auth/refresh";
const EVENTS = "GET /api/rooms/post:7/events";

describe("a refresh under way", () => {
  /** Somebody whose token is refused, and whose refresh is answered by the test. */
  async function refreshing() {
    const refresh = held();
    const server = serverOf(
      ({ name, token }) => {
        if (name === REFRESH) return refresh.answer;
        if (name === "POST /api/auth/login") return sessionOf(2);
        if (name === "POST /api/auth/logout") return new Response(null, { status: 204 });
        return token === "Bearer of 1" ? problem(401, "token_expired") : userOf(2);
      },
      () => undefined,
    );
    const forum = server.forum();
    const call = forum.users.me().then(
      ({ id }) => id,
      (error: Error) => error.name,
    );
    await turn();
    return { refresh, server, forum, call };
  }

  it("does not bring back whoever has signed out meanwhile", async ({ expect }) => {
    const { refresh, server, forum, call } = await refreshing();
    await forum.auth.logout();
    refresh.release(sessionOf(1, "renewed"));
    expect(await call).toBe("SessionEndedError");
    expect(forum.session).toBe(null);
    expect(server.callsOf(REFRESH)).toHaveLength(1);
  });

  it.for([
    ["that succeeds", sessionOf(1, "renewed")],
    ["that is refused", "refused"],
  ] as const)("%s, does not touch whoever has signed in meanwhile", async ([, answer], { expect }) => {
    const { refresh, forum, call } = await refreshing();
    await forum.auth.login({ email: "b@example.com", password: "correct horse" });
    refresh.release(answer === "refused" ? problem(401, "unauthenticated") : answer);
    await call;
    expect(forum.session).toMatchObject({ user: { id: 2 }, accessToken: "of 2" });
  });

  it("that brings a cookie is waited for before somebody signs in", async ({ expect }) => {
    const refresh = held();
    const { forum, callsOf } = serverOf(
      ({ name }) => (name === REFRESH ? refresh.answer : sessionOf(2)),
      () => undefined,
    );
    const browser = forum({ refreshToken: "cookie", session: { ...savedOf(1), expiresAt: Date.now() } });
    const call = browser.users.me().catch(() => undefined);
    await turn();
    const login = browser.auth.login({ email: "b@example.com", password: "correct horse" });
    await turn();
    expect(callsOf("POST /api/auth/login")).toHaveLength(0);
    refresh.release(sessionOf(1, "renewed"));
    await login;
    await call;
    expect(browser.session).toMatchObject({ user: { id: 2 } });
  });
});

it("a client that was closed still signs out", async ({ expect }) => {
  const { forum } = serverOf(
    () => new Response(null, { status: 204 }),
    () => undefined,
  );
  const browser = forum({ refreshToken: "cookie" });
  browser.close();
  await browser.auth.logout();
  expect(browser.session).toBe(null);
});

describe("a room", () => {
  it("is read anew when somebody else signs in, who may see other things in it", async ({ expect }) => {
    const { sockets, forum } = serverOf(
      () => sessionOf(2),
      (socket) => socket.tell(ready(5, socket.url.search === "" ? "fresh" : "replayed")),
    );
    const client = forum();
    const room = client.room("post:7");
    const resyncs: string[] = [];
    room.addEventListener("resync", ({ frame }) => resyncs.push(frame.reason));
    await pass(1_000);
    sockets[0]?.close(1006);
    await pass(1_000);
    expect(resyncs).toEqual(["joined"]);
    await client.auth.login({ email: "b@example.com", password: "correct horse" });
    await pass(1_000);
    expect(sockets).toHaveLength(3);
    expect(resyncs).toEqual(["joined", "missed"]);
  });

  /** A room that is polled because upgrades fail. @param poll what is answered @param upgrade what becomes of them later */
  async function polled(poll: () => unknown, upgrade: (socket: Socket) => void) {
    let failing = true;
    const { sockets, callsOf, forum } = serverOf(
      ({ query }) => {
        if (query.get("after") === null) return { frames: [ready(5, "fresh")] };
        // Only whoever waits gets what the test gives.
        return query.get("wait") === "0" ? { frames: [ready(5, "replayed")] } : poll();
      },
      (socket) => (failing ? socket.close(1006) : upgrade(socket)),
    );
    const room = forum().room("post:7");
    const heard: number[] = [];
    room.addEventListener("comment_added", ({ frame }) => heard.push(frame.data.id));
    while (room.transport !== "long-poll") await pass(500);
    failing = false;
    return { room, heard, sockets, polls: () => callsOf(EVENTS).length };
  }

  it("that is polled and too full for a socket is polled on", async ({ expect }) => {
    const waiting: ReturnType<typeof held>[] = [];
    const { room, heard, sockets } = await polled(
      () => {
        const next = held();
        waiting.push(next);
        return next.answer;
      },
      (socket) => {
        socket.tell();
        socket.close(4503);
      },
    );
    const before = sockets.length;
    for (let step = 0; step < 40 && sockets.length === before; step += 1) {
      // As a server does whose time is up.
      for (const poll of waiting.splice(0)) poll.release({ frames: [ready(5, "replayed")] });
      await pass(1_000);
    }
    expect(sockets.length).toBeGreaterThan(before);
    await pass(1_000);
    expect([room.state, room.transport]).toEqual(["live", "long-poll"]);
    for (const poll of waiting.splice(0)) poll.release({ frames: [ready(6, "replayed"), added(6, 1)] });
    await pass(1_000);
    expect(heard).toEqual([1]);
    expect(sockets).toHaveLength(before + 1);
  });

  it("whose polls are not let wait is not asked without end", async ({ expect }) => {
    const { polls } = await polled(
      async () => {
        await turn();
        return { frames: [ready(5, "replayed")] };
      },
      (socket) => socket.close(1006),
    );
    const before = polls();
    await pass(9_000);
    expect(polls() - before).toBeGreaterThan(3);
    expect(polls() - before).toBeLessThan(12);
  });
});

describe("a thread", () => {
  /** @param posts what each reading of the post gives, the last one for ever */
  async function threadOf(posts: unknown[], comments: number, maxComments = 100) {
    const items = Array.from({ length: comments }, (_, index) => comment(index + 1));
    const { sockets, forum } = serverOf(
      ({ name }) => {
        if (name.endsWith("/comments")) return { items, nextCursor: null };
        return posts.length > 1 ? posts.shift() : posts[0];
      },
      (socket) => socket.tell(ready(5, "fresh")),
    );
    const thread = forum().thread(7, { maxComments });
    await pass(100);
    return { thread, tell: (...frames: object[]) => sockets[0]?.tell(...frames) };
  }

  it("asks again whether its reader likes the post where that could not be told", async ({ expect }) => {
    const [unsure, sure] = [postWith({ likedByMe: null }), postWith({ likedByMe: true })];
    const { thread, tell } = await threadOf([unsure, unsure, sure], 1);
    expect(thread.view).toMatchObject({ state: "live", post: { likedByMe: null } });
    tell(added(6, 2));
    await pass(5_000);
    expect(thread.view).toMatchObject({ state: "live", post: { likedByMe: true } });
    expect(thread.view?.comments.map(({ likedByMe }) => likedByMe)).toEqual([false, false]);
    thread.close();
  });

  it("of which not all is kept never goes back to an older count, and says so at once", async ({
    expect,
  }) => {
    const slow = held();
    const posts = [postWith({ commentCount: 1 }), slow.answer, postWith({ commentCount: 3 })];
    const { thread, tell } = await threadOf(posts, 1, 1);
    expect(thread.view?.complete).toBe(true);
    const views: (boolean | undefined)[] = [];
    thread.addEventListener("view", ({ view }) => views.push(view.complete));
    tell(added(6, 2));
    await turn();
    expect(views).toEqual([false]);
    await pass(2_000);
    tell(added(7, 3));
    await pass(2_000);
    slow.release(postWith({ commentCount: 2 }));
    await pass(2_000);
    expect(thread.view?.post.commentCount).toBe(3);
    thread.close();
  });

  it("that cannot be read says that it ended with an error", async ({ expect }) => {
    const refused = held();
    const { thread } = await threadOf([refused.answer], 1);
    const ends: EndReason[] = [];
    thread.addEventListener("close", ({ reason }) => ends.push(reason));
    refused.release(problem(403, "forbidden"));
    await thread.closed;
    expect([thread.state, ...ends]).toEqual(["closed", "error"]);
  });
});
