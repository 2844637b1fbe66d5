/**
 * A thread, live: a post with its comments, read by REST once the room is joined and moved on by its frames.
 * @module
 */
import type { Comments, Posts } from "./api/content.ts";
import type { ConnectionState } from "./connection.ts";
import { isTransient, ProblemError } from "./errors.ts";
import { TypedEventTarget } from "./events.ts";
import { createFeed, type Feed } from "./feed.ts";
import type { EventFrame } from "./frames.ts";
import type { Comment, Post } from "./generated/rest.ts";
import { EndEvent, Room, type RoomSettings, StateEvent } from "./room.ts";
import { type OwnLike, ThreadStore } from "./thread-store.ts";
import { fullJitter, pause } from "./waiting.ts";

export type ThreadOptions = {
  /** Closes the thread. */
  signal?: AbortSignal | undefined;
  /** So many comments are kept, the oldest. Default 1,000; each 100 are one request whenever the thread is read anew. */
  maxComments?: number | undefined;
};

/** A thread's state. Frozen in time: the next state is another object. */
export type ThreadView = {
  /** `viewCount` is that of the last read; all else is as it is now. */
  readonly post: Post;
  /** Oldest first. Deleted ones keep their places. */
  readonly comments: readonly Comment[];
  /** Whether that is all of them. */
  readonly complete: boolean;
  /** Whether the post was deleted; this is the last view then. */
  readonly deleted: boolean;
  /** People in the room. */
  readonly viewers: number;
  readonly state: ConnectionState;
};

/** A thread has another state. */
export class ViewEvent extends Event {
  readonly view: ThreadView;
  constructor(view: ThreadView) {
    super("view");
    this.view = view;
  }
}

/** Events of a `Thread`. */
export type ThreadEventMap = { view: ViewEvent; state: StateEvent; close: EndEvent };

/** The frames that change a thread. */
const FRAMES = [
  "comment_added",
  "comment_updated",
  "comment_deleted",
  "comment_liked",
  "post_updated",
  "post_liked",
  "post_deleted",
] as const;

const COMMENTS_MAX = 1_000;
const PAGE = 100;
/** So many frames may wait for a read under way; with more it begins anew. */
const PENDING_MAX = 5_000;
const REREAD_BASE_MS = 500;
const REREAD_MAX_MS = 20_000;
/** Where not all comments are here, their count is read at most so often. */
const RECOUNT_MS = 1_000;

/**
 * Follows a thread from its making until it is closed, the post is deleted, or there is no way in any more. Its states
 * never go back. An event target, and an async iterator of states: each `next()` gives the latest, none is queued.
 */
