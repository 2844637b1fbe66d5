/**
 * What is wrong in the end: answers against rows, rows against frames, counts against rows. Pure.
 * @module
 */
import type { EventFrame, RoomNotification } from "../../src/realtime/events.ts";
import type { Truth } from "./database.ts";
import type { Ear } from "./ear.ts";
import type { Attempt, History } from "./play.ts";

/** What REST shows to the post's author in the end; the post is null when it is gone. */
export type Shown = {
  post: { likeCount: number; commentCount: number; content: string; version: number } | null;
  unreadCount: number;
  /** Ids of the author's unread notifications. */
  unread: number[];
};

export type Check = (what: string, found: unknown, wanted: unknown) => void;

/** Collects what is not as it is wanted. */
export function checker(): { wrong: string[]; check: Check } {
  const wrong: string[] = [];
  const check: Check = (what, found, wanted) => {
    const [left, right] = [JSON.stringify(found), JSON.stringify(wanted)];
    if (left !== right) wrong.push(`${what}: ${left} instead of ${right}`);
  };
  return { wrong, check };
}

/** Complaints, each a line; none when all is well. */
export function verdict(
  { attempts, cast, post, user, killed = false }: History,
  truth: Truth,
  shown: Shown,
): string[] {
  const { wrong, check } = checker();
  for (const ear of [post, user]) {
    for (const complaint of ear.complaints) wrong.push(`${ear.room}: ${complaint}`);
    const seqs = ear.events().map(({ seq }) => seq);
    check(
      `${ear.room}: order of events`,
      seqs,
      seqs.map((_, index) => (seqs[0] ?? 0) + index),
    );
  }
  const row = truth.posts.find(({ id }) => id === cast.postId);
  if (!row) return [...wrong, "the post has no row"];
  const gone = row.deletedAt !== null;
  checkAnswers(attempts, killed, truth, cast.postId, check);
  checkDue(truth, check);
  checkCounts(truth, cast.postId, shown, check);
  checkPostRoom(post, truth, row, check);
  if (!gone) check("version shown", [shown.post?.version, shown.post?.content], [row.version, row.content]);
  checkNotifications(truth, cast.postId, attempts, check);
  checkUserRoom(user.events(), truth, cast.actors[0]?.id ?? 0, shown, attempts, check);
  return wrong;
}

function checkAnswers(
  attempts: readonly Attempt[],
  killed: boolean,
  truth: Truth,
  postId: number,
  check: Check,
): void {
  const made = (kind: Attempt["kind"], text: string) =>
    kind === "post"
      ? truth.posts.filter(({ id, content }) => id !== postId && content === text).map(({ id }) => id)
      : truth.comments
          .filter(({ id, content, deletedAt }) => content === text && deletedAt === null && id > 0)
          .map(({ id }) => id);
  for (const attempt of attempts) {
    const { kind, text, statuses, id, faults } = attempt;
    const what = `${kind} ${text.split(" ")[0]} (${statuses.join(", ")})`;
    for (const [index, status] of statuses.entries()) {
      const fault = faults[index];
      // Only the database itself and a Worker's death may keep a write from being answered.
      const excused = killed || (fault && (fault.kind === "death" || fault.upstream === "db"));
      if (!excused) check(`${what}: its answer`, status >= 200 && status < 500, true);
    }
    if (kind !== "comment" && kind !== "post") continue;
    const table: { id: number; version: number; deletedAt: Date | null }[] =
      kind === "post" ? truth.posts : truth.comments;
    if (id !== undefined) check(`${what}: row of a 201`, table.filter((row) => row.id === id).length, 1);
    // What was edited has another text, and what was deleted has none.
    const edited = table.some((row) => row.id === id && (row.version > 1 || row.deletedAt !== null));
    const ids = made(kind, text);
    if (!edited) check(`${what}: rows under one key`, ids.length <= 1, true);
    if (!edited && id !== undefined) check(`${what}: its row`, ids, [id]);
    if (statuses.every((status) => status >= 400 && status < 500))
      check(`${what}: rows of a refusal`, ids, []);
  }
  const texts = new Set(attempts.map(({ text }) => text));
  for (const { id, content, deletedAt } of truth.comments) {
    if (deletedAt === null) check(`comment ${id} was written by somebody`, texts.has(content), true);
  }
}

