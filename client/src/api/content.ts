/**
 * Boards, posts, comments and likes.
 * @module
 */
import type { Board, Comment, Like, Operations, Post, PostSummary } from "../generated/rest.ts";
import type { CallOptions, Http } from "../http.ts";
import { List, type PageQuery } from "../pages.ts";

/** Options of a create. */
export type CreateOptions = CallOptions & {
  /** Names what is made for good (1-255 printable characters): the same key makes it once. Made by itself when left out. */
  idempotencyKey?: string | undefined;
};

/** Options of a change. */
export type ChangeOptions = CallOptions & {
  /** The version that is meant: a change by somebody else meanwhile is refused with `version_mismatch`, not overwritten. */
  version?: number | undefined;
};

/** What is told to those who show the thing: one's own likes are in no frame. */
export type LikeListener = (target: { type: "post" | "comment"; id: number }, like: Like) => void;

/** Boards. Only admins make and change them. */
export class Boards {
  readonly #http: Http;

  /** @internal */
  constructor(http: Http) {
    this.#http = http;
  }

  /** All boards, in board order. */
  list(query: PageQuery = {}, options?: CallOptions): List<Board> {
    return new List((page) => this.#http.request("GET /api/boards", { query: page }, options), query);
  }

  /** A board. */
  get(id: number, options?: CallOptions): Promise<Board> {
    return this.#http.request("GET /api/boards/{id}", { path: { id } }, options);
  }

  /** Makes a board. Not repeated by itself: the slug is unique, so that a second try is refused with `conflict`. */
  create(board: Operations["POST /api/boards"]["body"], options?: CallOptions): Promise<Board> {
    return this.#http.request("POST /api/boards", { body: board }, options);
  }

  /** Changes a board. */
  update(
    id: number,
    change: Operations["PATCH /api/boards/{id}"]["body"],
    options?: CallOptions,
  ): Promise<Board> {
    return this.#http.request("PATCH /api/boards/{id}", { path: { id }, body: change }, options);
  }

  /** Deletes a board that has no posts. */
  async delete(id: number, options?: CallOptions): Promise<void> {
    const settings = { ...options, absentIsDone: true };
    await this.#http.request("DELETE /api/boards/{id}", { path: { id } }, settings);
  }
}

/** Posts and their likes. */
export class Posts {
  readonly #http: Http;
  readonly #liked: LikeListener;

  /** @internal */
  constructor(http: Http, liked: LikeListener) {
    this.#http = http;
    this.#liked = liked;
  }

  /** Posts, newest first. */
  list(
    query: PageQuery & { boardId?: number | undefined; authorId?: number | undefined } = {},
    options?: CallOptions,
  ): List<PostSummary> {
    return new List(
      (page) => this.#http.request("GET /api/posts", { query: { ...query, ...page } }, options),
      query,
    );
  }

  /** The posts that are talked about now, best first. */
  async popular(
    query: { boardId?: number | undefined; limit?: number | undefined } = {},
    options?: CallOptions,
  ): Promise<PostSummary[]> {
    return (await this.#http.request("GET /api/posts/popular", { query }, options)).items;
  }

  /** A post; counts a view. */
  get(id: number, options?: CallOptions): Promise<Post> {
    return this.#http.request("GET /api/posts/{id}", { path: { id } }, options);
  }

  /** Writes a post, once, however often it has to be sent. */
  create(post: Operations["POST /api/posts"]["body"], options?: CreateOptions): Promise<Post> {
    return this.#http.request("POST /api/posts", { body: post }, options);
  }

  /** Changes a post. */
  update(
    id: number,
    change: Operations["PATCH /api/posts/{id}"]["body"],
    options?: ChangeOptions,
  ): Promise<Post> {
    return this.#http.request("PATCH /api/posts/{id}", { path: { id }, body: change }, options);
  }

  /** Deletes a post. */
  async delete(id: number, options?: ChangeOptions): Promise<void> {
    const settings = { ...options, absentIsDone: true };
    await this.#http.request("DELETE /api/posts/{id}", { path: { id } }, settings);
  }

  /** Likes a post, or leaves it so. */
  async like(id: number, options?: CallOptions): Promise<Like> {
    const like = await this.#http.request("PUT /api/posts/{id}/like", { path: { id } }, options);
    this.#liked({ type: "post", id }, like);
    return like;
  }

  /** Takes a like back, or leaves it so. */
  async unlike(id: number, options?: CallOptions): Promise<Like> {
    const like = await this.#http.request("DELETE /api/posts/{id}/like", { path: { id } }, options);
    this.#liked({ type: "post", id }, like);
    return like;
  }
}

/** Comments and their likes. */
export class Comments {
  readonly #http: Http;
  readonly #liked: LikeListener;

  /** @internal */
  constructor(http: Http, liked: LikeListener) {
    this.#http = http;
    this.#liked = liked;
  }

  /** Comments of a post, oldest first; deleted ones keep their places. */
  list(postId: number, query: PageQuery = {}, options?: CallOptions): List<Comment> {
    const path = { id: postId };
    return new List(
      (page) => this.#http.request("GET /api/posts/{id}/comments", { path, query: page }, options),
      query,
    );
  }

  /** Comments on a post, once, however often it has to be sent. */
  create(
    postId: number,
    comment: Operations["POST /api/posts/{id}/comments"]["body"],
    options?: CreateOptions,
  ): Promise<Comment> {
    const parameters = { path: { id: postId }, body: comment };
    return this.#http.request("POST /api/posts/{id}/comments", parameters, options);
  }

  /** Changes a comment. */
  update(
    id: number,
    change: Operations["PATCH /api/comments/{id}"]["body"],
    options?: ChangeOptions,
  ): Promise<Comment> {
    return this.#http.request("PATCH /api/comments/{id}", { path: { id }, body: change }, options);
  }

  /** Deletes a comment; its place in the thread stays. */
  async delete(id: number, options?: ChangeOptions): Promise<void> {
    const settings = { ...options, absentIsDone: true };
    await this.#http.request("DELETE /api/comments/{id}", { path: { id } }, settings);
  }

  /** Likes a comment, or leaves it so. */
  async like(id: number, options?: CallOptions): Promise<Like> {
    const like = await this.#http.request("PUT /api/comments/{id}/like", { path: { id } }, options);
    this.#liked({ type: "comment", id }, like);
    return like;
  }

  /** Takes a like back, or leaves it so. */
  async unlike(id: number, options?: CallOptions): Promise<Like> {
    const like = await this.#http.request("DELETE /api/comments/{id}/like", { path: { id } }, options);
    this.#liked({ type: "comment", id }, like);
    return like;
  }
}
