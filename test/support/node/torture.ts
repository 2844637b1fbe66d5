/**
 * Two programs that follow the same thread with the packed client, and what happens to them.
 * @module
 */
import { setTimeout as pause } from "node:timers/promises";
import type { Comment, ConnectionState, LiveForum, ThreadView } from "../../../client/src/client.ts";
import type { Random } from "../../../dev/seed/random.ts";
import type { Shown, ShownThread } from "../consumer/harness.ts";
import type { Chromium } from "./chromium.ts";
import { eventually, openStage, restText, shownText } from "./client-stage.ts";
import { type Consumer, nodeConsumer, pageConsumer, servePage } from "./consumers.ts";
import type { FaultProxy } from "./fault-proxy.ts";
import { projectWithClient } from "./packed-client.ts";

/** What happens: all connections are cut; nobody gets through for a while; and so on. */
export type Kind = "drop" | "outage" | "lost answer" | "sleep" | "lost log" | "expiry" | "stall" | "restart";

/** A client with its own network, and what it was told to write. */
export type Peer = {
  consumer: Consumer;
  proxy: FaultProxy;
  /** The same user, past the proxy. */
  reader: LiveForum;
  sent: { content: string; id: number | null }[];
  edits: Map<number, { id: number; contents: string[] }>;
  likes: { PUT: number; DELETE: number };
};

export type Torture = {
  peers: readonly Peer[];
  /** The kinds, each as often as it says, in a random order. */
  shuffled: (times: Record<Kind, number>) => Kind[];
  /**
   * Lets something happen to all peers while others write, and waits until they are live and show what REST says.
   * @throws when a peer was shown something that was not so
   */
  step: (kind: Kind) => Promise<void>;
  /** All comments, by REST. */
  comments: () => Promise<Comment[]>;
  close: () => Promise<void>;
};

/** What a step did to the peers. */
type Happened = {
  /** Their sockets were cut off for certain. */
  cut: boolean;
  /** What the room had told before they could come back. */
  known?: ThreadView;
  /** How long nothing ran in them, at least. */
  sleptMs?: number;
};

const NEXT: Record<ConnectionState, readonly ConnectionState[]> = {
  offline: ["catching-up"],
  "catching-up": ["live", "offline"],
  live: ["offline", "catching-up"],
  closed: [],
};
const SLEEP_MS = { least: 100, spread: 300 };

