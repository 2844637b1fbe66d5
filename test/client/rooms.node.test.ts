/** The client package's rooms and threads, over a network that fails on demand. */
import { setTimeout as sleep } from "node:timers/promises";
import mysql, { type ResultSetHeader } from "mysql2/promise";
import { afterAll, afterEach, beforeAll, describe, inject, it, onTestFinished } from "vitest";
import {
  type ConnectionState,
  LiveForum,
  type Post,
  type Room,
  RoomClosedError,
  type RoomEvent,
  SessionEndedError,
  type StateEvent,
  type Thread,
  type ThreadView,
} from "../../client/src/client.ts";
import type { TypedEventTarget } from "../../client/src/events.ts";
import { FaultProxy } from "../support/node/fault-proxy.ts";
import { type LiveWorker, startLiveWorker } from "../support/node/live-worker.ts";

let proxy: FaultProxy;
let proxyUrl: string;
let worker: LiveWorker;
let boardId: number;

beforeAll(async () => {
  proxy = new FaultProxy(inject("cloud").settings["JWT_KEYS"] ?? "");
  proxyUrl = await proxy.listen();
  worker = await startLiveWorker();
  proxy.target = worker.url;
  const database = await mysql.createConnection(inject("cloud").mysql);
  const [{ insertId }] = await database.query<ResultSetHeader>(
    "insert into boards (name, slug, description, created_at) values ('Client', ?, '', now(3))",
    [`client-${crypto.randomUUID()}`],
  );
  await database.end();
  boardId = insertId;
});
afterEach(() => {
  proxy.blockUpgrades = false;
  proxy.shortTokens = undefined;
  proxy.loseAnswers = 0;
  proxy.otherEpoch = false;
  proxy.heal();
});
afterAll(async () => {
  await proxy.close();
  await worker.close();
});

/** A client with a new account. @param url through the proxy by default */
async function newForum(url = proxyUrl, pingIntervalMs = 1_000): Promise<LiveForum> {
  const forum = new LiveForum({ url, pingIntervalMs });
  onTestFinished(() => forum.close());
  const username = `u${crypto.randomUUID().replaceAll("-", "").slice(0, 16)}`;
  await forum.auth.register({ email: `${username}@example.com`, username, password: "correct horse" });
  return forum;
}

const newPost = (forum: LiveForum): Promise<Post> =>
  forum.posts.create({ boardId, title: "A post", content: "With a room" });

async function eventually(what: string, look: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpAt = Date.now() + 60_000;
  while (!(await look())) {
    if (Date.now() > giveUpAt) throw new Error(`waited in vain for ${what}`);
    await sleep(20);
  }
}

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

/** What REST says of a thread, as a view has it. */
async function byRest(forum: LiveForum, postId: number) {
  const [{ viewCount: _, ...post }, comments] = await Promise.all([
    forum.posts.get(postId),
    Array.fromAsync(forum.comments.list(postId, { limit: 100 })),
  ]);
  return { post, comments };
}

function shown(view: ThreadView | undefined) {
  if (!view) return undefined;
  const { viewCount: _, ...post } = view.post;
  return { post, comments: view.comments };
}

async function equal(thread: Thread, forum: LiveForum, postId: number): Promise<void> {
  let last = "";
  await eventually(`the thread to be as REST has it: ${last}`, async () => {
    const rest = await byRest(forum, postId);
    last = JSON.stringify([shown(thread.view), rest]);
    return JSON.stringify(shown(thread.view), sortedKeys) === JSON.stringify(rest, sortedKeys);
  });
}

