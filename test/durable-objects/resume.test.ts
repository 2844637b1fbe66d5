import { evictDurableObject } from "cloudflare:test";
import { describe, it } from "vitest";
import type { EventFrame, Position } from "../../src/realtime/events.ts";
import { commentAdded, enterPost, freshId, rooms, type TestSocket, until } from "../support/sockets.ts";

/** Put the seed of a failed run here to see it again. */
const REPLAY_SEED: number | null = null;

describe("resuming", () => {
  it("tells a newcomer where the log stands and replays nothing", async ({ expect }) => {
    const postId = freshId();
    await rooms.post(postId).publish([commentAdded(postId, 1), commentAdded(postId, 2)]);
    const { socket, ready } = await enterPost(postId);
    expect(ready).toEqual({
      type: "ready",
      room: `post:${postId}`,
      epoch: expect.stringMatching(/^[\w-]{16}$/),
      seq: 2,
      resume: "fresh",
      viewers: 1,
    });
    await socket.settle();
    expect(socket.events()).toEqual([]);
  });

  it("replays what was missed after `ready`, in order, then goes on live", async ({ expect }) => {
    const postId = freshId();
    const { ready } = await enterPost(postId);
    const ids = Array.from({ length: 20 }, (_, index) => index + 1);
    for (const id of ids) await rooms.post(postId).publish([commentAdded(postId, id)]);
    await evictDurableObject(rooms.post(postId));
    const back = await enterPost(postId, { position: { epoch: ready.epoch, after: 7 } });
    await rooms.post(postId).publish([commentAdded(postId, 21)]);

    expect(back.ready).toMatchObject({ resume: "replayed", seq: 20, epoch: ready.epoch });
    await until("all", () => back.socket.events().length === 14);
    expect(back.socket.frames[0]?.type).toBe("ready");
    expect(back.socket.events().map(({ seq }) => seq)).toEqual([...ids.slice(7), 21]);
  });

  it("replays nothing to who has everything", async ({ expect }) => {
    const postId = freshId();
    const { ready } = await enterPost(postId);
    await rooms.post(postId).publish([commentAdded(postId, 1)]);
    const back = await enterPost(postId, { position: { epoch: ready.epoch, after: 1 } });
    await back.socket.settle();
    expect(back.ready).toMatchObject({ resume: "replayed", seq: 1 });
    expect(back.socket.events()).toEqual([]);
  });

  it("lets a client resync whose position is in another log, or ahead of this one", async ({ expect }) => {
    const postId = freshId();
    const { ready } = await enterPost(postId);
    await rooms.post(postId).publish([commentAdded(postId, 1)]);
    for (const position of [
      { epoch: "another", after: 0 },
      { epoch: ready.epoch, after: 2 },
    ]) {
      const { socket, ready: answer } = await enterPost(postId, { position });
      await socket.settle();
      expect(answer).toMatchObject({ resume: "resync", epoch: ready.epoch, seq: 1 });
      expect(socket.events()).toEqual([]);
    }
  });

  it("gives an event that is published during a join to the newcomer exactly once", async ({ expect }) => {
    const postId = freshId();
    const { ready } = await enterPost(postId);
    const position = { epoch: ready.epoch, after: 0 };
    const work: Promise<unknown>[] = [];
    const joins: Promise<{ socket: TestSocket }>[] = [];
    for (let id = 1; id <= 60; id += 1) {
      work.push(rooms.post(postId).publish([commentAdded(postId, id)]));
      if (id % 4 === 0) joins.push(enterPost(postId, { position }));
    }
    await Promise.all(work);
    for (const { socket } of await Promise.all(joins)) {
      await until("all", () => socket.events().length >= 60);
      await socket.settle();
      expect(socket.events().map(({ seq }) => seq)).toEqual(
        Array.from({ length: 60 }, (_, index) => index + 1),
      );
    }
  });

  it(
    "loses nothing, repeats nothing and keeps order through 1,000 random runs of drops, evictions and publications",
    {
      timeout: 900_000,
    },
    async ({ expect }) => {
      const base = REPLAY_SEED ?? Math.floor(Math.random() * 2 ** 31);
      const runs = REPLAY_SEED === null ? 1_000 : 1;
      const AT_ONCE = 50;
      for (let first = 0; first < runs; first += AT_ONCE) {
        const seeds = Array.from(
          { length: Math.min(AT_ONCE, runs - first) },
          (_, index) => base + first + index,
        );
        await Promise.all(
          seeds.map(async (seed) => {
            const flaw = await randomRun(seed);
            expect(flaw, `seed ${seed}`).toBeNull();
          }),
        );
      }
    },
  );
});

