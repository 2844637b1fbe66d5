/**
 * A thread's state for somebody who is signed in: a post and its comments as read by REST, moved on by frames. Pure.
 * @module
 */
import type { EventFrame } from "./frames.ts";
import type { RoomComment } from "./generated/frames.ts";
import type { Comment, Like, Post } from "./generated/rest.ts";

/** A like of one's own: it is in no frame. */
export type OwnLike = { target: { type: "post" | "comment"; id: number }; like: Like };

export class ThreadStore {
  #post: Post;
  readonly #comments = new Map<number, Comment>();
  /** One's own likes of comments that are not here yet: their answers may come before the comments' frames. */
  readonly #likesAhead = new Map<number, boolean>();
  readonly #max: number;
  #complete: boolean;
  #list: readonly Comment[] | undefined;

  /** @param comments oldest first @param complete whether that is all of them @param max how many are kept */
  constructor(post: Post, comments: readonly Comment[], complete: boolean, max: number) {
    this.#post = post;
    this.#max = max;
    this.#complete = complete;
    for (const comment of comments) this.#comments.set(comment.id, comment);
  }

  /** Whether all comments are here. */
  get complete(): boolean {
    return this.#complete;
  }

  /** Oldest first; another array after each change. */
  get comments(): readonly Comment[] {
    // Two comments may be announced in another order than that of their ids.
    this.#list ??= [...this.#comments.values()].sort((a, b) => a.id - b.id);
    return this.#list;
  }

  /** With the count of its comments as they are here, where they all are. */
  get post(): Post {
    if (!this.#complete) return this.#post;
    let commentCount = 0;
    for (const { deletedAt } of this.#comments.values()) if (deletedAt === null) commentCount += 1;
    return { ...this.#post, commentCount };
  }

  /** Moves on; what is older than the state, or the same, changes nothing. @returns whether something changed */
  apply(frame: EventFrame): boolean {
    switch (frame.type) {
      case "comment_added":
      case "comment_updated":
      case "comment_deleted":
        return this.#put(frame.data);
      case "post_updated":
        if (frame.data.version <= this.#post.version) return false;
        this.#post = {
          ...this.#post,
          ...frame.data,
          viewCount: Math.max(this.#post.viewCount, frame.data.viewCount),
          // It may be older than the one here, whose version is its own.
          commentCount: this.#post.commentCount,
        };
        return true;
      case "post_liked":
        return this.#setPost({ likeCount: frame.data.likeCount });
      case "comment_liked":
        return this.#setComment(frame.data.targetId, { likeCount: frame.data.likeCount });
      default:
        return false;
    }
  }

  /** Shows a like of one's own. The count comes as a frame, in its order. @returns whether something changed */
  applyLike({ target, like }: OwnLike): boolean {
    if (target.type === "comment") {
      if (!this.#comments.has(target.id)) this.#likesAhead.set(target.id, like.liked);
      return this.#setComment(target.id, { likedByMe: like.liked });
    }
    return target.id === this.#post.id && this.#setPost({ likedByMe: like.liked });
  }

  /** Whether it is known that the post is liked: where that could not be read, REST gives null. */
  get knowsLike(): boolean {
    return this.#post.likedByMe !== null;
  }

  /** The count of comments, where not all of them are here. @returns whether something changed */
  recount(commentCount: number): boolean {
    return this.#setPost({ commentCount });
  }

  #put(told: RoomComment): boolean {
    const known = this.#comments.get(told.id);
    if (!known) {
      const liked = this.#likesAhead.get(told.id) ?? false;
      this.#likesAhead.delete(told.id);
      if (!this.#complete || this.#comments.size >= this.#max) {
        const wasComplete = this.#complete;
        this.#post = this.post;
        this.#complete = false;
        return wasComplete;
      }
      this.#store({ ...told, likedByMe: liked });
      return true;
    }
    const deletion = told.deletedAt !== null && known.deletedAt === null;
    if (!deletion && (told.version <= known.version || known.deletedAt !== null)) return false;
    this.#store({ ...told, likedByMe: known.likedByMe });
    return true;
  }

  #setPost(change: Partial<Post>): boolean {
    const next = { ...this.#post, ...change };
    const same = Object.keys(change).every(
      (key) => next[key as keyof Post] === this.#post[key as keyof Post],
    );
    this.#post = next;
    return !same;
  }

  #setComment(id: number, change: Partial<Comment>): boolean {
    const known = this.#comments.get(id);
    if (!known) return false;
    const next = { ...known, ...change };
    if (Object.keys(change).every((key) => next[key as keyof Comment] === known[key as keyof Comment]))
      return false;
    this.#store(next);
    return true;
  }

  #store(comment: Comment): void {
    this.#comments.set(comment.id, comment);
    this.#list = undefined;
  }
}