export class Thread
  extends TypedEventTarget<ThreadEventMap>
  implements AsyncIterable<ThreadView>, AsyncDisposable
{
  readonly room: Room;
  readonly #posts: Posts;
  readonly #comments: Comments;
  readonly #postId: number;
  readonly #max: number;
  readonly #feeds = new Set<Feed<ThreadView>>();
  readonly #stop = new AbortController();
  #store: ThreadStore | undefined;
  /** Frames that arrive while the thread is read; undefined: it is not being read. */
  #pending: (EventFrame | OwnLike)[] | undefined;
  /** What is being read is not enough any more. */
  #again = false;
  #recounting = false;
  /** Something came after the count was asked for. */
  #recountAgain = false;
  #deleted = false;
  #state: ConnectionState = "offline";
  #view: ThreadView | undefined;
  #emitting = false;
  #error: Error | undefined;
  #end: { error: Error | undefined } | undefined;

  /** @internal */
  constructor(
    postId: number,
    settings: RoomSettings,
    api: { posts: Posts; comments: Comments },
    { signal, maxComments = COMMENTS_MAX }: ThreadOptions = {},
  ) {
    super();
    this.#postId = postId;
    this.#posts = api.posts;
    this.#comments = api.comments;
    this.#max = maxComments;
    this.room = new Room(`post:${postId}`, settings, { signal });
    this.room.addEventListener("resync", () => this.#reread());
    this.room.addEventListener("state", () => this.#settle());
    this.room.addEventListener("presence", () => this.#changed());
    this.room.addEventListener("close", (event) => this.#finish(event));
    for (const type of FRAMES) this.room.addEventListener(type, ({ frame }) => this.#take(frame));
  }

  /** The latest state; undefined until the thread was read. */
  get view(): ThreadView | undefined {
    if (this.#view || !this.#store) return this.#view;
    const { post, comments, complete } = this.#store;
    const { viewers } = this.room;
    this.#view = { post, comments, complete, deleted: this.#deleted, viewers, state: this.#state };
    return this.#view;
  }

  /** How the connection is. `live`: the view is what the server has. */
  get state(): ConnectionState {
    return this.#state;
  }

  /** Resolves when it is over, whatever the reason. */
  get closed(): Promise<void> {
    return this.room.closed;
  }

  /** Ends it; iterators are done. */
  close(): void {
    this.room.close();
  }

  /** `await using thread = …` closes it. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return this.closed;
  }

  /**
   * The latest state, and the next one whenever there is one. When the last loop is left, the thread is closed.
   * @throws {RoomClosedError | SessionEndedError | ProblemError} from `next()`, when it ends without having been closed
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<ThreadView, undefined> {
    const feed: Feed<ThreadView> = createFeed<ThreadView>(
      1,
      (latest) => latest,
      () => {
        this.#feeds.delete(feed);
        if (this.#feeds.size === 0) this.close();
      },
    );
    if (this.view) feed.push(this.view);
    if (this.#end) feed.end(this.#end.error);
    else this.#feeds.add(feed);
    return feed;
  }

  /** Shows a like of one's own. @internal */
  showLike(like: OwnLike): void {
    if (this.#pending) this.#pending.push(like);
    else if (this.#store?.applyLike(like)) this.#changed();
  }

  #take(frame: EventFrame): void {
    if (frame.type === "post_deleted") {
      this.#deleted = true;
      this.#changed();
    }
    if (this.#pending) {
      this.#pending.push(frame);
      // What is dropped here is in what is read later.
      if (this.#pending.length > PENDING_MAX) this.#reread();
      return;
    }
    if (this.#store?.apply(frame)) this.#changed();
    this.#recount();
  }

  /** Reads the thread from now on: what is read by a read under way may be too old. */
  #reread(): void {
    const reading = this.#pending !== undefined;
    this.#pending = [];
    this.#again = reading;
    this.#settle();
    if (reading) return;
    this.#read().catch((error: unknown) => {
      if (this.#stop.signal.aborted) return;
      this.#error = error instanceof Error ? error : new Error(String(error));
      this.room.close();
    });
  }

  async #read(): Promise<void> {
    const { signal } = this.#stop;
    for (let attempt = 0; ; attempt += 1) {
      this.#again = false;
      try {
        const [post, { comments, complete }] = await Promise.all([
          this.#posts.get(this.#postId, { signal }),
          this.#readComments(signal),
        ]);
        if (this.#again) continue;
        this.#show(new ThreadStore(post, comments, complete, this.#max));
        return;
      } catch (error) {
        // The post is gone: the room is about to say so.
        if (error instanceof ProblemError && error.status === 404) return;
        if (!isTransient(error)) throw error;
        await pause(fullJitter(attempt, REREAD_BASE_MS, REREAD_MAX_MS), signal);
      }
    }
  }

  /** Whoever is in a room is signed in. Where REST does not say whether they like the post, it could not be read just then. */
  #askForLike(store: ThreadStore, attempt = 0): void {
    const { signal } = this.#stop;
    const wanted = (): boolean => store === this.#store && !store.knowsLike;
    if (!wanted()) return;
    pause(REREAD_BASE_MS + fullJitter(attempt, REREAD_BASE_MS, REREAD_MAX_MS), signal)
      .then(() => this.#posts.get(this.#postId, { signal }))
      .then(({ id, likedByMe, likeCount }) => {
        // A like of one's own that was answered meanwhile is newer.
        if (likedByMe === null || !wanted()) return;
        store.applyLike({ target: { type: "post", id }, like: { liked: likedByMe, likeCount } });
        this.#changed();
      })
      .catch(() => undefined)
      .finally(() => {
        if (!signal.aborted) this.#askForLike(store, attempt + 1);
      });
  }

  async #readComments(signal: AbortSignal): Promise<{ comments: Comment[]; complete: boolean }> {
    const comments: Comment[] = [];
    for await (const { items, nextCursor } of this.#comments
      .list(this.#postId, { limit: PAGE }, { signal })
      .pages()) {
      comments.push(...items);
      if (comments.length > this.#max || (comments.length === this.#max && nextCursor !== null)) {
        return { comments: comments.slice(0, this.#max), complete: false };
      }
    }
    return { comments, complete: true };
  }

  /** What was read, and what was told meanwhile. */
  #show(store: ThreadStore): void {
    for (const news of this.#pending ?? []) {
      if ("like" in news) store.applyLike(news);
      else store.apply(news);
    }
    this.#pending = undefined;
    this.#store = store;
    this.#changed();
    this.#settle();
    this.#recount();
    this.#askForLike(store);
  }

  /** No frame tells the count of comments; where not all of them are here, it is read. */
  #recount(): void {
    if (!this.#store || this.#store.complete) return;
    this.#recountAgain = true;
    if (this.#recounting) return;
    this.#recounting = true;
    const { signal } = this.#stop;
    let store: ThreadStore | undefined;
    pause(RECOUNT_MS, signal)
      .then(() => {
        this.#recountAgain = false;
        store = this.#store;
        return this.#posts.get(this.#postId, { signal });
      })
      .then(({ commentCount }) => {
        // What was read for an earlier store may be older than this one, and newer than one that is just being read.
        if (!store || store !== this.#store || this.#pending) return;
        if (store.recount(commentCount)) this.#changed();
      })
      // The next frame, or the next read, makes up for it.
      .catch(() => undefined)
      .finally(() => {
        this.#recounting = false;
        if (this.#recountAgain && !signal.aborted) this.#recount();
      });
  }

  #settle(): void {
    const reading = this.#pending !== undefined;
    const state = this.room.state === "live" && reading ? "catching-up" : this.room.state;
    if (state === this.#state) return;
    this.#state = state;
    this.dispatchEvent(new StateEvent(state));
    this.#changed();
  }

  /** Tells once of all that changes in one go. */
  #changed(): void {
    this.#view = undefined;
    if (this.#emitting) return;
    this.#emitting = true;
    queueMicrotask(() => {
      if (this.#emitting) this.#emit();
    });
  }

  #emit(): void {
    this.#emitting = false;
    const { view } = this;
    if (!view) return;
    for (const feed of this.#feeds) feed.push(view);
    this.dispatchEvent(new ViewEvent(view));
  }

  #finish({ error, reason }: EndEvent): void {
    this.#stop.abort();
    if (reason === "gone") this.#deleted = true;
    this.#settle();
    this.#view = undefined;
    this.#emit();
    this.#end = { error: error ?? this.#error };
    for (const feed of this.#feeds) feed.end(this.#end.error);
    this.#feeds.clear();
    this.dispatchEvent(new EndEvent(this.#end.error ? "error" : reason, this.#end.error));
  }
}