/** Keys in the order of the alphabet, so that texts can be compared. */
function sortedKeys(_: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

describe("a room", () => {
  it("begins with a resync, and tells every event once and in order through drops and stalls", async ({
    expect,
  }) => {
    const forum = await newForum();
    const writer = await newForum(worker.url);
    const post = await newPost(writer);
    const room = forum.room(`post:${post.id}`);
    const states = statesOf(room);
    const { events, over } = listen(room);
    await eventually("live", () => isLive(room));
    expect(events[0]).toEqual({ type: "resync", reason: "joined" });
    const write = async (first: number, last: number) => {
      for (let number = first; number <= last; number += 1) {
        await writer.comments.create(post.id, { content: `number ${number}` });
      }
    };
    await write(1, 3);
    proxy.refuse();
    await eventually("offline", () => room.state === "offline");
    await write(4, 6);
    proxy.heal();
    await eventually("live again", () => isLive(room));
    await write(7, 8);
    proxy.stall();
    await eventually("the stall to be noticed", () => room.state === "offline");
    await write(9, 9);
    proxy.heal();
    await eventually("live again", () => isLive(room));
    await write(10, 10);
    await eventually("all events", () => events.filter(({ type }) => type === "comment_added").length >= 10);
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
    const writer = await newForum(worker.url);
    const post = await newPost(writer);
    proxy.blockUpgrades = true;
    const room = forum.room(`post:${post.id}`);
    const { events } = listen(room);
    await eventually("live by polling", () => isLive(room));
    await writer.comments.create(post.id, { content: "polled" });
    await eventually("the event", () => events.some((event) => event.type === "comment_added"));
    const states = statesOf(room);
    const before = proxy.upgrades;
    proxy.blockUpgrades = false;
    await eventually("a socket", () => proxy.upgrades > before);
    await writer.comments.create(post.id, { content: "more" });
    await eventually(
      "the next event",
      () => events.filter(({ type }) => type === "comment_added").length === 2,
    );
    expect(states).toEqual([]);
  });

  it("stays live when its token is replaced in time, and comes back when it ended unexpectedly", async ({
    expect,
  }) => {
    const writer = await newForum(worker.url);
    const post = await newPost(writer);
    proxy.shortTokens = { seconds: 8, told: "the truth" };
    const forum = await newForum();
    const room = forum.room(`post:${post.id}`);
    const { events } = listen(room);
    await eventually("live", () => isLive(room));
    const states = statesOf(room);
    const before = proxy.refreshes;
    await eventually("two refreshes", () => proxy.refreshes >= before + 2);
    expect(states).toEqual([]);
    proxy.shortTokens = { seconds: 2, told: "15 minutes" };
    await eventually("an end", () => states.includes("offline"));
    await writer.comments.create(post.id, { content: "after the end" });
    await eventually("live again", () => isLive(room) && events.some(({ type }) => type === "comment_added"));
  });

  it("ends with a typed error when the session is revoked, when it is somebody else's, and when there is no post", async ({
    expect,
  }) => {
    const forum = await newForum();
    const { id: userId } = forum.auth.user ?? { id: 0 };
    const own = forum.room(`user:${userId}`);
    const { over } = listen(own);
    await eventually("live", () => isLive(own));
    const session = forum.session;
    if (!session) throw new Error("nobody is signed in");
    const elsewhere = new LiveForum({ url: worker.url, session });
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
    const writer = await newForum(worker.url);
    const post = await newPost(writer);
    const first = await writer.comments.create(post.id, { content: "first" });
    const thread = forum.thread(post.id);
    const states = statesOf(thread);
    await eventually("live", () => isLive(thread));
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
    const post = await newPost(forum);
    const thread = forum.thread(post.id);
    const contents: number[] = [];
    for await (const view of thread) {
      contents.push(view.comments.length);
      if (view.state === "live" && view.comments.length === 0) {
        for (let number = 0; number < 5; number += 1)
          await forum.comments.create(post.id, { content: "more" });
        await eventually("five comments", () => thread.view?.comments.length === 5);
      } else if (view.comments.length === 5) break;
    }
    expect(contents.at(-1)).toBe(5);
    expect(contents.filter((count) => count > 0)).toEqual([5]);
    await thread.closed;
    expect(thread.state).toBe("closed");
  });

  it("keeps the oldest comments of a long thread, and the count of all", async ({ expect }) => {
    const forum = await newForum();
    const post = await newPost(forum);
    for (let number = 0; number < 4; number += 1)
      await forum.comments.create(post.id, { content: `${number}` });
    const thread = forum.thread(post.id, { maxComments: 3 });
    await eventually("live", () => isLive(thread));
    await forum.comments.create(post.id, { content: "beyond" });
    await eventually("the count", () => thread.view?.post.commentCount === 5);
    expect(thread.view?.complete).toBe(false);
    expect(thread.view?.comments.map(({ content }) => content)).toEqual(["0", "1", "2"]);
    thread.close();
  });

  it("is read anew when the room does not remember what was missed", async ({ expect }) => {
    const forum = await newForum();
    const writer = await newForum(worker.url);
    const post = await newPost(writer);
    const thread = forum.thread(post.id);
    const resyncs: string[] = [];
    thread.room.addEventListener("resync", ({ frame }) => resyncs.push(frame.reason));
    await eventually("live", () => isLive(thread));
    const states = statesOf(thread);
    proxy.refuse();
    await eventually("offline", () => thread.state === "offline");
    await writer.comments.create(post.id, { content: "while away" });
    proxy.otherEpoch = true;
    proxy.heal();
    await eventually("live again", () => isLive(thread));
    expect(resyncs).toEqual(["joined", "missed"]);
    expect(states).toEqual(["offline", "catching-up", "live"]);
    await equal(thread, forum, post.id);
    expect(thread.view?.comments).toHaveLength(1);
    thread.close();
  });
});
