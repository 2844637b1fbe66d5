/**
 * The packed client, installed into an empty project, in Node and in headless Chromium, against the running stack through
 * seeded drops, outages, stalls, lost answers, sleeps, expiries of tokens and restarts of the server. Again with the same
 * seed, and for longer: `LIVEFORUM_SEED=7 LIVEFORUM_ROUNDS=5 npx vitest run test/client/torture.node.test.ts`.
 */
import { afterAll, beforeAll, describe, it } from "vitest";
import { createRandom } from "../../dev/seed/random.ts";
import { Chromium } from "../support/node/chromium.ts";
import { NO_CHROMIUM } from "../support/node/find-chromium.ts";
import type { Kind } from "../support/node/torture/happenings.ts";
import { createTorture, type Torture } from "../support/node/torture/torture.ts";

const SEED = Number(process.env["LIVEFORUM_SEED"] ?? crypto.getRandomValues(new Uint32Array(1))[0]);
const ROUNDS = Number(process.env["LIVEFORUM_ROUNDS"] ?? 1);
/** What happens in one round, each to both clients, in an order that follows from the seed: 100 steps. */
const ROUND: Record<Kind, number> = {
  drop: 30,
  outage: 20,
  "lost answer": 16,
  sleep: 14,
  "lost log": 8,
  expiry: 6,
  stall: 3,
  restart: 3,
};
/** Installing a browser takes its time on a machine that has none. */
const SET_UP_WITHIN_MS = 600_000;
const ROUND_WITHIN_MS = 900_000;

let chromium: Chromium | undefined;
let torture: Torture | undefined;
let rounds: Promise<void> | undefined;

beforeAll(async () => {
  chromium = await Chromium.launch();
  torture = await createTorture(createRandom(SEED), chromium);
}, SET_UP_WITHIN_MS);
afterAll(async () => {
  await torture?.close();
  await chromium?.close();
});

/** All that happens, once for both clients. */
async function play(torture: Torture): Promise<void> {
  const took = new Map<Kind, number>();
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [step, kind] of torture.shuffled(ROUND).entries()) {
      const startedAt = performance.now();
      await torture.step(kind).catch((cause: unknown) => {
        throw new Error(`seed ${SEED}, round ${round}, step ${step} (${kind})`, { cause });
      });
      took.set(kind, (took.get(kind) ?? 0) + performance.now() - startedAt);
    }
  }
  console.log([...took].map(([kind, ms]) => `${kind} ${(ms / 1000).toFixed(1)} s`).join(", "));
}

describe(`the packed client, through everything (seed ${SEED})`, () => {
  it.for(["Node", "Chromium"] as const)(
    "in %s shows what REST says and how it is connected, and sends no call twice that was answered",
    { timeout: ROUND_WITHIN_MS * ROUNDS },
    async (name, { expect, skip }) => {
      if (!torture) throw new Error("not set up");
      const peer = torture.peers.find(({ consumer }) => consumer.name === name);
      if (!peer) {
        skip(NO_CHROMIUM);
        return;
      }
      rounds ??= play(torture);
      await rounds;

      const comments = await torture.comments();
      for (const { content, id } of peer.sent) {
        const found = comments.filter((comment) => comment.content === content).map((comment) => comment.id);
        if (id === null) expect(found.length, content).toBeLessThanOrEqual(1);
        else expect(found, content).toEqual(peer.edits.has(id) ? [] : [id]);
      }
      for (const { id, contents } of peer.edits.values()) {
        expect(comments.find((comment) => comment.id === id)).toMatchObject({
          content: contents.at(-1),
          version: 1 + contents.length,
        });
      }

      const { calls } = peer.proxy;
      const of = (pattern: RegExp) => calls.filter(({ name: call }) => pattern.test(call));
      const creates = of(/^POST \/api\/posts\//);
      const tries = Map.groupBy(creates, ({ key }) => key);
      expect(tries.has(undefined), "a create without a key").toBe(false);
      expect(tries.size).toBeLessThanOrEqual(peer.sent.length);
      for (const [key, all] of tries) {
        const answered = all.slice(0, -1).filter(({ status }) => status !== "lost");
        expect(answered, `sent again though it was answered: ${key}`).toEqual([]);
      }
      expect(creates.length, "no create had to be sent again").toBeGreaterThan(tries.size);
      const edits = [...peer.edits.values()].flatMap(({ contents }) => contents);
      expect(edits.length).toBeGreaterThan(0);
      expect(of(/^PATCH /), "edits, lost ones too, are sent once").toHaveLength(edits.length);
      for (const method of ["PUT", "DELETE"] as const) {
        const answered = of(new RegExp(`^${method} .*/like$`)).filter(({ status }) => status !== "lost");
        expect(answered.length, method).toBeLessThanOrEqual(peer.likes[method]);
      }
      const refreshes = of(/^POST \/api\/auth\/refresh$/).filter(({ status }) => status !== "lost");
      expect(refreshes).toHaveLength(2 * ROUND.expiry * ROUNDS);
    },
  );
});
