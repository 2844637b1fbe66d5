/**
 * Accounts: sign-up, sign-in, sessions, profiles.
 * @module
 */
import { ProblemError, SessionEndedError } from "../errors.ts";
import type {
  ChangePassword,
  Comment,
  Login,
  Operations,
  PostSummary,
  Profile,
  Register,
  SessionInfo,
  User,
} from "../generated/rest.ts";
import type { CallOptions, Http } from "../http.ts";
import { List, type PageQuery } from "../pages.ts";
import { unlessAborted } from "../waiting.ts";

/** Signing in and out. */
export class Auth {
  readonly #http: Http;
  readonly #cookie: boolean;
  /** Sign-outs under way. Their answers take a cookie away: nobody signs in before they are here. Never rejects. */
  #ending: Promise<unknown> = Promise.resolve();

  /** @internal */
  constructor(http: Http, cookie: boolean) {
    this.#http = http;
    this.#cookie = cookie;
  }

  /** Who is signed in; null: nobody. */
  get user(): User | null {
    return this.#http.session.current?.user ?? null;
  }

  /** Creates an account and signs it in. @throws {ProblemError} `conflict` naming what is taken */
  register(account: Register, options?: CallOptions): Promise<User> {
    return this.#start("POST /api/auth/register", account, options);
  }

  /** Signs in. @throws {ProblemError} `invalid_credentials` */
  login(credentials: Login, options?: CallOptions): Promise<User> {
    return this.#start("POST /api/auth/login", credentials, options);
  }

  /**
   * Takes up the session that this browser has a cookie of. Elsewhere, and for a session that is known already, nothing is sent.
   * @returns the user; null when nobody is signed in
   */
  async restore(options: CallOptions = {}): Promise<User | null> {
    if (!this.user && this.#cookie) {
      try {
        await this.#http.session.renew(undefined, options.signal);
      } catch (error) {
        if (!(error instanceof SessionEndedError)) throw error;
      }
    }
    return this.user;
  }

  /** Signs out: ends the session here, in other tabs and on the server. */
  async logout(options?: CallOptions): Promise<void> {
    await this.#end("POST /api/auth/logout", options);
  }

  /** Ends all sessions of the user, on all devices. Their rooms close within a second. */
  async logoutAll(options?: CallOptions): Promise<void> {
    await this.#end("POST /api/auth/logout-all", options);
  }

  /** Changes the password and ends the other sessions. @throws {ProblemError} `invalid_credentials` */
  async changePassword(change: ChangePassword, options?: CallOptions): Promise<void> {
    await this.#http.request("POST /api/auth/password", { body: change }, options);
  }

  /** One's own sessions, newest first. */
  sessions(query: PageQuery = {}, options?: CallOptions): List<SessionInfo> {
    return new List((page) => this.#http.request("GET /api/auth/sessions", { query: page }, options), query);
  }

  /** Ends one of one's own sessions. */
  async endSession(id: number, options?: CallOptions): Promise<void> {
    const parameters = { path: { id } };
    await this.#http.request("DELETE /api/auth/sessions/{id}", parameters, {
      ...options,
      absentIsDone: true,
    });
  }

  async #start<Name extends "POST /api/auth/register" | "POST /api/auth/login">(
    name: Name,
    body: Operations[Name]["body"],
    options?: CallOptions,
  ): Promise<User> {
    await unlessAborted(this.#ending, options?.signal);
    return this.#http.session.begin(
      () => this.#http.open(name, body, this.#cookie, options),
      options?.signal,
    );
  }

  async #end(
    name: "POST /api/auth/logout" | "POST /api/auth/logout-all",
    options?: CallOptions,
  ): Promise<void> {
    const leaving = this.user?.id;
    if (leaving === undefined) return;
    const ending = this.#http.request(name, {}, { ...options, repeatable: true });
    this.#ending = Promise.allSettled([this.#ending, ending]);
    try {
      await ending;
    } catch (error) {
      // It has ended already, unless somebody else has signed in before the server was told.
      const told = this.user === null || this.user.id === leaving;
      const over = error instanceof ProblemError ? error.status === 401 : error instanceof SessionEndedError;
      if (!over || !told) throw error;
    }
    // Not whoever has signed in meanwhile.
    if (this.user?.id === leaving) this.#http.session.clear();
  }
}

/** Profiles, and what users wrote. */
export class Users {
  readonly #http: Http;

  /** @internal */
  constructor(http: Http) {
    this.#http = http;
  }

  /** One's own profile. */
  me(options?: CallOptions): Promise<Profile> {
    return this.#http.request("GET /api/users/me", {}, options);
  }

  /** Changes one's own profile. @throws {ProblemError} `conflict` naming what is taken */
  updateMe(change: Operations["PATCH /api/users/me"]["body"], options?: CallOptions): Promise<Profile> {
    return this.#http.request("PATCH /api/users/me", { body: change }, options);
  }

  /** A public profile. */
  get(id: number, options?: CallOptions): Promise<User> {
    return this.#http.request("GET /api/users/{id}", { path: { id } }, options);
  }

  /** A user's posts, newest first. */
  posts(id: number, query: PageQuery = {}, options?: CallOptions): List<PostSummary> {
    return new List(
      (page) => this.#http.request("GET /api/users/{id}/posts", { path: { id }, query: page }, options),
      query,
    );
  }

  /** A user's comments, newest first. */
  comments(id: number, query: PageQuery = {}, options?: CallOptions): List<Comment> {
    return new List(
      (page) => this.#http.request("GET /api/users/{id}/comments", { path: { id }, query: page }, options),
      query,
    );
  }
}
