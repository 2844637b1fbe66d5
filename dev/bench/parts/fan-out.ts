/**
 * One frame to many sockets, by a post's room and by a bare object in turn.
 * @module
 */
import { availableParallelism } from "node:os";
import type { Forum } from "../forum.ts";
import { type LoadProcess, startLoad } from "../load/process.ts";
import type { SocketsResult, SocketsTask } from "../load/sockets.ts";
import type { Table } from "../report.ts";
import type { Runtime } from "../runtime.ts";
import { medianOf, percentile } from "../statistics.ts";

/** Below what a shell allows a process to open by default. */
const SOCKETS_PER_PROCESS = 400;
const SOCKETS_PER_USER = 5;
/** Frames of each kind in a round of `--rounds`. */
const FRAMES_PER_ROUND = 5;

const now = () => performance.timeOrigin + performance.now();

type Load = LoadProcess<SocketsTask, SocketsResult>;
/** All in milliseconds since the room took the frame, `posted` since the request was sent. */
type Frame = { p50: number; p95: number; last: number; posted: number; cpuMs: number };

const COLUMNS = [
  "sockets",
  "p50 ms",
  "p95 ms",
  "last ms",
  "CPU ms",
  "POST to p95 ms",
  "bare p50 ms",
  "bare p95 ms",
  "bare last ms",
  "bare CPU ms",
  "bare POST to p95 ms",
  "p95 ratio",
  "CPU ratio",
];

/** @param sockets ascending: more are opened for each size */
export async function measureFanOut(forum: Forum, sockets: number[], rounds: number): Promise<Table> {
  const { ours, bare, boardId, userIds, call, signedIn, signal } = forum;
  const [authorId = 0, ...readerIds] = userIds;
  const author = await signedIn(authorId);
  const body = { boardId, title: "A post with a full room", content: "Content" };
  const { id: postId } = await call<{ id: number }>("POST", "/posts", { headers: author, body });
  const loads: Load[] = [];
  const rows = [];
  let open = 0;

  /** Opens as many sockets of both kinds as are missing. */
  async function openUpTo(count: number): Promise<void> {
    while (open < count) {
      const more = Math.min(count - open, SOCKETS_PER_PROCESS / 2);
      const people = Array.from(
        { length: more },
        (_, index) => readerIds[Math.floor((open + index) / SOCKETS_PER_USER)] ?? 0,
      );
      const load: Load = startLoad("sockets");
      loads.push(load);
      const group = (name: string, url: string, headers: Record<string, string>[]) =>
        load.run({ do: "open", group: name, url, headers });
      await group("ours", `${ours.url}/api/rooms/post:${postId}`, await Promise.all(people.map(signedIn)));
      await group(
        "bare",
        `${bare.url}/room?room=bench`,
        people.map(() => ({})),
      );
      open += more;
    }
  }

  /** Sends one frame and waits until every socket of the group has it. */
  async function frame(group: string, runtime: Runtime, send: () => Promise<unknown>): Promise<Frame> {
    signal.throwIfAborted();
    await runtime.idle();
    const before = runtime.cpuMs();
    const postedAt = now();
    const [results] = await Promise.all([
      Promise.all(loads.map((load) => load.run({ do: "receive", group }))),
      send(),
    ]);
    await runtime.idle();
    const arrivedAt = results.flatMap((result) => result.arrivedAt);
    const sentAt = results[0]?.sentAt ?? NaN;
    const p95 = percentile(arrivedAt, 0.95);
    return {
      p50: percentile(arrivedAt, 0.5) - sentAt,
      p95: p95 - sentAt,
      last: percentile(arrivedAt, 1) - sentAt,
      posted: p95 - postedAt,
      cpuMs: runtime.cpuMs() - before,
    };
  }

  const comment = () =>
    call("POST", `/posts/${postId}/comments`, {
      headers: author,
      body: { content: "A frame for everybody" },
    });
  const [head, tail] = frameOfSameSize(postId);
  const broadcast = async () => {
    const url = `${bare.url}/send?room=bench`;
    await (await fetch(url, { method: "POST", body: JSON.stringify({ head, tail }) })).text();
  };

  try {
    for (const count of sockets) {
      await openUpTo(count);
      const mine: Frame[] = [];
      const theirs: Frame[] = [];
      await frame("ours", ours, comment);
      await frame("bare", bare, broadcast);
      for (let turn = 0; turn < rounds * FRAMES_PER_ROUND; turn += 1) {
        mine.push(await frame("ours", ours, comment));
        theirs.push(await frame("bare", bare, broadcast));
      }
      const figures = (frames: Frame[]) =>
        [
          medianOf(frames, (one) => one.p50),
          medianOf(frames, (one) => one.p95),
          medianOf(frames, (one) => one.last),
          frames.reduce((sum, one) => sum + one.cpuMs, 0) / frames.length,
          medianOf(frames, (one) => one.posted),
        ] as const;
      const [a, b] = [figures(mine), figures(theirs)];
      rows.push([count, ...a, ...b, a[1] / b[1], a[3] / b[3]]);
    }
  } finally {
    for (const load of loads) load.stop();
    // The end of so many sockets is work as well.
    await ours.idle();
  }
  return {
    title: "Fan-out",
    columns: COLUMNS,
    rows,
    note: `From the moment at which the room takes a comment (its \`at\`) to the socket; medians of ${rounds * FRAMES_PER_ROUND} frames. CPU is that of the Worker's process for one comment and all its work. Bare is an object that sends a frame of the same size in a loop. ${SOCKETS_PER_USER} sockets to a person; clients and runtime share ${availableParallelism()} cores.`,
  };
}

/** What stands before and behind the time in a frame as long as that of the comment. */
function frameOfSameSize(postId: number): [head: string, tail: string] {
  const instant = new Date(0).toISOString();
  const data = {
    id: 1_000_000,
    postId,
    author: { id: 1_000, username: "somebody_1000" },
    content: "A frame for everybody",
    likeCount: 0,
    version: 1,
    createdAt: instant,
    updatedAt: instant,
    deletedAt: null,
  };
  return [
    `{"type":"comment_added","room":"post:${postId}","seq":1,"at":"`,
    `","data":${JSON.stringify(data)}}`,
  ];
}
