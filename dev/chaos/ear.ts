/**
 * Somebody who listens in a room through lost connections.
 * @module
 */
import type { EventFrame, Position } from "../../src/realtime/events.ts";
import type { Fault } from "./plan.ts";
import type { Actor, Connection, Stage } from "./play.ts";

/** How often the first way into a room is tried. */
const ENTRIES = 10;

/** Follows a room over lost connections without losing an event. */
export class Ear {
  readonly room: string;
  readonly actor: Actor;
  readonly #stage: Stage;
  #connection: Connection | undefined;
  #before: EventFrame[] = [];
  #start: Position | undefined;
  #isShutOut = false;
  /** What a room must never do. */
  readonly complaints: string[] = [];

  constructor(stage: Stage, room: string, actor: Actor) {
    this.#stage = stage;
    this.room = room;
    this.actor = actor;
  }

  /** Where it began to listen: every event after that was heard. Undefined: it never got in. */
  get start(): Position | undefined {
    return this.#start;
  }

  /** Whether its room was gone when it came back. */
  get isShutOut(): boolean {
    return this.#isShutOut;
  }

  /** Joins for the first time: before anything happens, however often a slow machine refuses. */
  async enter(): Promise<void> {
    for (let left = ENTRIES; left > 0 && !this.#start; left -= 1) await this.connect();
    if (!this.#start) this.complaints.push("there is no way in");
  }

  /**
   * Joins, or loses the connection and comes back where it was.
   * @param fault befalls the first attempt
   */
  async connect(fault: Fault | null = null): Promise<void> {
    this.lose();
    const last = this.#before.at(-1);
    const position = this.#start && { ...this.#start, after: last?.seq ?? this.#start.after };
    this.#connection = await this.#stage.join(this.room, this.actor, position, fault);
    this.#isShutOut = this.#connection === undefined;
    const [ready] = this.#connection?.frames ?? [];
    if (ready?.type !== "ready") {
      if (this.#connection) this.complaints.push("the first frame is not ready");
      return;
    }
    if (position && ready.resume !== "replayed") this.complaints.push(`a resume ended in ${ready.resume}`);
    this.#start ??= { epoch: ready.epoch, after: ready.seq };
  }

  /** Loses the connection: what comes now is heard when it is back. */
  lose(): void {
    this.#connection?.drop();
    this.#before = this.events();
    this.#connection = undefined;
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
