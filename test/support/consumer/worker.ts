/**
 * A Worker that uses the installed package. Only types are stripped before it runs.
 * @module
 */
import { LiveForum } from "@liveforum/client";

/** What it is asked to do: to follow a thread, write `first` once it is live, and stop when it is shown `last`. */
export type Task = {
  url: string;
  credentials: { email: string; password: string };
  postId: number;
  first: string;
  last: string;
};
export type Done = { states: string[]; transport: string; contents: (string | null)[] };

async function follow({ url, credentials, postId, first, last }: Task): Promise<Done> {
  const forum = new LiveForum({ url });
  await forum.auth.login(credentials);
  const thread = forum.thread(postId);
  const states: string[] = [];
  thread.addEventListener("state", ({ state }) => states.push(state));
  let contents: (string | null)[] = [];
  let wrote = false;
  for await (const { comments, state } of thread) {
    contents = comments.map(({ content }) => content);
    if (state === "live" && !wrote) {
      wrote = true;
      await forum.comments.create(postId, { content: first });
    }
    if (state === "live" && contents.includes(last)) break;
  }
  return { states, transport: thread.room.transport, contents };
}

export default {
  async fetch(request: Request): Promise<Response> {
    return Response.json(await follow((await request.json()) as Task));
  },
};
