/**
 * People, likes and comments as rows, and the notifications that come of them. Rows are made past the API, so that a test
 * decides when and how often their jobs arrive.
 * @module
 */
import { asc, eq, inArray } from "drizzle-orm";
import type { Actor } from "../../src/auth/actor.ts";
import type { Db } from "../../src/db/client.ts";
import { createCursorCodec } from "../../src/common/pagination.ts";
import { createAnnouncer } from "../../src/notifications/announcer.ts";
import { createInboxRepository } from "../../src/notifications/inbox.ts";
import { createNotificationsRepository } from "../../src/notifications/repository.ts";
import { createNotificationsService } from "../../src/notifications/service.ts";
import type { Delivery, RoomPublisher } from "../../src/realtime/publisher.ts";
import type { UserEvent } from "../../src/realtime/events.ts";
import { comments } from "../../src/db/schema/comments.ts";
import { likes } from "../../src/db/schema/likes.ts";
import { notificationActors, notifications } from "../../src/db/schema/notifications.ts";
import { posts } from "../../src/db/schema/posts.ts";
import { users } from "../../src/db/schema/users.ts";
import type { Job } from "../../src/queue/jobs.ts";
import { db } from "./database.ts";
import { unique } from "./factories.ts";

export type Person = { id: number; username: string };
export type Target = { type: "post" | "comment"; id: number; postId: number };

/** New users, who cannot sign in. One statement. */
export async function people(count: number): Promise<Person[]> {
  const rows = Array.from({ length: count }, () => ({ username: unique("p-"), createdAt: new Date() }));
  const [first] = await db.insert(users).values(rows).$returningId();
  return rows.map(({ username }, index) => ({ id: (first?.id ?? 0) + index, username }));
}

/** A post by a new user, or by `author`, made past the API. */
export async function newTarget(author?: Actor): Promise<{ reader: Actor; target: Target }> {
  const [person] = author ? [author] : await people(1);
  if (!person) throw new Error("nobody was made");
  const now = new Date();
  const [row] = await db
    .insert(posts)
    .values({
      boardId: 1,
      authorId: person.id,
      title: "t",
      content: "c",
      excerpt: "c",
      counted: true,
      createdAt: now,
      updatedAt: now,
    })
    .$returningId();
  const id = row?.id ?? 0;
  const { id: readerId, username } = person;
  const reader: Actor = {
    id: readerId,
    username,
    role: "user",
    sessionId: 1,
    nonce: "0".repeat(32),
    epoch: 1,
  };
  return { reader, target: { type: "post", id, postId: id } };
}

/** Likes of a target by many. One statement. @returns their ids, in order */
export async function likesOf(target: Target, fans: readonly Person[]): Promise<number[]> {
  const now = new Date();
  const rows = fans.map((fan) => ({
    userId: fan.id,
    targetType: target.type,
    targetId: target.id,
    postId: target.postId,
    active: true,
    createdAt: now,
    updatedAt: now,
  }));
  const [first] = await db.insert(likes).values(rows).$returningId();
  return rows.map((_, index) => (first?.id ?? 0) + index);
}

/** Turns a like on or off. */
export async function setLike(id: number, active: boolean): Promise<void> {
  await db.update(likes).set({ active, updatedAt: new Date() }).where(eq(likes.id, id));
}

/** A comment. @returns its id */
export async function commentBy(author: { id: number }, postId: number): Promise<number> {
  const now = new Date();
  const [row] = await db
    .insert(comments)
    .values({ postId, authorId: author.id, content: "c", counted: true, createdAt: now, updatedAt: now })
    .$returningId();
  return row?.id ?? 0;
}

export async function deleteComment(id: number): Promise<void> {
  await db.update(comments).set({ deletedAt: new Date(), content: "" }).where(eq(comments.id, id));
}

/** The job about a row. */
export function syncOf(source: "comment" | "like" | "post", id: number): Job {
  return { job: "sync-notification", payload: { source, id } };
}

export type NotificationRow = typeof notifications.$inferSelect;

/** All notifications of a reader, withdrawn ones too, oldest first. */
export async function rowsOf(readerId: number): Promise<NotificationRow[]> {
  return db
    .select()
    .from(notifications)
    .where(eq(notifications.userId, readerId))
    .orderBy(asc(notifications.id));
}

/** Those that are shown as unread. */
export async function unreadOf(readerId: number): Promise<NotificationRow[]> {
  return (await rowsOf(readerId)).filter((row) => !row.isRead && row.withdrawnAt === null);
}

/** Who is behind notifications. */
export async function actorsOf(rows: readonly { id: number }[]) {
  if (rows.length === 0) return [];
  const ids = rows.map(({ id }) => id);
  return db.select().from(notificationActors).where(inArray(notificationActors.notificationId, ids));
}

type UserRooms = Pick<RoomPublisher, "publishToUser">;

/**
 * A time that the crons of other tests do not reach: what is due then is left alone by them. @param ms further ahead
 */