/** A client as the contract wants it: keeps its position, comes back with it. */
class Client {
  readonly received: EventFrame[] = [];
  joinedAt = 0;
  socket: TestSocket | undefined;
  #position: Position | null = null;
  readonly #postId: number;
  readonly #userId: number;

  constructor(postId: number, userId: number) {
    this.#postId = postId;
    this.#userId = userId;
  }

  /** @returns what is wrong, if anything */
  async connect(): Promise<string | null> {
    if (this.socket && !this.socket.closed) return null;
    this.take();
    const expected = this.#position ? "replayed" : "fresh";
    const { socket, ready } = await enterPost(this.#postId, {
      userId: this.#userId,
      position: this.#position,
    });
    this.socket = socket;
    if (ready.resume !== expected) return `${ready.resume} instead of ${expected}`;
    if (!this.#position) this.joinedAt = ready.seq;
    this.#position ??= { epoch: ready.epoch, after: ready.seq };
    return null;
  }

  /** Takes what has come; later frames of this socket are lost with it. */
  take(): void {
    const events = this.socket?.events() ?? [];
    this.received.push(...events);
    const last = events.at(-1);
    if (last && this.#position) this.#position = { ...this.#position, after: last.seq };
    this.socket = undefined;
  }

  drop(): void {
    const { socket } = this;
    this.take();
    socket?.raw.close(1000);
  }
}

/** mulberry32: the same numbers for the same seed. */
function generator(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Shared by the runs: an object for each client of each run would cost more than the runs. */
const users = Array.from({ length: 20 }, freshId);

/** One run. @returns what went wrong, or null */
async function randomRun(seed: number): Promise<string | null> {
  const below = generator(seed);
  const postId = freshId();
  const stub = () => rooms.post(postId);
  const clients = Array.from(
    { length: 1 + below(3) },
    () => new Client(postId, users[below(users.length)] ?? 1),
  );
  const pending: Promise<unknown>[] = [];
  let written = 0;

  for (let step = 6 + below(8); step > 0; step -= 1) {
    const client = clients[below(clients.length)];
    switch (below(8)) {
      case 0:
      case 1:
      case 2: {
        const events = Array.from({ length: 1 + below(3) }, () => commentAdded(postId, (written += 1)));
        const publication = stub().publish(events);
        if (below(2) === 0) await publication;
        else pending.push(publication);
        break;
      }
      case 3:
        // A sweep that repeats what was done before.
        if (written > 0) pending.push(stub().publish([commentAdded(postId, 1 + below(written))]));
        break;
      case 4:
        client?.drop();
        break;
      case 5:
      case 6: {
        const flaw = await client?.connect();
        if (flaw) return flaw;
        break;
      }
      default: {
        await Promise.all(pending);
        await stub().publish([]);
        const webSockets = below(2) === 0 ? "hibernate" : "close";
        await evictDurableObject(stub(), { webSockets });
        if (webSockets === "close") for (const each of clients) each.take();
      }
    }
  }
  await Promise.all(pending);
  const outcome = await stub().publish([commentAdded(postId, (written += 1))]);
  if (outcome.status !== "stored") return outcome.status;
  const last = outcome.seqs[0] ?? 0;
  if (last !== written) return `${written} events became ${last}`;
  const orders = new Map<number, unknown>();
  for (const client of clients) {
    const flaw = await client.connect();
    if (flaw) return flaw;
    await until(`the last event of seed ${seed}`, () => {
      const seen = client.socket?.events().at(-1)?.seq ?? client.received.at(-1)?.seq ?? client.joinedAt;
      return seen >= last;
    });
    client.take();
    const seqs = client.received.map(({ seq }) => seq);
    const wanted = Array.from({ length: last - client.joinedAt }, (_, index) => client.joinedAt + 1 + index);
    if (JSON.stringify(seqs) !== JSON.stringify(wanted))
      return `got ${seqs.join()} instead of ${wanted.join()}`;
    for (const event of client.received) {
      const text = JSON.stringify(event);
      if (orders.has(event.seq) && orders.get(event.seq) !== text) return `two versions of ${event.seq}`;
      orders.set(event.seq, text);
    }
  }
  return null;
}
