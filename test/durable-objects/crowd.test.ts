import { describe, it } from "vitest";
import { evictDurableObject } from "cloudflare:test";
import { waitUntil } from "../support/patience.ts";
import { checkedFrame, commentAdded, freshId, knockAtPost, rooms } from "../support/sockets.ts";

const SOCKETS = 2_000;
const COMMENTS = 50;

describe("a crowded room", () => {
  it("gives each of 2,000 sockets 50 comments, none lost, none twice, across an eviction", async ({
    expect,
  }) => {
    const postId = freshId();
    const people = Array.from({ length: SOCKETS / 20 }, freshId);
    const heard: number[][] = [];
    let frames = 0;
    // Every socket gets the same texts: each is held against the document once.
    const texts = new Set<string>();
    for (const userId of people) {
      await Promise.all(
        Array.from({ length: 20 }, async () => {
          const { webSocket } = await knockAtPost(postId, { userId });
          if (!webSocket) throw new Error("no socket");
          const seqs: number[] = [];
          heard.push(seqs);
          webSocket.addEventListener("message", ({ data }) => {
            texts.add(String(data));
            const [, seq] = /^\{"type":"comment_added".*"seq":(\d+),/.exec(String(data)) ?? [];
            if (seq === undefined) return;
            seqs.push(Number(seq));
            frames += 1;
          });
          webSocket.accept();
        }),
      );
    }
    for (let id = 1; id <= COMMENTS; id += 1) {
      await rooms.post(postId).publish([commentAdded(postId, id)]);
      if (id === COMMENTS / 2) await evictDurableObject(rooms.post(postId));
    }
    // 100,000 frames take a busy machine longer than what others wait for.
    await waitUntil(() => frames >= SOCKETS * COMMENTS, {
      timeout: 300_000,
      message: "waited in vain for every frame",
    });
    expect(frames).toBe(SOCKETS * COMMENTS);
    for (const text of texts) checkedFrame(text);
    const wanted = Array.from({ length: COMMENTS }, (_, index) => index + 1).join();
    expect(heard.filter((seqs) => seqs.join() !== wanted)).toEqual([]);
  });
});
