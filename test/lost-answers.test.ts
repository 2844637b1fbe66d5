/** That a write whose answer got lost on its way from the database is seen as soon as its repeat is answered. */
import { describe, it, onTestFinished, vi } from "vitest";
import { createPostCache } from "../src/posts/cache.ts";
import { type Client, signedIn } from "./support/client.ts";
import { redis } from "./support/database.ts";
import { waitUntil } from "./support/patience.ts";
import { newPost, postRow, readPost, settledRows } from "./support/threads.ts";

const cache = createPostCache(redis);

describe("a write that happened, but whose answer from the database was lost", () => {
  /** The next statement that contains `part` is carried out, and the connection breaks before its answer. */
  function loseAnswer(part: string): void {
    const original = globalThis.fetch;
    let lost = false;
    const spy = vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
      const answer = await original(input, init);
      if (lost || typeof init?.body !== "string" || !init.body.includes(part)) return answer;
      lost = true;
      throw new Error("Network connection lost.");
    });
    onTestFinished(() => {
      spy.mockRestore();
    });
  }
  const KEY = { "idempotency-key": "once" };
  const WRITES = {
    comment: {
      part: "insert into `comments`",
      write: (client: Client, id: number) => client.post(`/api/posts/${id}/comments`, { content: "c" }, KEY),
      shows: { commentCount: 1 },
    },
    like: {
      part: "last_insert_id((",
      write: (client: Client, id: number) => client.put(`/api/posts/${id}/like`),
      shows: { likeCount: 1 },
    },
  };

  it.for(["comment", "like"] as const)(
    "is a failure; sent again, a %s is seen by whoever reads after its answer",
    async (kind, { expect }) => {
      const { part, write, shows } = WRITES[kind];
      const { id, author } = await newPost();
      await settledRows(() => postRow(id));
      await waitUntil(async () => {
        await readPost(id);
        return (await cache.read(id, null)).hit;
      });
      const client = signedIn(author.session, { settings: {} });
      loseAnswer(part);
      expect((await write(client, id)).status).toBe(503);
      await client.settled();
      expect((await write(client, id)).status).toBeLessThan(300);
      await client.settled();
      expect(await readPost(id)).toMatchObject(shows);
    },
  );
});
