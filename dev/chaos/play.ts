/**
 * Plays a plan on a stage: people write while things fail, somebody listens, and everything that was answered is kept.
 * @module
 */
import type { Position, ServerFrame } from "../../src/realtime/events.ts";
import { createRandom } from "../seed/random.ts";
import { listsOf, requestOf, type World } from "./deeds.ts";
import { Ear } from "./ear.ts";
import type { Act, Deed, Fault, Plan, Step } from "./plan.ts";

export type Actor = { id: number; username: string; token: string };
/** The people and things of one run, new and its own. */
export type Cast = { boardId: number; postId: number; actors: Actor[] };

export type Request = { method: string; path: string; json?: unknown; key?: string };
/** Null: the Worker died before it answered. */
export type Answer = { status: number; body: unknown } | null;

/** A connection to a room. */
export type Connection = { frames: readonly ServerFrame[]; closed: () => boolean; drop: () => void };

/** Where plans are played. */
export type Stage = {
  /** @param isolate requests of one isolate share what it remembers */
  send: (actor: Actor, request: Request, fault: Fault | null, isolate: string) => Promise<Answer>;
  /** Undefined: the room is gone. @param fault befalls the first attempt */
  join: (
    room: string,
    actor: Actor,
    position: Position | undefined,
    fault: Fault | null,
  ) => Promise<Connection | undefined>;
  /** Some of the jobs that wait arrive. */
  deliver: (count: number, fault: Fault | null) => Promise<void>;
  /** Counted views are written to the database: everybody's, as cron does every minute. */
  flush: (fault: Fault | null) => Promise<void>;
};

/** What somebody tried, and what became of it as far as they know. */
export type Attempt = {
  actorId: number;
  kind: Deed["kind"];
  /** The comment that it was about, else the post. */
  targetId: number;
  /** Unique text of what was written. */
  text: string;
  /** Of each time it was sent; 0: no answer. */
  statuses: number[];
  /** Of what was made. */
  id: number | undefined;
  faults: (Fault | null)[];
};

/** Isolates among which the requests of a run are spread; what meets no fault may come to a further one, which never saw any. */
const ISOLATES = 2;

function isolateOf({ seed }: Plan, nth: number): string {
  return `run-${seed >>> 0}-${nth}`;
}

export type History = {
  plan: Plan;
  cast: Cast;
  attempts: Attempt[];
  post: Ear;
  user: Ear;
  /** The runtime itself was killed meanwhile: any request may have gone without an answer. */
  killed?: boolean;
};

/** Plays all acts. Afterwards nothing more is written, but effects may still be under way, due, or lost with a Worker. */
export async function play(plan: Plan, cast: Cast, stage: Stage): Promise<History> {
  const random = createRandom(plan.seed ^ 0x5eed);
  const [author = nobody()] = cast.actors;
  const [, watcher = author] = cast.actors;
  const attempts: Attempt[] = [];
  const post = new Ear(stage, `post:${cast.postId}`, watcher);
  const user = new Ear(stage, `user:${author.id}`, author);
  const world: World = {
    cast,
    attempts,
    newestNotification: () =>
      user
        .events()
        .reduce(
          (id, event) => (event.type === "notify_user" ? Math.max(id, event.data.notification.id) : id),
          0,
        ),
  };
  await Promise.all([post.enter(), user.enter()]);

  async function perform(step: Step, name: string): Promise<void> {
    const actor = cast.actors[step.actor] ?? author;
    const { request, targetId, text } = requestOf(step.deed, actor, name, world);
    const attempt: Attempt = {
      actorId: actor.id,
      kind: step.deed.kind,
      targetId,
      text,
      statuses: [],
      id: undefined,
      faults: [],
    };
    attempts.push(attempt);
    const nth = random.below(ISOLATES);
    for (const fault of [step.fault, null]) {
      // Where Redis has not failed, a view that nothing befell must count.
      const isolate = isolateOf(plan, fault === null && step.deed.kind === "read_post" ? ISOLATES : nth);
      const answer = await stage.send(actor, request, fault, isolate);
      attempt.statuses.push(answer?.status ?? 0);
      attempt.faults.push(fault);
      const { id } = (answer?.body ?? {}) as { id?: number };
      if (answer?.status === 201 && id !== undefined) attempt.id = id;
      if (!step.again || (answer && answer.status < 500)) break;
    }
  }

  async function playAct(act: Act, nth: number): Promise<void> {
    // Somebody reads it, so that there is something in the cache that may go stale.
    const path = nth % 2 === 0 ? `/api/posts/${cast.postId}` : listsOf(cast)[random.below(3)];
    await stage.send(
      watcher,
      { method: "GET", path: path ?? "" },
      null,
      isolateOf(plan, random.below(ISOLATES)),
    );
    const ear = random.pick([post, user]);
    if (act.reconnect === "later") ear.lose();
    await Promise.all([
      ...act.steps.map((step, index) => perform(step, `s${plan.seed >>> 0}-${nth}-${index}`)),
      stage.deliver(act.deliveries, act.deliveryFault),
      act.reconnect === "at once" ? ear.connect(act.reconnectFault) : undefined,
      act.flush ? stage.flush(act.flush.fault) : undefined,
    ]);
    if (act.reconnect === "later") await ear.connect(act.reconnectFault);
  }

  for (const [nth, act] of plan.acts.entries()) await playAct(act, nth);
  return { plan, cast, attempts, post, user };
}

function nobody(): never {
  throw new Error("a cast without anybody");
}
