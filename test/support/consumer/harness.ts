/**
 * A program that uses the installed package, in Node and in a browser alike: follows a thread, writes when it is told to,
 * and keeps a record of what it was shown. Only types are stripped before it runs.
 * @module
 */
import {
  type Comment,
  type ConnectionState,
  LiveForum,
  type Post,
  type ThreadView,
  UnreachableError,
} from "@liveforum/client";

export type ShownThread = { post: Post; comments: readonly Comment[] };

/** What the program was shown so far. */
export type Shown = {
  state: ConnectionState;
  /** All states since the last `mark`. */
  states: ConnectionState[];
  /** What it was shown when it became live for the first time since then. */
  firstLive: ShownThread | null;
  /** The longest time since then in which nothing ran at all. */
  stoodStillMs: number;
  /** What must not happen: states that went back, comments out of order. */
  faults: string[];
  view: ShownThread | null;
};

/** How often the program looks at the clock. */
const TICK_MS = 20;

let forum: LiveForum | undefined;
let thread: ReturnType<LiveForum["thread"]> | undefined;
let states: ConnectionState[] = [];
let firstLive: ShownThread | null = null;
let stoodStillMs = 0;
let tickedAt = performance.now();
const faults: string[] = [];

function client(): LiveForum {
  if (!forum) throw new Error("not started");
  return forum;
}

/** Compares a view with the one before. */
function inspect(view: ThreadView, before: ThreadView | undefined): void {
  const ids = view.comments.map(({ id }) => id);
  if (ids.some((id, index) => index > 0 && id <= (ids[index - 1] ?? 0)))
    faults.push(`out of order: ${ids.join()}`);
  if (!before) return;
  if (view.post.version < before.post.version) faults.push("the post went back");
  const byId = new Map(view.comments.map((comment) => [comment.id, comment]));
  for (const old of before.comments) {
    const now = byId.get(old.id);
    if (!now) faults.push(`comment ${old.id} vanished`);
    else if (now.version < old.version) faults.push(`comment ${old.id} went back`);
    else if (old.deletedAt !== null && now.deletedAt === null) faults.push(`comment ${old.id} came back`);
  }
}

function tick(): void {
  const now = performance.now();
  stoodStillMs = Math.max(stoodStillMs, now - tickedAt);
  tickedAt = now;
}

function shown(view: ThreadView | undefined): ShownThread | null {
  return view ? { post: view.post, comments: view.comments } : null;
}

export const harness = {
  /** Signs in and follows the thread. */
  async start(url: string, credentials: { email: string; password: string }, postId: number): Promise<void> {
    forum = new LiveForum({ url, pingIntervalMs: 1_000 });
    await forum.auth.login(credentials);
    thread = forum.thread(postId);
    thread.addEventListener("state", ({ state }) => {
      states.push(state);
      if (state === "live") firstLive ??= shown(thread?.view);
    });
    setInterval(tick, TICK_MS);
    let before: ThreadView | undefined;
    thread.addEventListener("view", ({ view }) => {
      inspect(view, before);
      before = view;
    });
    thread.addEventListener("close", ({ error }) => faults.push(`closed: ${error?.message}`));
  },

  /** Takes up the browser's session. */
  async restore(url: string): Promise<string | null> {
    forum = new LiveForum({ url });
    return (await forum.auth.restore())?.username ?? null;
  },

  record(): Shown {
    tick();
    const state = thread?.view?.state ?? "offline";
    return { state, states, firstLive, stoodStillMs, faults, view: shown(thread?.view) };
  },

  /** Forgets what it was shown so far. @returns its state */
  mark(): ConnectionState {
    states = [];
    firstLive = null;
    tick();
    stoodStillMs = 0;
    return thread?.state ?? "offline";
  },

  /** Comments. @returns its id; null where it was not answered, which leaves it open */
  async comment(postId: number, content: string): Promise<number | null> {
    return client()
      .comments.create(postId, { content })
      .then(
        ({ id }) => id,
        () => null,
      );
  },

  /** Edits a comment. @returns whether that was answered; false: nobody knows */
  async edit(commentId: number, content: string): Promise<boolean> {
    return client()
      .comments.update(commentId, { content })
      .then(
        () => true,
        (error: unknown) => {
          if (error instanceof UnreachableError) return false;
          throw error;
        },
      );
  },

  /** Likes the post, or takes that back. @returns whether that was answered */
  async like(postId: number, liked: boolean): Promise<boolean> {
    const { posts } = client();
    return (liked ? posts.like(postId) : posts.unlike(postId)).then(
      () => true,
      () => false,
    );
  },

  /** A read that needs the session. @returns the name; null where it was not answered */
  async me(): Promise<string | null> {
    return client()
      .users.me()
      .then(
        ({ username }) => username,
        () => null,
      );
  },
};

export type Harness = typeof harness;
export type Command = { id: number; method: keyof Harness; parameters: unknown[] };

// In Node it is a child that is told by messages; in a page it is found as a global.
declare global {
  var harness: Harness | undefined;
}
globalThis.harness = harness;
if (typeof process === "object" && process.send) {
  process.on("message", ({ id, method, parameters }: Command) => {
    const call = harness[method] as (...given: unknown[]) => unknown;
    Promise.resolve()
      .then(() => call(...parameters))
      .then(
        (value) => process.send?.({ id, value }),
        (error: unknown) => process.send?.({ id, error: String(error) }),
      );
  });
}
