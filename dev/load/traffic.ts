/**
 * Mixed requests: of a hundred some 80 read, 15 comment and like, 5 sign in. Lanes send without a pause, each the next
 * request when it has the answer to the last, but do as they are told by `Retry-After`.
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "../seed/random.ts";
import type { Api, Call, Reply } from "./api.ts";
import type { Person, World } from "./world.ts";

/** Requests of a kind: how long they took in milliseconds, and how many were limited (429). */
export type Tally = Record<string, { latencies: number[]; limited: number }>;

type Deed = {
  /** Of all requests. */
  percent: number;
  make: (lane: Lane) => Call;
  /** What follows from an answer of 2xx. */
  done?: (lane: Lane, text: string) => void;
};

/** What a lane draws for one request, and what it remembers. */
type Lane = {
  random: Random;
  world: World;
  person: Person;
  postId: number;
  /** Its own comments, with who wrote them. */
  comments: { id: number; author: Person }[];
  cursor: string | null;
};

const COMMENTS_REMEMBERED = 50;

const read = (path: (lane: Lane) => string, signedIn = false) => ({
  make: (lane: Lane): Call => ({
    method: "GET",
    path: path(lane),
    token: signedIn ? lane.person.accessToken : undefined,
  }),
});

/** Somebody's comment of this lane; one that is not there yet is written first. */
function onComment(lane: Lane, make: (comment: Lane["comments"][number]) => Call): Call {
  return lane.comments.length === 0 ? comment(lane) : make(lane.random.pick(lane.comments));
}

const comment = ({ postId, person, random }: Lane): Call => ({
  method: "POST",
  path: `/posts/${postId}/comments`,
  token: person.accessToken,
  json: { content: `${"말 ".repeat(1 + random.below(60))}🎉` },
});

/** Takes note of a comment that was answered; `onComment` may have written one where a like was due. */
function remember(lane: Lane, text: string): void {
  const { id, version } = JSON.parse(text) as { id?: number; version?: number };
  if (id === undefined || version === undefined) return;
  const known = lane.world.comments.has(id);
  lane.world.comments.set(id, version);
  if (known) return;
  lane.comments.push({ id, author: lane.person });
  if (lane.comments.length > COMMENTS_REMEMBERED) lane.comments.shift();
}

const DEEDS: Record<string, Deed> = {
  "a post": { percent: 24, ...read(({ postId }) => `/posts/${postId}`) },
  "a post, signed in": { percent: 12, ...read(({ postId }) => `/posts/${postId}`, true) },
  "posts, first page": { percent: 10, ...read(() => "/posts") },
  "posts, next page": {
    percent: 6,
    ...read(({ cursor }) => `/posts?limit=5${cursor === null ? "" : `&cursor=${cursor}`}`),
    done(lane, text) {
      lane.cursor = (JSON.parse(text) as { nextCursor: string | null }).nextCursor;
    },
  },
  popular: { percent: 6, ...read(() => "/posts/popular") },
  comments: { percent: 10, ...read(({ postId }) => `/posts/${postId}/comments`, true) },
  boards: { percent: 3, ...read(() => "/boards") },
  "a user": { percent: 3, ...read(({ person }) => `/users/${person.id}`) },
  notifications: { percent: 3, ...read(() => "/notifications", true) },
  "unread count": { percent: 2, ...read(() => "/notifications/unread-count", true) },
  statistics: { percent: 1, ...read(() => "/stats/daily") },
  "write a comment": { percent: 6, make: comment, done: remember },
  "change a comment": {
    percent: 1,
    make: (lane) =>
      onComment(lane, ({ id, author }) => ({
        method: "PATCH",
        path: `/comments/${id}`,
        token: author.accessToken,
        json: { content: `changed ${lane.random.below(1_000)}` },
      })),
    done: remember,
  },
  "like or unlike a post": {
    percent: 4,
    make: ({ postId, person, random }) => ({
      method: random.below(3) === 0 ? "DELETE" : "PUT",
      path: `/posts/${postId}/like`,
      token: person.accessToken,
    }),
  },
  "like or unlike a comment": {
    percent: 4,
    make: (lane) =>
      onComment(lane, ({ id }) => ({
        method: lane.random.below(3) === 0 ? "DELETE" : "PUT",
        path: `/comments/${id}/like`,
        token: lane.person.accessToken,
      })),
    done: remember,
  },
  "sign in": {
    percent: 5,
    make: ({ person: { email, password } }) => ({
      method: "POST",
      path: "/auth/login",
      json: { email, password },
    }),
    done({ person }, text) {
      person.accessToken = (JSON.parse(text) as { accessToken: string }).accessToken;
    },
  },
};

/** Each kind of request as often as it comes in a hundred. */
const HUNDRED = Object.entries(DEEDS).flatMap(([name, deed]) =>
  Array.from({ length: deed.percent }, () => ({ name, deed })),
);

/**
 * Sends until `signal` is aborted, and waits for the last answers.
 * @param fault is told of every answer from 400 up but 429, and of every request without an answer
 */
export async function sendTraffic(
  { api, world, random, lanes }: { api: Api; world: World; random: Random; lanes: number },
  signal: AbortSignal,
  fault: (what: string) => void,
): Promise<Tally> {
  const tally: Tally = {};

  async function once(lane: Lane): Promise<void> {
    lane.person = random.pick(world.people);
    lane.postId = random.pick(world.postIds);
    const { name, deed } = random.pick(HUNDRED);
    const call = deed.make(lane);
    const entry = (tally[name] ??= { latencies: [], limited: 0 });
    const sentAt = performance.now();
    let reply: Reply;
    try {
      reply = await api.send(call);
    } catch (error) {
      fault(`${call.method} ${call.path}: ${String(error)}`);
      return;
    }
    entry.latencies.push(performance.now() - sentAt);
    if (reply.status === 429) entry.limited += 1;
    else if (reply.status >= 400) fault(`${call.method} ${call.path}: ${reply.status} ${reply.text}`);
    else deed.done?.(lane, reply.text);
    const { retryAfterSeconds } = reply;
    if (retryAfterSeconds > 0) {
      await sleep(retryAfterSeconds * 1_000, undefined, { signal }).catch(() => undefined);
    }
  }

  await Promise.all(
    Array.from({ length: lanes }, async () => {
      const lane: Lane = {
        random,
        world,
        person: random.pick(world.people),
        postId: 0,
        comments: [],
        cursor: null,
      };
      while (!signal.aborted) await once(lane);
    }),
  );
  return tally;
}