export function ahead(ms = 0): Date {
  return new Date(Date.now() + 3_600_000 + ms);
}

export type WorkerOptions = {
  /** The time, or a clock; `ahead` by default. */
  now?: Date | (() => Date);
  rooms: UserRooms;
  database?: Db;
  /** The only reader that its sweeps see. */
  reader?: Pick<Actor, "id">;
};

/** The notifications of a Worker of its own, with clock, rooms and database of the test's choice. */
export function createWorker({ now = ahead, rooms, database = db, reader }: WorkerOptions) {
  const clock = typeof now === "function" ? () => now() : () => now;
  const inbox = createInboxRepository(database);
  const announcer = createAnnouncer({
    inbox: {
      ...inbox,
      listReaders: async (...args) =>
        (await inbox.listReaders(...args)).filter((id) => reader === undefined || id === reader.id),
    },
    rooms,
    now: clock,
  });
  const work: Promise<unknown>[] = [];
  const service = createNotificationsService({
    repository: createNotificationsRepository(database),
    announcer,
    cursors: createCursorCodec(["secret"]),
    effects: (_, run) => {
      // As in the Worker, where a failure of it is logged.
      work.push(run().catch(() => undefined));
    },
    now: clock,
  });
  return {
    service,
    announcer,
    /** Waits for the work behind the answers so far. */
    settled: () => Promise.all(work.splice(0)),
  };
}

/** Rooms of users that keep what they are told: an event whose key is known changes nothing, as in the real ones. */
export class RecordedRooms implements UserRooms {
  readonly #keys = new Set<string>();
  readonly #events = new Map<number, UserEvent[]>();
  /** `before`: cannot be reached; `after`: stores what comes, but its answer is lost. */
  failing: "no" | "before" | "after" = "no";

  async publishToUser(userId: number, events: UserEvent[]): Promise<Delivery> {
    if (this.failing === "before") return { status: "unavailable" };
    for (const event of events) {
      const key = `${userId} ${event.key}`;
      if (this.#keys.has(key)) continue;
      this.#keys.add(key);
      this.#events.set(userId, [...this.eventsOf(userId), event]);
    }
    return { status: this.failing === "after" ? "unavailable" : "done" };
  }

  /** What was new to the user's room, in order. */
  eventsOf(userId: number): UserEvent[] {
    return this.#events.get(userId) ?? [];
  }
}

/** What a client that only listens takes for unread, by id. */
function heardBy(events: readonly UserEvent[]): Map<number, unknown> {
  const heard = new Map<number, unknown>();
  for (const event of events) {
    if (event.type === "notify_user") {
      heard.set(event.data.notification.id, event.data.notification);
      continue;
    }
    const { data } = event;
    for (const id of heard.keys()) {
      if ("upTo" in data ? id <= data.upTo : data.ids.includes(id)) heard.delete(id);
    }
  }
  return heard;
}

/**
 * What is wrong with a reader's notifications at rest: rows against who is behind them, what the API says against the
 * rows, what the room was told against what the API says. Empty when nothing is.
 */
export async function discrepancies(reader: Actor, rooms: RecordedRooms): Promise<string[]> {
  const wrong: string[] = [];
  const check = (what: string, found: unknown, wanted: unknown) => {
    const [left, right] = [JSON.stringify(found), JSON.stringify(wanted)];
    if (left !== right) wrong.push(`${what}: ${left} instead of ${right}`);
  };
  const { service } = createWorker({ rooms });
  const rows = await rowsOf(reader.id);
  const actors = await actorsOf(rows);
  for (const row of rows) {
    const behind = actors.filter((actor) => actor.active && actor.notificationId === row.id);
    const persons = new Set(behind.map(({ actorId }) => actorId)).size;
    check(`effects of ${row.id}`, row.effectsDueAt, null);
    // What was read stays, even when everybody has taken back what was told.
    if (persons > 0) check(`people behind ${row.id}`, row.actorCount, persons);
    if (!row.isRead) check(`${row.id} is shown`, row.withdrawnAt === null, persons > 0);
  }
  const unread = rows.filter((row) => !row.isRead && row.withdrawnAt === null);
  const targets = unread.map((row) => `${row.type}:${row.targetType}:${row.targetId}`);
  check("targets", targets.length, new Set(targets).size);
  check("unread count", await service.countUnread(reader), { unreadCount: unread.length });
  const { items } = await service.list(reader, { limit: 100 }, true);
  check(
    "unread list",
    items.map(({ id }) => id),
    unread.map(({ id }) => id).toReversed(),
  );
  const events = rooms.eventsOf(reader.id);
  check("last unread count told", events.at(-1)?.data.unreadCount ?? 0, unread.length);
  const heard = heardBy(events);
  for (const item of items) check(`heard of ${item.id}`, heard.get(item.id), item);
  check("number heard of", heard.size, items.length);
  return wrong;
}
