/**
 * Notifications: what their reader may do with them, and how they follow what others do.
 * @module
 */
import type { Actor } from "../auth/actor.ts";
import type { Effects } from "../common/background.ts";
import { inChunks } from "../common/chunks.ts";
import { AppError } from "../common/errors.ts";
import { type CursorCodec, type Page, type PageRequest, toPage } from "../common/pagination.ts";
import type { JobPayload } from "../queue/jobs.ts";
import type { Announcer } from "./announcer.ts";
import type { NotificationsRepository, Source, SourceFacts } from "./repository.ts";
import type { Notification, UnreadCount } from "./schema.ts";

type Deps = {
  repository: NotificationsRepository;
  announcer: Announcer;
  cursors: CursorCodec;
  effects: Effects;
  now: () => Date;
};

/** Read notifications, and withdrawn ones, are kept for this long. */
const KEPT_DAYS = 90;
const DAY_MS = 86_400_000;
/** How often a job starts over when its reader reads, or its source changes, while it is at work. */
const SYNC_ATTEMPTS = 5;

export type NotificationsService = ReturnType<typeof createNotificationsService>;

export function createNotificationsService({ repository, announcer, cursors, effects, now }: Deps) {
  /** @returns false when something changed meanwhile, so that it has to be looked at anew */
  async function follow(source: Source, facts: SourceFacts): Promise<boolean> {
    let frames = "";
    if (!facts.bound) {
      if (!facts.tellable) return true;
      const at = now();
      [frames] = await Promise.all([
        facts.announced ? "" : repository.framesBefore(source.type, facts),
        facts.announced ? undefined : repository.admitReader(facts.readerId),
        facts.open ? undefined : repository.open(source.type, facts, at),
      ]);
      if (!(await repository.bind(source, facts, at))) return false;
    }
    const until = announcer.leaseEnd();
    const outcome = await repository.touch(source, now(), until, frames);
    if (outcome !== "leased") return true;
    const told = await announcer.announceUnder(facts.readerId, until);
    if (told.status !== "done") announceLater("tell of a notification", facts.readerId);
    return true;
  }

  /** After the answer, again and again while the reader's room cannot be reached. */
  function announceLater(label: string, readerId: number): void {
    effects(label, () => announcer.announce(readerId));
  }

  /** Takes back what its author was told about a comment that may be deleted. */
  async function forgetLikes(commentId: number, facts: SourceFacts | undefined): Promise<void> {
    const touched = await repository.touchDeleted({ type: "comment", id: commentId }, now());
    if (touched === 0 || !facts) return;
    const told = await announcer.announce(facts.actorId);
    if (told.status !== "done") announceLater("tell of likes that are gone", facts.actorId);
  }

  return {
    /** Newest first. One statement. */
    async list(
      actor: Actor,
      { limit, cursor }: PageRequest,
      unreadOnly: boolean,
    ): Promise<Page<Notification>> {
      const list = `notifications:user=${actor.id}:unread=${unreadOnly}`;
      const [before] = cursor === undefined ? [] : await cursors.decode(list, cursor);
      const rows = await repository.list(actor.id, limit + 1, before, unreadOnly);
      return toPage(rows, limit, (last) => cursors.encode(list, last.id));
    },

    /** One statement. */
    async countUnread(actor: Actor): Promise<UnreadCount> {
      return { unreadCount: await repository.countUnread(actor.id) };
    },

    /** Marks one as read, or leaves it so; the other devices are told. Two statements. @throws AppError `not_found` */
    async markRead(actor: Actor, id: number): Promise<Notification> {
      const changed = await repository.markRead(actor.id, id, now());
      if (changed) announceLater("tell of a read notification", actor.id);
      const notification = await repository.find(actor.id, id);
      if (!notification) throw new AppError("not_found", "There is no such notification");
      return notification;
    },

    /** Marks all that are not newer than `upTo`; the other devices are told. Two statements. */
    async markAllRead(actor: Actor, upTo: number): Promise<UnreadCount> {
      const changed = await repository.markReadUpTo(actor.id, upTo, now());
      if (changed > 0) announceLater("tell of read notifications", actor.id);
      return { unreadCount: await repository.countUnread(actor.id) };
    },

    /**
     * The job `sync-notification`: whatever the source was when it was sent, its notification follows what it is now.
     * Rejects when that did not succeed; doing it again changes nothing more.
     */
    async sync({ source, id }: JobPayload<"sync-notification">): Promise<void> {
      if (source === "post") {
        // Its readers may be many: a sweep tells them.
        await repository.touchDeleted({ type: "post", id }, now());
        return;
      }
      for (let attempt = 1; attempt <= SYNC_ATTEMPTS; attempt += 1) {
        const facts = await repository.findSource({ type: source, id });
        if (source === "comment" && facts?.tellable !== true) await forgetLikes(id, facts);
        if (!facts || (await follow({ type: source, id }, facts))) return;
      }
      throw new Error("the source of a notification keeps changing");
    },

    /** Tells what stayed due, and frames that were held back. @returns how many readers were told */
    sweep: () => announcer.sweep(),

    /** Deletes what was read, or withdrawn, long ago. @returns how many notifications */
    async deleteOld(): Promise<number> {
      const before = new Date(now().getTime() - KEPT_DAYS * DAY_MS);
      await inChunks((limit) => repository.closeWithdrawn(before, limit));
      return inChunks((limit) => repository.deleteRead(before, limit));
    },
  };
}
