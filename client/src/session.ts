/**
 * The session: who is signed in, and an access token that is fresh whenever one is needed.
 * @module
 */
import { isTransient, ProblemError, SessionEndedError } from "./errors.ts";
import type { Session, User } from "./generated/rest.ts";
import { NO_TABS, openTabs, type Tabs } from "./tabs.ts";
import { send, type Target } from "./transport.ts";
import { fullJitter, pause, stopTimer, type Timer, unlessAborted } from "./waiting.ts";

/** A session as it can be kept and given to a later client. */
export type SavedSession = {
  user: User;
  accessToken: string;
  /** Milliseconds since the epoch, by this machine's clock. */
  expiresAt: number;
  /** Null where the browser keeps it in a cookie. */
  refreshToken: string | null;
};

/** A token that ends this soon is renewed before it is used. */
const MARGIN_MS = 5_000;
/** A lost answer is asked for again while the replaced refresh token still works, which is 10 s. */
const REFRESH_TIMEOUT_MS = 4_000;
const REFRESH_ATTEMPTS = 3;
const REFRESH_BASE_MS = 250;
/** While rooms are open, the token is renewed when about this part of its life is over. */
const RENEW_AFTER = 0.75;
const RENEW_SPREAD = 0.1;
const RENEW_RETRY_MS = 5_000;

export type SessionOptions = {
  target: Target;
  /** Whether the browser keeps the refresh token in a cookie, which tabs share. */
  cookie: boolean;
  saved: SavedSession | undefined;
};

export class SessionKeeper {
  readonly #target: Target;
  readonly #cookie: boolean;
  readonly #tabs: Tabs;
  readonly #listeners = new Set<(session: SavedSession | null) => void>();
  #current: SavedSession | null;
  #renewing: Promise<void> | undefined;
  #users = 0;
  #timer: Timer;

  constructor({ target, cookie, saved }: SessionOptions) {
    this.#target = target;
    this.#cookie = cookie;
    this.#current = saved ?? null;
    // Trusted: only this package writes to the channel.
    this.#tabs = cookie
      ? openTabs(`liveforum ${target.url}`, (message) => this.#set(message as SavedSession | null))
      : NO_TABS;
  }

  get current(): SavedSession | null {
    return this.#current;
  }

  /** Calls back at each change. @returns how to stop that */
  onChange(listener: (session: SavedSession | null) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Takes a session that the server has just given. @param askedAt when it was asked for */
  adopt(session: Session, askedAt: number): void {
    const { user, accessToken, expiresIn, refreshToken } = session;
    this.#publish({
      user,
      accessToken,
      expiresAt: askedAt + expiresIn * 1000,
      refreshToken: this.#cookie ? null : refreshToken,
    });
  }

  /** Forgets the session, here and in the other tabs. */
  clear(): void {
    if (this.#current) this.#publish(null);
  }

  /**
   * An access token that is still good; undefined when nobody is signed in.
   * @throws {SessionEndedError} when it ran out and cannot be renewed
   */
  async token(signal?: AbortSignal): Promise<string | undefined> {
    const current = this.#current;
    if (!current || current.expiresAt - Date.now() > MARGIN_MS) return current?.accessToken;
    await this.renew(current.accessToken, signal);
    return this.#current?.accessToken;
  }

  /**
   * Replaces a token. Calls side by side are one, over all tabs; a token that was replaced already costs nothing.
   * @param refused undefined: renew whatever there is
   * @throws {SessionEndedError} when the session has ended
   * @throws {UnreachableError | ProblemError} when it cannot be told now
   */
  async renew(refused: string | undefined, signal?: AbortSignal): Promise<void> {
    const needed = (): boolean => refused === this.#current?.accessToken;
    if (!needed()) {
      if (!this.#current) throw ended();
      return;
    }
    if (!this.#renewing) {
      const renewing = this.#tabs
        .exclusively(() => this.#refresh(), needed)
        .finally(() => {
          if (this.#renewing === renewing) this.#renewing = undefined;
        });
      this.#renewing = renewing;
    }
    await unlessAborted(this.#renewing, signal);
    if (!this.#current) throw ended();
  }

  /**
   * Signs in. Where the browser keeps a cookie, no renewal goes on meanwhile in any tab: its cookie would take the place
   * of that of the new session.
   */
  async begin(open: () => Promise<Session>, signal?: AbortSignal): Promise<User> {
    let user: User | undefined;
    const work = async (): Promise<void> => {
      const askedAt = Date.now();
      const session = await open();
      this.adopt(session, askedAt);
      ({ user } = session);
    };
    const alone = async (): Promise<void> => {
      // Where there are no locks, this tab's own at least.
      if (this.#cookie) await this.#renewing?.catch(() => undefined);
      await this.#tabs.exclusively(work, () => true);
    };
    await unlessAborted(alone(), signal);
    if (!user) throw new Error("nobody was signed in");
    return user;
  }

  /** Keeps the token fresh by itself until the returned function is called. */
  retain(): () => void {
    this.#users += 1;
    if (this.#users === 1) this.#schedule();
    return () => {
      this.#users -= 1;
      if (this.#users === 0) stopTimer(this.#timer);
    };
  }

  /** Lets go of the other tabs. */
  close(): void {
    stopTimer(this.#timer);
    this.#tabs.close();
  }

  async #refresh(): Promise<void> {
    const renewed = this.#current;
    const refreshToken = renewed?.refreshToken;
    /** Somebody signed in or out meanwhile: what becomes of the session that was here is no news any more. */
    const overtaken = (): boolean => this.#current !== renewed;
    for (let attempt = 0; ; attempt += 1) {
      const askedAt = Date.now();
      try {
        const answer = await send(this.#target, {
          method: "POST",
          path: "/api/auth/refresh",
          ...(this.#cookie ? { withCookie: true } : { body: { refreshToken } }),
          timeoutMs: REFRESH_TIMEOUT_MS,
        });
        if (!overtaken()) this.adopt(answer as Session, askedAt);
        return;
      } catch (error) {
        if (overtaken()) return;
        if (error instanceof ProblemError && [401, 403, 422].includes(error.status)) {
          this.#publish(null);
          throw ended(error);
        }
        const later = error instanceof ProblemError && error.retryAfterMs !== undefined;
        if (!isTransient(error) || later || attempt + 1 >= REFRESH_ATTEMPTS) throw error;
        await pause(fullJitter(attempt, REFRESH_BASE_MS, REFRESH_BASE_MS * 4));
      }
    }
  }

  #publish(session: SavedSession | null): void {
    this.#tabs.publish(session);
    this.#set(session);
  }

  #set(session: SavedSession | null): void {
    this.#current = session;
    // One that is under way is of the session that was.
    this.#renewing = undefined;
    if (this.#users > 0) this.#schedule();
    for (const listener of this.#listeners) listener(session);
  }

  #schedule(): void {
    stopTimer(this.#timer);
    const current = this.#current;
    if (!current) return;
    // Tabs that share a token do not all wake at the same moment.
    const share = RENEW_AFTER + Math.random() * RENEW_SPREAD;
    this.#renewIn(Math.max(0, (current.expiresAt - Date.now()) * share));
  }

  #renewIn(ms: number): void {
    this.#timer = setTimeout(() => {
      this.renew(this.#current?.accessToken).catch((error: unknown) => {
        if (this.#users > 0 && isTransient(error)) this.#renewIn(RENEW_RETRY_MS * (1 + Math.random()));
      });
    }, ms);
  }
}

function ended(cause?: unknown): SessionEndedError {
  return new SessionEndedError("The session has ended; sign in again", { cause });
}
