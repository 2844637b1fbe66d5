/**
 * What happens in a run of chaos: who writes what, who fails when. All of it follows from the seed.
 * @module
 */
import { createRandom, type Random } from "../seed/random.ts";

export type Upstream = "redis" | "qstash" | "room" | "db";

/** What befalls one request and the work behind it. */
export type Fault =
  /** Calls to one upstream fail, from the `skip`th on, so many. */
  | { kind: "failure"; upstream: Upstream; mode: FailureMode; skip: number; count: number }
  /** The Worker dies at its `after`th call to anybody: that one still happens (its answer lost), or not even that. */
  | { kind: "death"; after: number; lost: "request" | "answer" };

/**
 * `before`: the connection breaks and nothing happened. `after`: it happened, its answer is lost. `half`: it happened, its
 * answer breaks off in the middle. `error`: a status 500. `hang`: no answer. `slow`: two seconds on the way, there or back;
 * what is late still happens when nobody waits any more.
 */
export type FailureMode = "before" | "after" | "half" | "error" | "hang" | "slow";

/** `nth` chooses among what there is by then. */
export type Deed =
  | { kind: "comment" | "post" | "edit_post" | "delete_post" | "like_post" | "unlike_post" | "erase" }
  | { kind: "edit_comment" | "delete_comment" | "like_comment" | "unlike_comment"; nth: number }
  /** Posts that were written in the run, beside the one that it is about. */
  | { kind: "edit_other_post" | "delete_other_post" | "like_other_post" | "unlike_other_post"; nth: number }
  | { kind: "read_post" | "read_notifications" }
  /** Of posts: the board's, its popular ones, the author's. */
  | { kind: "read_list"; nth: number };

export type Step = {
  /** Actor 0 wrote the post. */
  actor: number;
  deed: Deed;
  fault: Fault | null;
  /** Without an answer, or after a status from 500 up, the client sends it again under the same key. */
  again: boolean;
};

export type Act = {
  /** They happen at the same time. */
  steps: Step[];
  /**
   * Somebody who listens loses the connection, and comes back where it was: in the middle, or only when all is over. What
   * befalls the first attempt to come back stands in `reconnectFault`.
   */
  reconnect: "at once" | "later" | null;
  reconnectFault: Fault | null;
  /** So many jobs arrive, some of them twice at once. */
  deliveries: number;
  /** What befalls the first of them. */
  deliveryFault: Fault | null;
  /** Counted views are written to the database, and what befalls that; undefined: they are not. */
  flush: { fault: Fault | null } | undefined;
};

export type Plan = { seed: number; actors: number; acts: Act[] };

const MODES: readonly FailureMode[] = [
  "before",
  "before",
  "after",
  "after",
  "half",
  "half",
  "error",
  "error",
  "hang",
  "slow",
];
const DEEDS: readonly Deed["kind"][] = [
  ...(Array(7).fill("comment") as "comment"[]),
  ...(Array(3).fill("edit_comment") as "edit_comment"[]),
  ...(Array(3).fill("delete_comment") as "delete_comment"[]),
  ...(Array(4).fill("like_post") as "like_post"[]),
  ...(Array(2).fill("unlike_post") as "unlike_post"[]),
  ...(Array(4).fill("like_comment") as "like_comment"[]),
  ...(Array(2).fill("unlike_comment") as "unlike_comment"[]),
  ...(Array(3).fill("read_post") as "read_post"[]),
  "read_list",
  "read_list",
  ...(Array(4).fill("read_notifications") as "read_notifications"[]),
  "edit_post",
  "edit_post",
  "post",
  "post",
  "edit_other_post",
  "delete_other_post",
  "like_other_post",
  "like_other_post",
  "unlike_other_post",
];
const NUMBERED = /_comment$|_other_post$|^read_list$/;
/** The author's room is the one that is listened to. */
const BY_AUTHOR: readonly Deed["kind"][] = ["edit_post", "read_notifications"];
/** Calls of a request and of what follows it; a death beyond is none. */
const CALLS_MAX = 14;
const ALWAYS = 1_000;

