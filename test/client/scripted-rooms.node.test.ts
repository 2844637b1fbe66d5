/** Rooms and threads of a server that answers out of order, or not as it should: each turn is written down here. */
import { beforeEach, describe, it } from "vitest";
import type { Comment, EndReason, Post } from "../../client/src/client.ts";
import type { Ready, RoomComment } from "../../client/src/generated/frames.ts";
import {
  AT,
  held,
  pass,
  problem,
  serverOf,
  sessionOf,
  type Socket,
  takeClock,
  turn,
} from "../support/node/scripted-server.ts";

beforeEach(takeClock);

const EVENTS = "GET /api/rooms/post:7/events";

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
      ({ name, query }) => {
        if (name === "POST /api/auth/login") return sessionOf(2);
        if (query.get("after") === null) return { frames: [ready(5, "fresh")] };
        // Only whoever waits gets what the test gives.
        return query.get("wait") === "0" ? { frames: [ready(5, "replayed")] } : poll();
      },
      (socket) => (failing ? socket.close(1006) : upgrade(socket)),
    );
    const client = forum();
    const room = client.room("post:7");
    const heard: number[] = [];
    room.addEventListener("comment_added", ({ frame }) => heard.push(frame.data.id));
    while (room.transport !== "long-poll") await pass(500);
    failing = false;
    return { client, room, heard, sockets, calls: () => callsOf(EVENTS) };
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

  it("that is polled is entered anew at once when somebody else signs in", async ({ expect }) => {
    const waiting = held();
    const { client, room, calls } = await polled(
      () => waiting.answer,
      (socket) => socket.close(1006),
    );
    const resyncs: string[] = [];
    room.addEventListener("resync", ({ frame }) => resyncs.push(frame.reason));
    await client.auth.login({ email: "b@example.com", password: "correct horse" });
    await pass(1_000);
    expect(resyncs).toEqual(["missed"]);
    expect(calls().at(-1)?.token).toBe("Bearer of 2");
    expect(room.state).toBe("live");
  });

  it("whose polls are not let wait is not asked without end", async ({ expect }) => {
    const { calls } = await polled(
      async () => {
        await turn();
        return { frames: [ready(5, "replayed")] };
      },
      (socket) => socket.close(1006),
    );
    const before = calls().length;
    await pass(9_000);
    expect(calls().length - before).toBeGreaterThan(3);
    expect(calls().length - before).toBeLessThan(12);
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