function checkDue(truth: Truth, check: Check): void {
  for (const table of ["posts", "comments", "likes", "users", "notifications"] as const) {
    const due = truth[table].filter(({ effectsDueAt }) => effectsDueAt !== null);
    check(
      `due ${table}`,
      due.map(({ id }) => id),
      [],
    );
  }
}

function checkCounts(truth: Truth, postId: number, shown: Shown, check: Check): void {
  const living = truth.posts.filter(({ deletedAt }) => deletedAt === null);
  check("posts of the board", truth.postCount, living.length);
  check("posts counted", living.filter(({ counted }) => !counted).length, 0);
  const likesOf = (type: string, id: number) =>
    truth.likes.filter((like) => like.active && like.targetType === type && like.targetId === id).length;
  const post = living.find(({ id }) => id === postId);
  const comments = truth.comments.filter(({ deletedAt }) => deletedAt === null);
  for (const { id, likeCount } of living) check(`likes of post ${id}`, likeCount, likesOf("post", id));
  if (post) {
    check("comments of the post", post.commentCount, comments.length);
    check("likes shown", shown.post?.likeCount, post.likeCount);
    check("comments shown", shown.post?.commentCount, post.commentCount);
  } else check("the post that is gone", shown.post, null);
  for (const { id, likeCount } of comments)
    check(`likes of comment ${id}`, likeCount, likesOf("comment", id));
}

type PostRow = Truth["posts"][number];

function checkPostRoom(ear: Ear, truth: Truth, post: PostRow, check: Check): void {
  const events = ear.events();
  const gone = post.deletedAt !== null;
  const about = <Type extends EventFrame["type"]>(type: Type) =>
    events.filter((event): event is Extract<EventFrame, { type: Type }> => event.type === type);
  const deletions = about("post_deleted").length;
  // Whoever was away when the post went finds no room any more.
  check("deletions of the post told", deletions, gone && !(ear.isShutOut && deletions === 0) ? 1 : 0);
  for (const row of truth.comments) {
    const of = (type: "comment_added" | "comment_updated" | "comment_deleted") =>
      about(type).filter(({ data }) => data.id === row.id);
    const [added, updated, deleted] = [of("comment_added"), of("comment_updated"), of("comment_deleted")];
    const versions = updated.map(({ data }) => data.version);
    check(
      `edits of comment ${row.id} told once each`,
      versions,
      [...new Set(versions)].sort((a, b) => a - b),
    );
    // What was not told before the post went is of no interest any more.
    if (gone) check(`comment ${row.id} told at most once`, added.length <= 1 && deleted.length <= 1, true);
    else if (row.deletedAt !== null) {
      check(`deletion of comment ${row.id} told`, deleted.length, 1);
      check(`comment ${row.id}, deleted, told at most once`, added.length <= 1, true);
      check(
        `last word on comment ${row.id}`,
        [...added, ...updated, ...deleted].sort(bySeq).at(-1)?.type,
        "comment_deleted",
      );
    } else {
      check(`comment ${row.id} told`, added.length, 1);
      check(`deletion of comment ${row.id} told, which is there`, deleted.length, 0);
      if (row.version > 1) check(`last edit of comment ${row.id} told`, versions.at(-1), row.version);
      const last = [...added, ...updated].sort(bySeq).at(-1);
      check(`last text of comment ${row.id}`, last?.data.content, row.content);
      const liked = about("comment_liked").findLast(({ data }) => data.targetId === row.id);
      const whole = last && (!liked || last.seq > liked.seq) ? last.data.likeCount : liked?.data.likeCount;
      check(`last likes of comment ${row.id}`, whole ?? 0, row.likeCount);
    }
  }
  const known = new Set(truth.comments.map(({ id }) => id));
  for (const type of ["comment_added", "comment_updated", "comment_deleted"] as const) {
    for (const { data } of about(type))
      check(`comment ${data.id} that was told is there`, known.has(data.id), true);
  }
  const edits = about("post_updated").map(({ data }) => data.version);
  check(
    "edits of the post told once each",
    edits,
    [...new Set(edits)].sort((a, b) => a - b),
  );
  if (gone) return;
  if (post.version > 1) check("last edit of the post told", edits.at(-1), post.version);
  const counts = events.flatMap((event) =>
    event.type === "post_liked" || event.type === "post_updated" ? [event.data.likeCount] : [],
  );
  check("last likes of the post", counts.at(-1) ?? 0, post.likeCount);
}

