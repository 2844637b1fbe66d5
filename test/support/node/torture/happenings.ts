/**
 * What happens to the peers while others write.
 * @module
 */
import { setTimeout as pause } from "node:timers/promises";
import type { ThreadView } from "../../../../client/src/client.ts";
import type { Random } from "../../../../dev/seed/random.ts";
import { eventually, type Stage } from "../client-stage.ts";
import type { Others } from "./others.ts";
import { becomes, comment, type Peer, readsOf, staysOffline, writeWithoutAnswer } from "./peer.ts";

/** What happens: all connections are cut; nobody gets through for a while; and so on. */
export type Kind = "drop" | "outage" | "lost answer" | "sleep" | "lost log" | "expiry" | "stall" | "restart";

/** What it did to the peers. */
export type Happened = {
  /** Their sockets were cut off for certain. */
  cut: boolean;
  /** What the room had told before they could come back. */
  known?: ThreadView;
  /** How long nothing ran in them, at least. */
  sleptMs?: number;
};

const SLEEP_MS = { least: 100, spread: 300 };

type Scene = {
  random: Random;
  stage: Stage;
  postId: number;
  peers: readonly Peer[];
  others: Others;
};

/** Each lets it happen to all peers at once. */
export function createHappenings({
  random,
  stage,
  postId,
  peers,
  others,
}: Scene): Record<Kind, () => Promise<Happened>> {
  const each = (work: (peer: Peer) => Promise<unknown>) => Promise.all(peers.map(work));
  const actAndTell = async () => {
    await others.act();
    return others.told();
  };
  let lostAnswers = 0;
  return {
    async drop() {
      await each(async ({ proxy }) => proxy.drop());
      await others.act();
      return { cut: true };
    },
    async outage() {
      await each(async ({ proxy }) => proxy.refuse());
      await each((peer) => becomes(peer, "offline"));
      const sending = each((peer) => comment(peer, postId));
      const known = await actAndTell();
      await each(staysOffline);
      await each(async ({ proxy }) => proxy.heal());
      await sending;
      return { cut: true, known };
    },
    async "lost answer"() {
      lostAnswers += 1;
      await each((peer) => writeWithoutAnswer(peer, postId, lostAnswers % 4));
      await others.act();
      return { cut: false };
    },
    async sleep() {
      const cut = random.below(2) === 0;
      const forMs = SLEEP_MS.least + random.below(SLEEP_MS.spread);
      await each(({ consumer }) => consumer.sleep());
      const startedAt = performance.now();
      if (cut) await each(async ({ proxy }) => proxy.drop());
      const [known] = await Promise.all([actAndTell(), pause(forMs)]);
      const sleptMs = performance.now() - startedAt;
      await each(({ consumer }) => consumer.wake());
      return cut ? { cut, known, sleptMs } : { cut, sleptMs };
    },
    /** The room no longer knows what was missed: the thread is read anew. */
    async "lost log"() {
      await each(async ({ proxy }) => proxy.refuse());
      const known = await actAndTell();
      await each(async (peer) => {
        const { proxy } = peer;
        const before = readsOf(peer, postId);
        proxy.otherEpoch = true;
        proxy.heal();
        // Beyond the upgrade, which may be lost before it is answered.
        await eventually(
          () => "the thread to be read anew",
          () => readsOf(peer, postId) > before,
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
      await others.act();
      return { cut: true };
    },
    async stall() {
      await each(async ({ proxy }) => proxy.stall());
      const known = await actAndTell();
      await each((peer) => becomes(peer, "offline"));
      await each(async ({ proxy }) => proxy.heal());
      return { cut: true, known };
    },
    async restart() {
      await stage.worker.restart();
      await others.act();
      return { cut: true };
    },
  };
}
