/**
 * From a comment's POST to the frame at the socket of the post's author: through the database, QStash and two rooms.
 * @module
 */
import { BEARER_PROTOCOL_PREFIX, PING, type ServerFrame, SUBPROTOCOL } from "../../../src/realtime/events.ts";
import type { Forum } from "../forum.ts";
import type { Table } from "../report.ts";
import { percentile } from "../statistics.ts";

export const NOTIFIED_COMMENTS = 500;
/** So many are told of the comments; each has as many posts, because frames about one are few. */
const AUTHORS = 10;
const HEARD_WITHIN_MS = 30_000;

type Listener = {
  /** When the author was told of a comment on the post. */
  heard: (postId: number) => Promise<number>;
  close: () => void;
};

/** Comments one after the other, each on a post of its own. */
export async function measureNotifications(forum: Forum, comments = NOTIFIED_COMMENTS): Promise<Table> {
  const authors = forum.userIds.slice(0, AUTHORS);
  const commenters = forum.userIds.slice(AUTHORS, 2 * AUTHORS);
  const posts: { id: number; author: number }[] = [];
  for (let count = 0; count < comments; count += 1) {
    const author = authors[count % authors.length] ?? 0;
    const body = { boardId: forum.boardId, title: `Post ${count}`, content: "Talk about it" };
    const headers = await forum.signedIn(author);
    const { id } = await forum.call<{ id: number }>("POST", "/posts", { headers, body });
    posts.push({ id, author });
  }
  await forum.ours.idle();
  const listeners = new Map<number, Listener>();
  try {
    for (const author of authors) listeners.set(author, await listen(forum, author));
    const [told, answered]: [number[], number[]] = [[], []];
    for (const [index, { id, author }] of posts.entries()) {
      const headers = await forum.signedIn(commenters[index % commenters.length] ?? 0);
      const heard = listeners.get(author)?.heard(id) ?? Promise.reject(new Error("nobody listens"));
      const sentAt = performance.now();
      await forum.call("POST", `/posts/${id}/comments`, { headers, body: { content: `Comment ${index}` } });
      answered.push(performance.now() - sentAt);
      told.push((await heard) - sentAt);
    }
    const row = (what: string, samples: number[]) => [
      what,
      samples.length,
      percentile(samples, 0.5),
      percentile(samples, 0.95),
      percentile(samples, 0.99),
      Math.max(...samples),
    ];
    return {
      title: "Notifications",
      columns: ["from the POST of a comment", "comments", "p50 ms", "p95 ms", "p99 ms", "max ms"],
      rows: [row("to its answer", answered), row("to notify_user at the author's socket", told)],
      note: "One after the other, each on a post of its own, ten authors; with the local QStash gateway.",
    };
  } finally {
    for (const { close } of listeners.values()) close();
  }
}

/** Joins the author's room. */
async function listen(forum: Forum, author: number): Promise<Listener> {
  const { authorization = "" } = await forum.signedIn(author);
  const socket = new WebSocket(`${forum.ours.url.replace("http", "ws")}/api/rooms/user:${author}`, [
    SUBPROTOCOL,
    `${BEARER_PROTOCOL_PREFIX}${authorization.replace("Bearer ", "")}`,
  ]);
  const waiting = new Map<number, (at: number) => void>();
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener("open", () => socket.send(PING));
    socket.addEventListener("close", () => reject(new Error("the author's room closed")));
    socket.addEventListener("message", ({ data }) => {
      const at = performance.now();
      const frame = JSON.parse(String(data)) as ServerFrame;
      if (frame.type === "ready") resolve();
      if (frame.type === "notify_user") waiting.get(frame.data.notification.postId)?.(at);
    });
  });
  return {
    heard: (postId) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new Error(`nobody told of the comment on post ${postId}`)),
          HEARD_WITHIN_MS,
        );
        waiting.set(postId, (at) => {
          clearTimeout(timer);
          resolve(at);
        });
      }),
    close: () => socket.close(),
  };
}