function bySeq(a: { seq: number }, b: { seq: number }): number {
  return a.seq - b.seq;
}

type NotificationRow = Truth["notifications"][number];

function isShown({ withdrawnAt }: NotificationRow): boolean {
  return withdrawnAt === null;
}

/** Who must be told of what: `reader type target` to the people behind it. */
function expected(truth: Truth, postId: number): Map<string, Set<number>> {
  const people = new Map<string, Set<number>>();
  const authors = new Map(
    truth.posts.filter(({ deletedAt }) => deletedAt === null).map(({ id, authorId }) => [id, authorId]),
  );
  const living = authors.has(postId) ? truth.comments.filter(({ deletedAt }) => deletedAt === null) : [];
  const erased = erasedOf(truth);
  const add = (reader: number | undefined, actor: number, what: string) => {
    if (reader === undefined || reader === actor || erased.has(reader)) return;
    const key = `${reader} ${what}`;
    people.set(key, (people.get(key) ?? new Set()).add(actor));
  };
  for (const { authorId } of living) add(authors.get(postId), authorId, `comment post ${postId}`);
  for (const { active, userId, targetType, targetId } of truth.likes) {
    if (!active) continue;
    if (targetType === "post") add(authors.get(targetId), userId, `like post ${targetId}`);
    else add(living.find(({ id }) => id === targetId)?.authorId, userId, `like comment ${targetId}`);
  }
  return people;
}

function erasedOf(truth: Truth): Set<number> {
  return new Set(truth.users.filter(({ erasedAt }) => erasedAt !== null).map(({ id }) => id));
}

/** The author alone reads; whoever did not is told of everything in one notification for each target. */
function checkNotifications(truth: Truth, postId: number, attempts: readonly Attempt[], check: Check): void {
  const readers = new Set(
    attempts.filter(({ kind }) => kind === "read_notifications").map(({ actorId }) => actorId),
  );
  const erased = erasedOf(truth);
  const wanted = expected(truth, postId);
  const shown = truth.notifications.filter((row) => isShown(row) && !erased.has(row.userId));
  const keyOf = (row: NotificationRow) => `${row.userId} ${row.type} ${row.targetType} ${row.targetId}`;
  const behind = (row: NotificationRow) =>
    new Set(
      truth.behind
        .filter(({ notificationId, active }) => active && notificationId === row.id)
        .map(({ actorId }) => actorId),
    );
  const lines = (of: (readerId: number) => boolean) => [
    shown
      .filter(({ userId }) => of(userId))
      .map((row) => `${keyOf(row)} by ${row.actorCount}`)
      .sort(),
    [...wanted]
      .filter(([key]) => of(Number(key.split(" ")[0])))
      .map(([key, actors]) => `${key} by ${actors.size}`)
      .sort(),
  ];
  const [told, due] = lines((userId) => !readers.has(userId));
  check("notifications", told, due);
  for (const row of shown) {
    if (!row.isRead) check(`people behind notification ${row.id}`, row.actorCount, behind(row).size);
  }
  // What was read stays when it is taken back; what is unread tells of what is, once.
  for (const [key, actors] of wanted) {
    const rows = shown.filter((row) => keyOf(row) === key);
    check(`unread notifications of ${key}`, rows.filter(({ isRead }) => !isRead).length <= 1, true);
    const known = new Set(rows.flatMap((row) => [...behind(row)]));
    for (const actor of actors) check(`${key} tells of ${actor}`, known.has(actor), true);
  }
  for (const row of shown.filter(({ isRead }) => !isRead)) {
    for (const actor of behind(row)) {
      check(`${keyOf(row)} tells of ${actor}, who is`, wanted.get(keyOf(row))?.has(actor), true);
    }
  }
}