/** @param chromium undefined: in Node alone */
export async function createTorture(random: Random, chromium: Chromium | undefined): Promise<Torture> {
  const [stage, project] = await Promise.all([openStage(chromium ? 2 : 1), projectWithClient()]);
  const author = await stage.forum();
  const post = await stage.post(author);
  /** Another reader with a network that never fails: what it was told, the room remembers. */
  const observer = author.thread(post.id);
  const peers: Peer[] = [];
  for (const [index, { proxy, url }] of stage.sites.entries()) {
    const reader = await stage.forum();
    if (index === 1) servePage(proxy, project);
    const consumer = chromium && index === 1 ? await pageConsumer(chromium, url) : nodeConsumer(project);
    await consumer.call("start", url, reader.credentials, post.id);
    peers.push({ consumer, proxy, reader, sent: [], edits: new Map(), likes: { PUT: 0, DELETE: 0 } });
  }
  const each = (work: (peer: Peer) => Promise<unknown>) => Promise.all(peers.map(work));
  const readsOf = ({ proxy }: Peer) =>
    proxy.calls.filter(({ name }) => name === `GET /api/posts/${post.id}/comments`).length;

  /** What the author may edit and delete. */
  const written: Comment[] = [];
  async function act(): Promise<void> {
    const target = written.length > 0 ? random.pick(written) : undefined;
    const kind = target ? random.below(8) : 0;
    if (!target || kind <= 2) {
      written.push(await author.comments.create(post.id, { content: `the author's ${random.next()}` }));
    } else if (kind === 3) await author.comments.update(target.id, { content: `edited ${random.next()}` });
    else if (kind === 4) {
      await author.comments.delete(target.id);
      written.splice(written.indexOf(target), 1);
    } else if (kind === 5) await author.comments[random.below(2) === 0 ? "like" : "unlike"](target.id);
    else if (kind === 6) await author.posts[random.below(2) === 0 ? "like" : "unlike"](post.id);
    else await author.posts.update(post.id, { title: `Title ${random.next()}` });
  }
  async function acts(): Promise<void> {
    for (let left = 1 + random.below(3); left > 0; left -= 1) await act();
  }
  /** Others write, and the room has told of it. */
  async function toldActs(): Promise<ThreadView> {
    await acts();
    let told: ThreadView | undefined;
    await eventually(
      () => "the observer to be told",
      async () => {
        const rest = await restText(author, post.id);
        told = observer.view;
        return told !== undefined && shownText(told) === rest;
      },
    );
    if (!told) throw new Error("nothing was told");
    return told;
  }

  const becomes = ({ consumer }: Peer, state: ConnectionState) =>
    eventually(
      () => `${consumer.name} to be ${state}`,
      async () => (await consumer.call("record")).state === state,
    );
  async function staysOffline({ consumer }: Peer): Promise<void> {
    const { state } = await consumer.call("record");
    if (state !== "offline") throw new Error(`${consumer.name} shows ${state} in an outage`);
  }

  async function comment(peer: Peer): Promise<void> {
    const entry: Peer["sent"][number] = {
      content: `${peer.consumer.name}'s ${peer.sent.length}`,
      id: null,
    };
    peer.sent.push(entry);
    entry.id = await peer.consumer.call("comment", post.id, entry.content);
  }
  /** Edits one of the peer's own comments, none twice at once. */
  async function edit(peer: Peer, id: number): Promise<void> {
    const edits = peer.edits.get(id) ?? { id, contents: [] };
    peer.edits.set(id, edits);
    const content = `edited ${edits.contents.length} by ${peer.consumer.name}`;
    edits.contents.push(content);
    if (await peer.consumer.call("edit", id, content)) throw new Error("the answer should have been lost");
  }
  let lostAnswers = 0;
  async function writeWithoutAnswer(peer: Peer, choice: number): Promise<void> {
    peer.proxy.loseAnswers = 1;
    const own = peer.sent.find(({ id }) => id !== null)?.id;
    if (choice <= 1) {
      peer.likes[choice === 0 ? "PUT" : "DELETE"] += 1;
      await peer.consumer.call("like", post.id, choice === 0);
    } else if (choice === 2 && own) await edit(peer, own);
    else await comment(peer);
  }

  const happen: Record<Kind, () => Promise<Happened>> = {
    async drop() {
      await each(async ({ proxy }) => proxy.drop());
      await acts();
      return { cut: true };
    },
    async outage() {
      await each(async ({ proxy }) => proxy.refuse());
      await each((peer) => becomes(peer, "offline"));
      const sending = each(comment);
      const known = await toldActs();
      await each(staysOffline);
      await each(async ({ proxy }) => proxy.heal());
      await sending;
      return { cut: true, known };
    },
    async "lost answer"() {
      lostAnswers += 1;
      await each((peer) => writeWithoutAnswer(peer, lostAnswers % 4));
      await acts();
      return { cut: false };
    },
    async sleep() {
      const cut = random.below(2) === 0;
      const forMs = SLEEP_MS.least + random.below(SLEEP_MS.spread);
      await each(({ consumer }) => consumer.sleep());
      const startedAt = performance.now();
      if (cut) await each(async ({ proxy }) => proxy.drop());
      const [known] = await Promise.all([toldActs(), pause(forMs)]);
      const sleptMs = performance.now() - startedAt;
      await each(({ consumer }) => consumer.wake());
      return cut ? { cut, known, sleptMs } : { cut, sleptMs };
    },
    /** The room no longer knows what was missed: the thread is read anew. */
    async "lost log"() {
      await each(async ({ proxy }) => proxy.refuse());
      const known = await toldActs();
      await each(async ({ proxy }) => {
        const { upgrades } = proxy;
        proxy.otherEpoch = true;
        proxy.heal();
        await eventually(
          () => "an upgrade",
          () => proxy.upgrades > upgrades,
        );
        proxy.otherEpoch = false;
      });
      return { cut: true, known };
    },
    /** A call is told that its token has ended; the next token ends at once, though it was said to live for 15 minutes. */
    async expiry() {
      const seconds = random.below(2);
      await each(async ({ consumer, proxy }) => {
        const { refreshes } = proxy;
        proxy.shortTokens = { seconds, told: "15 minutes", times: 1 };
        proxy.refuseTokens = 1;
        await consumer.call("me");
        proxy.drop();
        await eventually(
          () => `${consumer.name} to refresh`,
          () => proxy.refreshes >= refreshes + 2,
        );
      });
      await acts();
      return { cut: true };
    },
    async stall() {
      await each(async ({ proxy }) => proxy.stall());
      const known = await toldActs();
      await each((peer) => becomes(peer, "offline"));
      await each(async ({ proxy }) => proxy.heal());
      return { cut: true, known };
    },
    async restart() {
      await stage.worker.restart();
      await acts();
      return { cut: true };
    },
  };

  /** Waits until a peer has noticed what happened, is live, and shows what REST says. @returns what it was shown */
  async function settle({ consumer, reader }: Peer, cut: boolean): Promise<Shown> {
    let shown: Shown | undefined;
    let rest = "";
    await eventually(
      () => `${consumer.name} to show what REST says: ${JSON.stringify(shown)}\nis not\n${rest}`,
      async () => {
        shown = await consumer.call("record");
        const { state, states, view } = shown;
        if (state !== "live" || !view || (cut && !states.includes("offline"))) return false;
        rest = await restText(reader, post.id);
        return shownText(view) === rest;
      },
    );
    if (!shown) throw new Error("nothing was shown");
    return shown;
  }

  /** Whether what a peer was shown since a step began is what was so. @param before its state then */
  function check(name: string, shown: Shown, before: ConnectionState, { known, sleptMs }: Happened): void {
    const { states, firstLive, stoodStillMs, faults } = shown;
    const told = `${name} showed ${[before, ...states].join(", ")}`;
    if (faults.length > 0) throw new Error(`${name}: ${faults.join("; ")}`);
    for (const [index, state] of states.entries()) {
      if (!NEXT[states[index - 1] ?? before].includes(state)) throw new Error(`${told}: no way to go`);
    }
    const missing = known && firstLive ? lackOf(firstLive, known) : [];
    if (missing.length > 0) throw new Error(`${told}, but when it was live it lacked ${missing.join("; ")}`);
    // A signal takes a moment to arrive.
    if (sleptMs !== undefined && stoodStillMs < sleptMs / 2) throw new Error(`${name} never slept`);
  }

  await each((peer) => settle(peer, false));
  return {
    peers,
    shuffled: (times) =>
      // A trusted cast: the keys are those of the type.
      (Object.keys(times) as Kind[])
        .flatMap((kind) => Array<Kind>(times[kind]).fill(kind))
        .map((kind) => ({ kind, place: random.next() }))
        .sort((a, b) => a.place - b.place)
        .map(({ kind }) => kind),
    async step(kind) {
      const before = new Map<Peer, { state: ConnectionState; reads: number }>();
      await each(async (peer) => {
        before.set(peer, { state: await peer.consumer.call("mark"), reads: readsOf(peer) });
      });
      const happened = await happen[kind]();
      await each(async (peer) => {
        const { name } = peer.consumer;
        const { state = "live", reads = 0 } = before.get(peer) ?? {};
        check(name, await settle(peer, happened.cut), state, happened);
        // What was missed comes from the room's log, unless that was lost.
        const readAnew = readsOf(peer) > reads;
        if (readAnew !== (kind === "lost log")) throw new Error(`${name} read the thread anew: ${readAnew}`);
      });
    },
    comments: () => Array.fromAsync(author.comments.list(post.id, { limit: 100 })),
    async close() {
      for (const { consumer } of peers) await consumer.close();
      await stage.close();
      project.remove();
    },
  };
}

/** What of `known` is not in `shown`, or is older there. */
function lackOf(shown: ShownThread, known: ThreadView): string[] {
  const byId = new Map(shown.comments.map((comment) => [comment.id, comment]));
  const old = known.comments.filter(({ id, version, deletedAt }) => {
    const found = byId.get(id);
    return !found || found.version < version || (deletedAt !== null && found.deletedAt === null);
  });
  const lacks = old.map(({ id, version }) => `version ${version} of comment ${id}`);
  if (shown.post.version < known.post.version) lacks.push(`version ${known.post.version} of the post`);
  return lacks;
}
