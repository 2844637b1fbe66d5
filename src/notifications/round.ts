/**
 * What is to be done about the notifications of one reader that came due: which rows change, which frames go to the
 * reader's room, and when the rest is looked at again. Pure.
 * @module
 */
import type { UserEvent } from "../realtime/events.ts";
import { toNotification } from "./schema.ts";

/** A notification that is due, with who is behind it now. */
export type DueNotification = {
  id: number;
  type: "comment" | "like";
  targetType: "post" | "comment";
  targetId: number;
  postId: number;
  actorId: number;
  actorCount: number;
  isRead: boolean;
  withdrawnAt: Date | null;
  revision: number;
  announcedRevision: number | null;
  /** As in the row. */
  frames: string;
  readUpTo: number | null;
  touched: number;
  effectsDueAt: Date;
  createdAt: Date;
  /** How many people are behind it; 0 also when what it is about is gone. */
  people: number;
  /** Who of them did it last; the name is null for an erased account. */
  lastActor: { id: number; username: string | null } | null;
};

/** What is due to a reader, all as of one moment. */
export type Inbox = {
  leasedUntil: number;
  wishes: number;
  unreadCount: number;
  /** At most as many as were asked for. */
  rows: DueNotification[];
};

/** Columns that follow from what happened. */
export type NotificationState = Pick<
  DueNotification,
  "actorId" | "actorCount" | "withdrawnAt" | "revision" | "announcedRevision" | "frames"
>;

/** A row that becomes `to` if it still is at `revision`. */
export type Change = { id: number; revision: number; to: NotificationState };

/** A row that needs nothing more, if it was not touched since. */
export type Settled = {
  id: number;
  revision: number;
  touched: number;
  /** When a frame that is held back may go; null: there is none. */
  dueAt: Date | null;
  /** What the room knows now; null: of no such notification. */
  announcedRevision: number | null;
};

/** Rows that were read together. */
export type ReadTogether = { readUpTo: number; effectsDueAt: Date };

export type Round = {
  /** To be written before the frames are sent, so that none is sent that was not counted. */
  changes: Change[];
  events: UserEvent[];
  settled: Settled[];
  readTogether: ReadTogether[];
};

/** Frames about one target within `FRAME_WINDOW_MS`, at most. */
export const FRAMES_MAX = 5;
export const FRAME_WINDOW_MS = 600_000;
/** So many go at once; those after them wait until the last one is this old, so that a storm's end is told soon. */
export const PROMPT_FRAMES = 3;
const SPACING_MS = [30_000, 120_000] as const;

/** No revision: the room was told a count with the notification in it, but nothing else of it. */
const COUNTED_ONLY = 0;

type Outcome = {
  row: DueNotification;
  state: NotificationState;
  frame: "notify" | "withdraw" | "read" | null;
  heldUntil: Date | null;
};

/** @param now milliseconds since the epoch */
export function planRound({ rows, unreadCount: before }: Inbox, now: number): Round {
  const outcomes = rows.map((row) => (row.isRead ? planRead(row) : planUnread(row, now)));
  const unreadCount = outcomes.reduce(
    (count, { row, state }) => (row.isRead ? count : count + shown(state) - shown(row)),
    before,
  );
  const readTogether = new Map<string, ReadTogether>();
  for (const { readUpTo, effectsDueAt, ...row } of rows) {
    if (readUpTo !== null && row.isRead && row.announcedRevision !== row.revision) {
      readTogether.set(readTogetherKey(readUpTo, effectsDueAt), { readUpTo, effectsDueAt });
    }
  }
  return {
    changes: outcomes.filter(isChange).map(({ row, state: to }) => ({
      id: row.id,
      revision: row.revision,
      to,
    })),
    events: [
      // First: what is unread although it is not newer came after the reading.
      ...[...readTogether].map(([key, { readUpTo: upTo }]) => ({
        key,
        type: "notification_read" as const,
        data: { upTo, unreadCount },
      })),
      ...outcomes.flatMap((outcome) => eventOf(outcome, unreadCount) ?? []),
    ],
    settled: outcomes.map(({ row, state, frame, heldUntil }) => ({
      id: row.id,
      revision: state.revision,
      touched: row.touched,
      dueAt: heldUntil,
      announcedRevision: row.isRead ? state.revision : frame === "withdraw" ? null : state.announcedRevision,
    })),
    readTogether: [...readTogether.values()],
  };
}

