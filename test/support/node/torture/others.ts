/**
 * The thread's author, who writes at random on a network that never fails.
 * @module
 */
import type { Comment, LiveForum, ThreadView } from "../../../../client/src/client.ts";
import type { Random } from "../../../../dev/seed/random.ts";
import { eventually, restText, shownText } from "../client-stage.ts";

export type Others = {
  /** They write once, twice or three times. */
  act: () => Promise<void>;
  /** Waits until the room has told of all that REST says. @returns what it has told */
  told: () => Promise<ThreadView>;
};

export function createOthers(random: Random, author: LiveForum, postId: number): Others {
  /** Another reader: what it was told, the room remembers. */
  const observer = author.thread(postId);
  /** What the author may edit and delete. */
  const written: Comment[] = [];

  async function actOnce(): Promise<void> {
    const target = written.length > 0 ? random.pick(written) : undefined;
    const kind = target ? random.below(8) : 0;
    if (!target || kind <= 2) {
      written.push(await author.comments.create(postId, { content: `the author's ${random.next()}` }));
    } else if (kind === 3) await author.comments.update(target.id, { content: `edited ${random.next()}` });
    else if (kind === 4) {
      await author.comments.delete(target.id);
      written.splice(written.indexOf(target), 1);
    } else if (kind === 5) await author.comments[random.below(2) === 0 ? "like" : "unlike"](target.id);
    else if (kind === 6) await author.posts[random.below(2) === 0 ? "like" : "unlike"](postId);
    else await author.posts.update(postId, { title: `Title ${random.next()}` });
  }

  async function act(): Promise<void> {
    for (let left = 1 + random.below(3); left > 0; left -= 1) await actOnce();
  }

  return {
    act,
    async told() {
      let view: ThreadView | undefined;
      let rest = "";
      await eventually(
        () => `the observer, who is ${observer.state}, to be told: ${JSON.stringify(view)}\nis not\n${rest}`,
        async () => {
          rest = await restText(author, postId);
          ({ view } = observer);
          return view !== undefined && shownText(view) === rest;
        },
      );
      if (!view) throw new Error("nothing was told");
      return view;
    },
  };
}
