/** The client package's rooms and threads, over a network that fails on demand. */
import { afterAll, afterEach, beforeAll, describe, it } from "vitest";
import {
  type ConnectionState,
  LiveForum,
  type Room,
  RoomClosedError,
  type RoomEvent,
  SessionEndedError,
  type StateEvent,
  type Thread,
} from "../../client/src/client.ts";
import type { TypedEventTarget } from "../../client/src/events.ts";
import { eventually, openStage, restText, shownText, type Stage } from "../support/node/client-stage.ts";
import type { FaultProxy } from "../support/node/fault-proxy.ts";

let stage: Stage;
let proxy: FaultProxy;
let proxyUrl: string;

beforeAll(async () => {
  stage = await openStage(1);
  const [site] = stage.sites;
  if (!site) throw new Error("no proxy");
  ({ proxy, url: proxyUrl } = site);
});
afterEach(() => {
  proxy.blockUpgrades = false;
  proxy.shortTokens = undefined;
  proxy.loseAnswers = 0;
  proxy.otherEpoch = false;
  proxy.heal();
});
afterAll(() => stage.close());

/** A client with a new account, through the proxy. */
const newForum = () => stage.forum(proxyUrl);

/** Somebody whose network is good. */
const newWriter = () => stage.forum();

const until = (what: string, look: () => boolean) => eventually(() => what, look);

/** The states that a room or a thread goes through. */
function statesOf(target: TypedEventTarget<{ state: StateEvent }>): ConnectionState[] {
  const states: ConnectionState[] = [];
  target.addEventListener("state", ({ state }) => states.push(state));
  return states;
}

/** Everything that a room tells. */
function listen(room: Room): { events: RoomEvent[]; over: Promise<unknown> } {
  const events: RoomEvent[] = [];
  const over = (async () => {
    for await (const event of room) events.push(event);
    return undefined;
  })().catch((error: unknown) => error);
  return { events, over };
}

const isLive = (target: { state: ConnectionState }) => target.state === "live";

async function equal(thread: Thread, forum: LiveForum, postId: number): Promise<void> {
  let rest = "";
  await eventually(
    () => `the thread to be as REST has it: ${thread.view && shownText(thread.view)} is not ${rest}`,
    async () => {
      rest = await restText(forum, postId);
      return thread.view !== undefined && shownText(thread.view) === rest;
    },
  );
}

describe("a room", () => {
  it("begins with a resync, and tells every event once and in order through drops and stalls", async ({
    expect,
  }) => {
    const forum = await newForum();
    const writer = await newWriter();
    const post = await stage.post(writer);
    const room = forum.room(`post:${post.id}`);
    const states = statesOf(room);
    const { events, over } = listen(room);
    await until("live", () => isLive(room));
    expect(events[0]).toEqual({ type: "resync", reason: "joined" });
    const write = async (first: number, last: number) => {
      for (let number = first; number <= last; number += 1) {
        await writer.comments.create(post.id, { content: `number ${number}` });
      }
    };
    await write(1, 3);
    proxy.refuse();
    await until("offline", () => room.state === "offline");
    await write(4, 6);
    proxy.heal();
    await until("live again", () => isLive(room));
    await write(7, 8);
    proxy.stall();
    await until("the stall to be noticed", () => room.state === "offline");
    await write(9, 9);
    proxy.heal();
    await until("live again", () => isLive(room));
    await write(10, 10);
    await until("all events", () => events.filter(({ type }) => type === "comment_added").length >= 10);
    const added = events.filter((event) => event.type === "comment_added");
    expect(added.map(({ data }) => data.content)).toEqual(
      Array.from({ length: 10 }, (_, index) => `number ${index + 1}`),
    );
    expect(added.map(({ seq }) => seq)).toEqual(Array.from({ length: 10 }, (_, index) => index + 1));
    expect(events.filter(({ type }) => type === "resync")).toHaveLength(1);
    room.close();
    expect(await over).toBe(undefined);
    await room.closed;
    expect(states.join(" ")).toBe(
      "catching-up live offline catching-up live offline catching-up live closed",
    );
  });

  it("is polled where upgrades do not get through, and goes back to a socket when they do", async ({
    expect,
  }) => {
    const forum = await newForum();
    const writer = await newWriter();
    const post = await stage.post(writer);
    proxy.blockUpgrades = true;
    const room = forum.room(`post:${post.id}`);
    const { events } = listen(room);
    await until("live by polling", () => isLive(room));
    await writer.comments.create(post.id, { content: "polled" });
    await until("the event", () => events.some((event) => event.type === "comment_added"));
    const states = statesOf(room);
    const before = proxy.upgrades;
    proxy.blockUpgrades = false;
    await until("a socket", () => proxy.upgrades > before);
    await writer.comments.create(post.id, { content: "more" });
    await until("the next event", () => events.filter(({ type }) => type === "comment_added").length === 2);
    expect(states).toEqual([]);
  });

  it("stays live when its token is replaced in time, and comes back when it ended unexpectedly", async ({
    expect,
  }) => {
    const writer = await newWriter();
    const post = await stage.post(writer);
    // Told so early that a busy machine is in time. The first token ends all the same.
    proxy.shortTokens = { seconds: 16, told: 6 };
    const forum = await newForum();
    const room = forum.room(`post:${post.id}`);
    const { events } = listen(room);
    await until("live", () => isLive(room));
    const states = statesOf(room);
    const before = proxy.refreshes;
    const endedAt = Date.now() + 17_000;
    await until("refreshes beyond its end", () => proxy.refreshes >= before + 2 && Date.now() > endedAt);
    expect(states).toEqual([]);
    proxy.shortTokens = { seconds: 2, told: "15 minutes" };
    await until("an end", () => states.includes("offline"));
    await writer.comments.create(post.id, { content: "after the end" });
    await until("live again", () => isLive(room) && events.some(({ type }) => type === "comment_added"));
  });

  it("ends with a typed error when the session is revoked, when it is somebody else's, and when there is no post", async ({
    expect,
  }) => {
    const forum = await newForum();
    const { id: userId } = forum.auth.user ?? { id: 0 };
    const own = forum.room(`user:${userId}`);
    const { over } = listen(own);
    await until("live", () => isLive(own));
    const session = forum.session;
    if (!session) throw new Error("nobody is signed in");
    const elsewhere = new LiveForum({ url: stage.worker.url, session });
    await elsewhere.auth.logoutAll();
    expect(await over).toBeInstanceOf(SessionEndedError);
    expect(own.state).toBe("closed");
    expect(forum.session).toBe(null);

    const other = await newForum();
    const foreign = await listen(other.room(`user:${userId}`)).over;
    expect(foreign).toBeInstanceOf(RoomClosedError);
    expect(foreign).toMatchObject({ reason: "forbidden" });
    expect(await listen(other.room("post:999999999")).over).toMatchObject({ reason: "gone" });
    const anonymous = new LiveForum({ url: proxyUrl });
    expect(await listen(anonymous.room("post:1")).over).toBeInstanceOf(SessionEndedError);
  });
});

