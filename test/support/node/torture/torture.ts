/**
 * Two programs that follow the same thread with the packed client, and what happens to them.
 * @module
 */
import type { Comment, ConnectionState } from "../../../../client/src/client.ts";
import type { Random } from "../../../../dev/seed/random.ts";
import type { Chromium } from "../chromium.ts";
import { openStage } from "../client-stage.ts";
import { nodeConsumer, pageConsumer, servePage } from "../consumers.ts";
import { projectWithClient } from "../packed-client.ts";
import { createHappenings, type Kind } from "./happenings.ts";
import { createOthers } from "./others.ts";
import { type Peer, readsOf } from "./peer.ts";
import { check, settle } from "./verdict.ts";

export type Torture = {
  peers: readonly Peer[];
  /** The kinds, each as often as it says, in a random order. */
  shuffled: (times: Record<Kind, number>) => Kind[];
  /**
   * Lets something happen to all peers while others write, and waits until all are live and show what REST says.
   * @throws when a peer was shown something that was not so
   */
  step: (kind: Kind) => Promise<void>;
  /** All comments, by REST. */
  comments: () => Promise<Comment[]>;
  close: () => Promise<void>;
};

/** @param chromium undefined: in Node alone */
export async function createTorture(random: Random, chromium: Chromium | undefined): Promise<Torture> {
  const [stage, project] = await Promise.all([openStage(chromium ? 2 : 1), projectWithClient()]);
  const author = await stage.forum();
  const { id: postId } = await stage.post(author);
  const others = createOthers(random, author, postId);
  const peers: Peer[] = [];
  for (const [index, { proxy, url }] of stage.sites.entries()) {
    const reader = await stage.forum();
    if (index === 1) servePage(proxy, project);
    const consumer = chromium && index === 1 ? await pageConsumer(chromium, url) : nodeConsumer(project);
    await consumer.call("start", url, reader.credentials, postId);
    peers.push({ consumer, proxy, reader, sent: [], edits: new Map(), likes: { PUT: 0, DELETE: 0 } });
  }
  const happen = createHappenings({ random, stage, postId, peers, others });
  const each = (work: (peer: Peer) => Promise<unknown>) => Promise.all(peers.map(work));

  await each((peer) => settle(peer, postId, false));
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
        before.set(peer, { state: await peer.consumer.call("mark"), reads: readsOf(peer, postId) });
      });
      const happened = await happen[kind]();
      await each(async (peer) => {
        const { name } = peer.consumer;
        const { state = "live", reads = 0 } = before.get(peer) ?? {};
        check(name, await settle(peer, postId, happened.cut), state, happened);
        // What was missed comes from the room's log, unless that was lost.
        const readAnew = readsOf(peer, postId) > reads;
        if (readAnew !== (kind === "lost log")) throw new Error(`${name} read the thread anew: ${readAnew}`);
      });
      await others.told();
    },
    comments: () => Array.fromAsync(author.comments.list(postId, { limit: 100 })),
    async close() {
      for (const { consumer } of peers) await consumer.close();
      await stage.close();
      project.remove();
    },
  };
}
