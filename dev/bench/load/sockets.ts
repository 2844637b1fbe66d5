/**
 * A process with many listening sockets in one or two rooms.
 * @module
 */
import { type Listener, listen } from "./socket.ts";
import { serveLoad } from "./process.ts";

export type SocketsTask =
  /** Opens one socket for each of the headers, in a group of that name. */
  | { do: "open"; group: string; url: string; headers: Record<string, string>[] }
  /** Resolves when each socket of the group has had one frame of the kind that is counted. */
  | { do: "receive"; group: string }
  | { do: "close" };

/** Of `receive`: when each socket had its frame, and when the room says that it was sent. Milliseconds since the epoch. */
export type SocketsResult = { arrivedAt: number[]; sentAt: number };

/** What is counted: a frame with a place in the log, and its like. */
const COUNTED = Buffer.from('{"type":"comment_added"');
const RECEIVE_WITHIN_MS = 30_000;
const OPENED_AT_ONCE = 25;

type Group = { listeners: Listener[]; arrivedAt: number[]; sentAt: number; full: (() => void) | undefined };
const groups = new Map<string, Group>();

function take(group: Group, text: Buffer): void {
  if (text.compare(COUNTED, 0, COUNTED.length, 0, COUNTED.length) !== 0) return;
  group.arrivedAt.push(performance.timeOrigin + performance.now());
  if (group.arrivedAt.length === 1) {
    group.sentAt = Date.parse(/"at":"([^"]+)"/.exec(text.toString())?.[1] ?? "");
  }
  if (group.arrivedAt.length === group.listeners.length) group.full?.();
}

async function open(name: string, url: string, headers: Record<string, string>[]): Promise<void> {
  const group = groups.get(name) ?? { listeners: [], arrivedAt: [], sentAt: NaN, full: undefined };
  groups.set(name, group);
  for (let start = 0; start < headers.length; start += OPENED_AT_ONCE) {
    const opened = await Promise.all(
      headers.slice(start, start + OPENED_AT_ONCE).map((own) =>
        listen(url, own, (text) => {
          if (text) take(group, text);
        }),
      ),
    );
    group.listeners.push(...opened);
  }
}

async function receive(name: string): Promise<SocketsResult> {
  const group = groups.get(name);
  if (!group) throw new Error(`there is no group ${name}`);
  const { listeners } = group;
  if (group.arrivedAt.length < listeners.length) {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`${group.arrivedAt.length} of ${listeners.length} frames arrived`)),
        RECEIVE_WITHIN_MS,
      );
      group.full = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
  const { arrivedAt, sentAt } = group;
  Object.assign(group, { arrivedAt: [], full: undefined });
  return { arrivedAt, sentAt };
}

serveLoad<SocketsTask, SocketsResult>(async (task) => {
  if (task.do === "receive") return receive(task.group);
  if (task.do === "open") await open(task.group, task.url, task.headers);
  else {
    for (const { listeners } of groups.values()) for (const listener of listeners) listener.close();
    groups.clear();
  }
  return { arrivedAt: [], sentAt: NaN };
});
