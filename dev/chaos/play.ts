/**
 * Plays a plan on a stage: people write while things fail, somebody listens, and everything that was answered is kept.
 * @module
 */
import type { EventFrame, Position, ServerFrame } from "../../src/realtime/events.ts";
import { createRandom } from "../seed/random.ts";
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
  /** Undefined: the room is gone. */
  join: (room: string, actor: Actor, position: Position | undefined) => Promise<Connection | undefined>;
  /** Some of the jobs that wait arrive. */
  deliver: (count: number, fault: Fault | null) => Promise<void>;
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

/** Isolates among which the requests of a run are spread. */
const ISOLATES = 2;
/** How often the first way into a room is tried. */
const ENTRIES = 10;

function isolateOf({ seed }: Plan, nth: number): string {
  return `run-${seed >>> 0}-${nth}`;
}

/** Follows a room over lost connections without losing an event. */
export class Ear {
  readonly room: string;
  readonly #stage: Stage;
  readonly #actor: Actor;
  #connection: Connection | undefined;
  #before: EventFrame[] = [];
  #position: Position | undefined;
  /** What a room must never do. */
  readonly complaints: string[] = [];

  constructor(stage: Stage, room: string, actor: Actor) {
    this.#stage = stage;
    this.room = room;
    this.#actor = actor;
  }

  /** Joins, or loses the connection and comes back where it was. */
  async connect(): Promise<void> {
    this.#connection?.drop();
    this.#before = this.events();
    const last = this.#before.at(-1);
    const position = this.#position && { ...this.#position, after: last?.seq ?? this.#position.after };
    this.#connection = await this.#stage.join(this.room, this.#actor, position);
    const [ready] = this.#connection?.frames ?? [];
    if (ready?.type !== "ready") {
      if (this.#connection) this.complaints.push("the first frame is not ready");
      return;
    }
    if (position && ready.resume !== "replayed") this.complaints.push(`a resume ended in ${ready.resume}`);
    this.#position ??= { epoch: ready.epoch, after: ready.seq };
  }

  /** Joins for the first time: before anything happens, however often a slow machine refuses. */
  async enter(): Promise<void> {
    for (let left = ENTRIES; left > 0 && !this.#position; left -= 1) await this.connect();
    if (!this.#position) this.complaints.push("there is no way in");
  }

  /** Comes back when the connection was lost, or could not be made. */
  async stay(): Promise<void> {
    if (!this.#connection || this.#connection.closed()) await this.connect();
  }

  events(): EventFrame[] {
    const now = (this.#connection?.frames ?? []).filter(
      (frame): frame is EventFrame => "seq" in frame && "data" in frame,
    );
    return [...this.#before, ...now];
  }

  leave(): void {
    this.#connection?.drop();
  }
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
  await Promise.all([post.enter(), user.enter()]);

  async function perform(step: Step, name: string): Promise<void> {
    const actor = cast.actors[step.actor] ?? author;
    const { request, targetId, text } = requestOf(step.deed, actor, name);
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
    const isolate = isolateOf(plan, random.below(ISOLATES));
    for (const fault of [step.fault, null]) {
      const answer = await stage.send(actor, request, fault, isolate);
      attempt.statuses.push(answer?.status ?? 0);
      attempt.faults.push(fault);
      const { id } = (answer?.body ?? {}) as { id?: number };
      if (answer?.status === 201 && id !== undefined) attempt.id = id;
      if (!step.again || (answer && answer.status < 500)) break;
    }
  }

  function requestOf(deed: Deed, actor: Actor, name: string) {
    const text = `${name} 안녕 🎉`;
    const path = `/api/posts/${cast.postId}`;
    const own = attempts.filter(({ kind, id }) => kind === "comment" && id !== undefined);
    const comment = (nth: number) => {
      const mine = own.filter(({ actorId }) => actorId === actor.id);
      // Mostly one's own, where only that is allowed.
      const some = deed.kind.includes("like") || mine.length === 0 ? own : mine;
      return some[nth % Math.max(1, some.length)]?.id ?? 0;
    };
    const about = (targetId: number, request: Request) => ({ request, targetId, text });
    switch (deed.kind) {
      case "comment":
        return about(cast.postId, {
          method: "POST",
          path: `${path}/comments`,
          json: { content: text },
          key: name,
        });
      case "post":
        return about(0, {
          method: "POST",
          path: "/api/posts",
          json: { boardId: cast.boardId, title: name, content: text },
          key: name,
        });
      case "edit_post":
        return about(cast.postId, { method: "PATCH", path, json: { content: text } });
      case "delete_post":
        return about(cast.postId, { method: "DELETE", path });
      case "like_post":
        return about(cast.postId, { method: "PUT", path: `${path}/like` });
      case "unlike_post":
        return about(cast.postId, { method: "DELETE", path: `${path}/like` });
      case "erase":
        return about(0, { method: "DELETE", path: "/api/users/me" });
      case "edit_comment": {
        const id = comment(deed.nth);
        return about(id, { method: "PATCH", path: `/api/comments/${id}`, json: { content: text } });
      }
      case "delete_comment": {
        const id = comment(deed.nth);
        return about(id, { method: "DELETE", path: `/api/comments/${id}` });
      }
      default: {
        const id = comment(deed.nth);
        const method = deed.kind === "like_comment" ? "PUT" : "DELETE";
        return about(id, { method, path: `/api/comments/${id}/like` });
      }
    }
  }

  async function playAct(act: Act, nth: number): Promise<void> {
    // Somebody reads it, so that there is something in the cache that may go stale.
    const reading = { method: "GET", path: `/api/posts/${cast.postId}` };
    await stage.send(watcher, reading, null, isolateOf(plan, random.below(ISOLATES)));
    await Promise.all([
      ...act.steps.map((step, index) => perform(step, `s${plan.seed >>> 0}-${nth}-${index}`)),
      stage.deliver(act.deliveries, act.deliveryFault),
      act.reconnect ? random.pick([post, user]).connect() : undefined,
    ]);
  }

  for (const [nth, act] of plan.acts.entries()) await playAct(act, nth);
  return { plan, cast, attempts, post, user };
}

function nobody(): never {
  throw new Error("a cast without anybody");
}