/** Reading is final: what is counted afterwards changes the row, and the reader is not told again. */
function planRead(row: DueNotification): Outcome {
  const { people, lastActor } = row;
  const state = stateOf(row);
  if (lastActor && people > 0) Object.assign(state, { actorCount: people, actorId: lastActor.id });
  const told = row.readUpTo !== null || row.announcedRevision === row.revision;
  return { row, state, frame: told ? null : "read", heldUntil: null };
}

function planUnread(row: DueNotification, now: number): Outcome {
  const { people, lastActor } = row;
  const state = stateOf(row);
  const gone = people === 0 || !lastActor;
  if (gone) state.withdrawnAt ??= new Date(now);
  else Object.assign(state, { withdrawnAt: null, actorCount: people, actorId: lastActor.id });
  if (shown(state) !== shown(row) || differs(state, row)) state.revision += 1;

  const frame = gone ? "withdraw" : "notify";
  if (gone && row.announcedRevision === null) {
    if (!shown(row)) return { row, state, frame: null, heldUntil: null };
    // The room knows of none, but other frames have told a count with it.
    state.announcedRevision = COUNTED_ONLY;
  }
  // Said before, by somebody who could not finish: saying it again is harmless, and no further frame. What changed and
  // changed back is another state: somebody may have read by REST what it was in between.
  if (state.revision === row.announcedRevision) return { row, state, frame, heldUntil: null };
  const frames = readFrames(row.frames);
  const allowedAt = nextFrameAt(frames, gone ? FRAMES_MAX : PROMPT_FRAMES, now);
  if (allowedAt > now) return { row, state, frame: null, heldUntil: new Date(allowedAt) };
  state.announcedRevision = state.revision;
  state.frames = [now, ...frames].slice(0, FRAMES_MAX).join(",");
  return { row, state, frame, heldUntil: null };
}

/**
 * When the next frame about a target may go.
 * @param frames when the last ones went, newest first
 * @param prompt how many of them need no spacing
 */
export function nextFrameAt(frames: readonly number[], prompt: number, now: number): number {
  const recent = frames.filter((at) => at > now - FRAME_WINDOW_MS);
  const [last = 0] = recent;
  if (recent.length < prompt) return now;
  const fifth = recent[FRAMES_MAX - 1];
  if (fifth !== undefined) return fifth + FRAME_WINDOW_MS;
  return Math.max(now, last + (SPACING_MS[recent.length - PROMPT_FRAMES] ?? 0));
}

function readFrames(column: string): number[] {
  return column === "" ? [] : column.split(",").map(Number);
}

function eventOf({ row, state, frame }: Outcome, unreadCount: number): UserEvent | undefined {
  if (frame === null) return undefined;
  // A key for each state, so that telling it twice is telling it once.
  const key = `notification:${row.id}:${state.revision}`;
  if (frame !== "notify") {
    return { key, type: "notification_read", data: { ids: [row.id], unreadCount } };
  }
  const { username = null } = row.lastActor ?? {};
  const notification = toNotification({
    ...row,
    actor: username === null ? null : { id: state.actorId, username },
    actorCount: state.actorCount,
  });
  return { key, type: "notify_user", data: { notification, unreadCount } };
}

function readTogetherKey(readUpTo: number, at: Date): string {
  return `notifications_read:${readUpTo}:${at.getTime()}`;
}

function stateOf(row: DueNotification): NotificationState {
  const { actorId, actorCount, withdrawnAt, revision, announcedRevision, frames } = row;
  return { actorId, actorCount, withdrawnAt, revision, announcedRevision, frames };
}

function differs(a: NotificationState, b: NotificationState): boolean {
  return a.actorId !== b.actorId || a.actorCount !== b.actorCount;
}

function isChange({ row, state }: Outcome): boolean {
  return (
    differs(state, row) ||
    state.withdrawnAt !== row.withdrawnAt ||
    state.announcedRevision !== row.announcedRevision
  );
}

/** 1 when it is shown, else 0. */
function shown({ withdrawnAt }: { withdrawnAt: Date | null }): number {
  return withdrawnAt === null ? 1 : 0;
}