function checkUserRoom(
  events: readonly EventFrame[],
  truth: Truth,
  readerId: number,
  shown: Shown,
  attempts: readonly Attempt[],
  check: Check,
): void {
  const unread = truth.notifications.filter((row) => row.userId === readerId && isShown(row) && !row.isRead);
  const ids = unread.map(({ id }) => id).sort((a, b) => a - b);
  check("unread count", shown.unreadCount, unread.length);
  check(
    "unread list",
    shown.unread.toSorted((a, b) => a - b),
    ids,
  );
  const heard = new Map<number, string>();
  const tellings = new Map<string, { about: RoomNotification; changes: number }>();
  let count = 0;
  for (const event of events) {
    if (event.type === "notify_user") {
      const { notification: about } = event.data;
      const text = JSON.stringify(about);
      const { id } = about;
      const target = `${about.type} ${about.targetType} ${about.targetId}`;
      const { changes } = tellings.get(target) ?? { changes: 0 };
      // What is told again as it was has changed and changed back: REST may have shown what it was in between.
      tellings.set(target, { about, changes: changes + (heard.get(id) === text ? 2 : 1) });
      heard.set(id, text);
      count = event.data.unreadCount;
    } else if (event.type === "notification_read") {
      const { data } = event;
      for (const id of heard.keys()) {
        if ("ids" in data ? data.ids.includes(id) : id <= data.upTo) heard.delete(id);
      }
      count = data.unreadCount;
    }
  }
  for (const [target, { about, changes }] of tellings) {
    const writes = writesAbout(about, readerId, attempts);
    check(`${target}: ${changes} changes told after ${writes} writes`, changes <= writes, true);
  }
  for (const { id, revision } of truth.notifications.filter(({ userId }) => userId === readerId)) {
    const frames = events.filter(({ type, data }) =>
      type === "notify_user"
        ? data.notification.id === id
        : type === "notification_read" && "ids" in data && data.ids.includes(id),
    );
    // Each state has a key of its own, and the first, of nobody, is never told.
    check(
      `notification ${id}: ${frames.length} frames of ${revision} states`,
      frames.length < revision,
      true,
    );
  }
  check(
    "notifications heard of",
    [...heard.keys()].sort((a, b) => a - b),
    ids,
  );
  check("last unread count heard", count, unread.length);
  for (const { id, actorCount } of unread) {
    const { actorCount: told } = JSON.parse(heard.get(id) ?? "{}") as { actorCount?: number };
    check(`people behind notification ${id} as heard`, told, actorCount);
  }
}

/** How many requests may have changed who is behind a notification of the reader. */
function writesAbout(
  { type, targetId }: RoomNotification,
  readerId: number,
  attempts: readonly Attempt[],
): number {
  return attempts
    .filter(({ actorId }) => actorId !== readerId)
    .filter((attempt) =>
      type === "comment"
        ? attempt.kind === "comment" || attempt.kind === "delete_comment"
        : attempt.kind.includes("like") && attempt.targetId === targetId,
    )
    .reduce((sum, { statuses }) => sum + statuses.length, 0);
}
