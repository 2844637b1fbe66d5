/**
 * Whether what a peer was shown is what was so.
 * @module
 */
import type { ConnectionState, ThreadView } from "../../../../client/src/client.ts";
import type { Shown, ShownThread } from "../../consumer/harness.ts";
import { eventually, restText, shownText } from "../client-stage.ts";
import type { Happened } from "./happenings.ts";
import type { Peer } from "./peer.ts";

const NEXT: Record<ConnectionState, readonly ConnectionState[]> = {
  offline: ["catching-up"],
  "catching-up": ["live", "offline"],
  live: ["offline", "catching-up"],
  closed: [],
};

/** Waits until a peer has noticed what happened, is live, and shows what REST says. @returns what it was shown */
export async function settle({ consumer, reader }: Peer, postId: number, cut: boolean): Promise<Shown> {
  let shown: Shown | undefined;
  let rest = "";
  await eventually(
    () => `${consumer.name} to show what REST says: ${JSON.stringify(shown)}\nis not\n${rest}`,
    async () => {
      shown = await consumer.call("record");
      const { state, states, view } = shown;
      if (state !== "live" || !view || (cut && !states.includes("offline"))) return false;
      rest = await restText(reader, postId);
      return shownText(view) === rest;
    },
  );
  if (!shown) throw new Error("nothing was shown");
  return shown;
}

/**
 * @param shown since a step began
 * @param before the peer's state then
 * @throws when it was not so
 */
export function check(
  name: string,
  shown: Shown,
  before: ConnectionState,
  { known, sleptMs }: Happened,
): void {
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
