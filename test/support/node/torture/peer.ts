/**
 * A program that follows a thread with the packed client, and what it writes.
 * @module
 */
import type { ConnectionState, LiveForum } from "../../../../client/src/client.ts";
import { eventually } from "../client-stage.ts";
import type { Consumer } from "../consumers.ts";
import type { FaultProxy } from "../fault-proxy.ts";

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

/** How often a peer has read the thread's comments by REST. */
export function readsOf({ proxy }: Peer, postId: number): number {
  return proxy.calls.filter(({ name }) => name === `GET /api/posts/${postId}/comments`).length;
}

/** Waits until a peer shows how it is connected. */
export function becomes({ consumer }: Peer, state: ConnectionState): Promise<void> {
  return eventually(
    () => `${consumer.name} to be ${state}`,
    async () => (await consumer.call("record")).state === state,
  );
}

/** @throws when a peer takes itself to be connected */
export async function staysOffline({ consumer }: Peer): Promise<void> {
  const { state } = await consumer.call("record");
  if (state !== "offline") throw new Error(`${consumer.name} shows ${state} in an outage`);
}

/** Lets a peer comment. */
export async function comment(peer: Peer, postId: number): Promise<void> {
  const entry: Peer["sent"][number] = { content: `${peer.consumer.name}'s ${peer.sent.length}`, id: null };
  peer.sent.push(entry);
  entry.id = await peer.consumer.call("comment", postId, entry.content);
}

/** Edits one of the peer's own comments, none twice at once. */
async function edit(peer: Peer, id: number): Promise<void> {
  const edits = peer.edits.get(id) ?? { id, contents: [] };
  peer.edits.set(id, edits);
  const content = `edited ${edits.contents.length} by ${peer.consumer.name}`;
  edits.contents.push(content);
  if (await peer.consumer.call("edit", id, content)) throw new Error("the answer should have been lost");
}

/** Lets a peer write something whose answer is lost. @param choice 0 likes, 1 unlikes, 2 edits, 3 comments */
export async function writeWithoutAnswer(peer: Peer, postId: number, choice: number): Promise<void> {
  peer.proxy.loseAnswers = 1;
  const own = peer.sent.find(({ id }) => id !== null)?.id;
  if (choice <= 1) {
    peer.likes[choice === 0 ? "PUT" : "DELETE"] += 1;
    await peer.consumer.call("like", postId, choice === 0);
  } else if (choice === 2 && own) await edit(peer, own);
  else await comment(peer, postId);
}
