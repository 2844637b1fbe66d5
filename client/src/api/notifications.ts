/**
 * One's own notifications.
 * @module
 */
import type { Notification } from "../generated/rest.ts";
import type { CallOptions, Http } from "../http.ts";
import { List, type PageQuery } from "../pages.ts";

/** One's own notifications. They also arrive in one's own room, `user:<id>`. */
export class Notifications {
  readonly #http: Http;

  /** @internal */
  constructor(http: Http) {
    this.#http = http;
  }

  /** Newest first; with `unread` only those. */
  list(
    { unread, ...query }: PageQuery & { unread?: boolean } = {},
    options?: CallOptions,
  ): List<Notification> {
    const filter = unread ? { unread: "true" as const } : {};
    return new List(
      (page) => this.#http.request("GET /api/notifications", { query: { ...page, ...filter } }, options),
      query,
    );
  }

  /** How many are unread. */
  async unreadCount(options?: CallOptions): Promise<number> {
    return (await this.#http.request("GET /api/notifications/unread-count", {}, options)).unreadCount;
  }

  /** Marks one as read. */
  markRead(id: number, options?: CallOptions): Promise<Notification> {
    const settings = { ...options, repeatable: true };
    return this.#http.request("PATCH /api/notifications/{id}/read", { path: { id } }, settings);
  }

  /** Marks all up to one as read; newer ones stay unread. @returns how many are unread */
  async markAllRead(upTo: number, options?: CallOptions): Promise<number> {
    const settings = { ...options, repeatable: true };
    return (await this.#http.request("POST /api/notifications/read-all", { body: { upTo } }, settings))
      .unreadCount;
  }
}