describe("a thread", () => {
  it("shows the post with its comments, and follows every change of them", async ({ expect }) => {
    const forum = await newForum();
    const writer = await newWriter();
    const post = await stage.post(writer);
    const first = await writer.comments.create(post.id, { content: "first" });
    const thread = forum.thread(post.id);
    const states = statesOf(thread);
    await until("live", () => isLive(thread));
    expect(states).toEqual(["catching-up", "live"]);
    await equal(thread, forum, post.id);
    const second = await writer.comments.create(post.id, { content: "second" });
    await writer.comments.update(first.id, { content: "first, edited" });
    await writer.posts.update(post.id, { title: "Another title" });
    await writer.posts.like(post.id);
    await forum.posts.like(post.id);
    await forum.comments.like(first.id);
    await writer.comments.delete(second.id);
    await equal(thread, forum, post.id);
    expect(thread.view).toMatchObject({
      post: { title: "Another title", likeCount: 2, likedByMe: true, commentCount: 1 },
      comments: [{ content: "first, edited", likedByMe: true, likeCount: 1 }, { content: null }],
      complete: true,
      deleted: false,
      viewers: 1,
      state: "live",
    });
    await writer.posts.delete(post.id);
    await thread.closed;
    expect(thread.view).toMatchObject({ deleted: true, state: "closed" });
  });

  it("gives each consumer the latest state, and closes when the loop is left", async ({ expect }) => {
    const forum = await newForum();
    const post = await stage.post(forum);
    const thread = forum.thread(post.id);
    const contents: number[] = [];
    for await (const view of thread) {
      contents.push(view.comments.length);
      if (view.state === "live" && view.comments.length === 0) {
        for (let number = 0; number < 5; number += 1)
          await forum.comments.create(post.id, { content: "more" });
        await until("five comments", () => thread.view?.comments.length === 5);
      } else if (view.comments.length === 5) break;
    }
    expect(contents.at(-1)).toBe(5);
    expect(contents.filter((count) => count > 0)).toEqual([5]);
    await thread.closed;
    expect(thread.state).toBe("closed");
  });

  it("keeps the oldest comments of a long thread, and the count of all", async ({ expect }) => {
    const forum = await newForum();
    const post = await stage.post(forum);
    for (let number = 0; number < 4; number += 1)
      await forum.comments.create(post.id, { content: `${number}` });
    const thread = forum.thread(post.id, { maxComments: 3 });
    await until("live", () => isLive(thread));
    await forum.comments.create(post.id, { content: "beyond" });
    await until("the count", () => thread.view?.post.commentCount === 5);
    expect(thread.view?.complete).toBe(false);
    expect(thread.view?.comments.map(({ content }) => content)).toEqual(["0", "1", "2"]);
    thread.close();
  });

  it("is read anew when the room does not remember what was missed", async ({ expect }) => {
    const forum = await newForum();
    const writer = await newWriter();
    const post = await stage.post(writer);
    const thread = forum.thread(post.id);
    const resyncs: string[] = [];
    thread.room.addEventListener("resync", ({ frame }) => resyncs.push(frame.reason));
    await until("live", () => isLive(thread));
    const states = statesOf(thread);
    proxy.refuse();
    await until("offline", () => thread.state === "offline");
    await writer.comments.create(post.id, { content: "while away" });
    proxy.otherEpoch = true;
    proxy.heal();
    await until("live again", () => isLive(thread));
    // More than once where a busy machine lets a connection drop again: no connection finds the epoch that it names.
    expect([...new Set(resyncs)]).toEqual(["joined", "missed"]);
    expect(states.slice(0, 2)).toEqual(["offline", "catching-up"]);
    await equal(thread, forum, post.id);
    expect(thread.view?.comments).toHaveLength(1);
    thread.close();
  });
});
