/**
 * Deeds as requests, about whatever there is by then.
 * @module
 */
import type { Deed } from "./plan.ts";
import type { Actor, Attempt, Cast, Request } from "./play.ts";

export type Wanted = { request: Request; targetId: number; text: string };

/** What there is by now. */
export type World = {
  cast: Cast;
  attempts: readonly Attempt[];
  /** The newest notification that the author has heard of; 0: none. */
  newestNotification: () => number;
};

/** @param name of the step, unique */
export function requestOf(deed: Deed, actor: Actor, name: string, world: World): Wanted {
  const { cast, attempts } = world;
  const text = `${name} 안녕 🎉`;
  const path = `/api/posts/${cast.postId}`;
  /** The nth thing that was made; of one's own, where there is any and that is what is allowed. */
  const made = (kind: "comment" | "post", nth: number) => {
    const all = attempts.filter((attempt) => attempt.kind === kind && attempt.id !== undefined);
    const mine = all.filter(({ actorId }) => actorId === actor.id);
    const some = deed.kind.includes("like") || mine.length === 0 ? all : mine;
    return some[nth % Math.max(1, some.length)]?.id ?? 0;
  };
  const about = (targetId: number, request: Request): Wanted => ({ request, targetId, text });
  switch (deed.kind) {
    case "comment":
      return about(cast.postId, {
        method: "POST",
        path: `${path}/comments`,
        json: { content: text },
        key: name,
      });
    case "post":
      return about(0, {
        method: "POST",
        path: "/api/posts",
        json: { boardId: cast.boardId, title: name, content: text },
        key: name,
      });
    case "edit_post":
      return about(cast.postId, { method: "PATCH", path, json: { content: text } });
    case "delete_post":
      return about(cast.postId, { method: "DELETE", path });
    case "like_post":
      return about(cast.postId, { method: "PUT", path: `${path}/like` });
    case "unlike_post":
      return about(cast.postId, { method: "DELETE", path: `${path}/like` });
    case "erase":
      return about(0, { method: "DELETE", path: "/api/users/me" });
    case "read_post":
      return about(cast.postId, { method: "GET", path });
    case "read_list":
      return about(0, { method: "GET", path: listsOf(cast)[deed.nth % 3] ?? "" });
    case "read_notifications":
      return about(0, {
        method: "POST",
        path: "/api/notifications/read-all",
        json: { upTo: world.newestNotification() },
      });
    case "edit_comment": {
      const id = made("comment", deed.nth);
      return about(id, { method: "PATCH", path: `/api/comments/${id}`, json: { content: text } });
    }
    case "delete_comment": {
      const id = made("comment", deed.nth);
      return about(id, { method: "DELETE", path: `/api/comments/${id}` });
    }
    case "like_comment":
    case "unlike_comment": {
      const id = made("comment", deed.nth);
      const method = deed.kind === "like_comment" ? "PUT" : "DELETE";
      return about(id, { method, path: `/api/comments/${id}/like` });
    }
    case "edit_other_post": {
      const id = made("post", deed.nth);
      return about(id, { method: "PATCH", path: `/api/posts/${id}`, json: { title: name } });
    }
    case "delete_other_post": {
      const id = made("post", deed.nth);
      return about(id, { method: "DELETE", path: `/api/posts/${id}` });
    }
    default: {
      const id = made("post", deed.nth);
      const method = deed.kind === "like_other_post" ? "PUT" : "DELETE";
      return about(id, { method, path: `/api/posts/${id}/like` });
    }
  }
}

/** Lists that show the run's posts: the board's, its popular ones, the author's. */
export function listsOf({ boardId, actors }: Cast): [string, string, string] {
  return [
    `/api/posts?boardId=${boardId}&limit=100`,
    `/api/posts/popular?boardId=${boardId}&limit=100`,
    `/api/users/${actors[0]?.id ?? 0}/posts?limit=100`,
  ];
}