/** The plan of a seed, which is an integer of 32 bits. */
export function planOf(seed: number): Plan {
  const random = createRandom(seed);
  const actors = 2 + random.below(3);
  const acts = Array.from({ length: 4 + random.below(4) }, (): Act => ({
    steps: Array.from({ length: 1 + random.below(3) }, () => stepOf(random, actors)),
    reconnect: random.pick(["at once", "later", null, null]),
    reconnectFault: random.below(2) === 0 ? faultOf(random) : null,
    deliveries: random.below(3),
    deliveryFault: random.below(3) === 0 ? faultOf(random) : null,
    flush:
      random.below(12) === 0 ? { fault: random.below(3) === 0 ? null : flushFaultOf(random) } : undefined,
  }));
  addOutage(random, acts);
  addEnding(random, acts, actors);
  return { seed, actors, acts };
}

function stepOf(random: Random, actors: number): Step {
  const kind = random.pick(DEEDS);
  const deed = (NUMBERED.test(kind) ? { kind, nth: random.below(8) } : { kind }) as Deed;
  return {
    actor: BY_AUTHOR.includes(kind) ? 0 : random.below(actors),
    deed,
    fault: random.below(3) === 0 ? null : faultOf(random),
    again: random.below(2) === 0,
  };
}

function faultOf(random: Random): Fault {
  const kind = random.below(10);
  if (kind < 3) {
    return { kind: "death", after: random.below(CALLS_MAX), lost: random.pick(["request", "answer"]) };
  }
  if (kind === 3) {
    const mode = random.pick(["before", "after", "half", "error", "slow"] as const);
    return { kind: "failure", upstream: "db", mode, skip: random.below(3), count: 1 };
  }
  return {
    kind: "failure",
    upstream: random.pick(["redis", "qstash", "room"]),
    mode: random.pick(MODES),
    skip: random.below(3),
    count: random.pick([1, 1, 2, ALWAYS]),
  };
}

/** A flush asks Redis twice and the database twice, in between. */
function flushFaultOf(random: Random): Fault {
  if (random.below(2) === 0) {
    return { kind: "death", after: random.below(4), lost: random.pick(["request", "answer"]) };
  }
  const mode = random.pick(["before", "after", "half", "error", "slow"] as const);
  return { kind: "failure", upstream: random.pick(["redis", "db"]), mode, skip: random.below(2), count: 1 };
}

/** One upstream is away for some time: whatever happens meanwhile and has no fault of its own meets that. */
function addOutage(random: Random, acts: Act[]): void {
  if (random.below(2) === 0) return;
  const from = random.below(acts.length);
  const until = from + 1 + random.below(acts.length - from);
  const fault: Fault = {
    kind: "failure",
    upstream: random.pick(["redis", "qstash", "room"]),
    mode: random.pick(["before", "error", "after", "half"]),
    skip: 0,
    count: ALWAYS,
  };
  for (const act of acts.slice(from, until)) for (const step of act.steps) step.fault ??= fault;
}

/** Now and then somebody's account, or the post itself, goes in the end. */
function addEnding(random: Random, acts: Act[], actors: number): void {
  const last = acts.at(-1);
  const chosen = random.below(2) === 0 ? null : faultOf(random);
  // Sessions end before the answer, which waits for the rooms.
  const fault = chosen?.kind === "failure" && chosen.mode === "hang" ? null : chosen;
  if (random.below(8) === 0 && actors > 2) {
    last?.steps.push({ actor: actors - 1, deed: { kind: "erase" }, fault, again: true });
  }
  if (random.below(8) === 0) {
    last?.steps.push({ actor: 0, deed: { kind: "delete_post" }, fault, again: true });
  }
}
