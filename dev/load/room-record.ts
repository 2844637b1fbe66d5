/**
 * What a room has told, kept once for all its followers: each event by its number, and the picture that they make.
 * @module
 */
import { PROMPT_FRAMES } from "../../src/notifications/round.ts";
import {
  type EventFrame,
  eventFrameSchema,
  type RoomComment,
  type RoomNotification,
} from "../../src/realtime/events.ts";
import type { Api } from "./api.ts";
import type { Person } from "./world.ts";

export type RoomRecord = {
  name: string;
  /** Takes an event. @returns what is wrong with it: no frame, not what others were told under its number, told before */
  take: (seq: number, text: string) => string | undefined;
  /** The events told, from the first on without a gap. */
  last: () => number;
  /** What REST shows otherwise than the events together; empty when all is the same. */
  differences: (api: Api) => Promise<string[]>;
};

/** What both REST and the events tell of a post and its comments. */
type Picture = { likeCount: number; comments: Map<number, Pick<RoomComment, (typeof COMPARED)[number]>> };

const COMPARED = ["id", "content", "likeCount", "version", "deletedAt"] as const;
const PAGE = 100;

/** @param reader reads by REST when the picture is compared */
export function createRoomRecord(name: string, reader: Person): RoomRecord {
  const texts = new Map<number, string>();
  let folded = 0;
  const picture: Picture = { likeCount: 0, comments: new Map() };
  /** What was told of each notification. */
  const heard = new Map<number, string>();
  /** What each notification is about, and how often that was told of. */
  const targets = new Map<number, string>();
  const frames = new Map<string, number>();
  const told = new Set<string>();
  let unreadCount = 0;

  /** @returns what is wrong */
  function fold({ type, data, seq }: EventFrame): string | undefined {
    switch (type) {
      case "comment_added":
      case "comment_updated":
      case "comment_deleted": {
        const fact = `${type} ${data.id} ${type === "comment_updated" ? data.version : ""}`;
        if (told.has(fact)) return `${name}: event ${seq} tells again of ${fact}`;
        told.add(fact);
        picture.comments.set(data.id, compared(data));
        break;
      }
      case "post_liked":
        picture.likeCount = data.likeCount;
        break;
      case "comment_liked": {
        const liked = picture.comments.get(data.targetId);
        if (liked) picture.comments.set(data.targetId, { ...liked, likeCount: data.likeCount });
        break;
      }
      case "notify_user": {
        const { notification } = data;
        const text = JSON.stringify(notification);
        const target = `${notification.type} ${notification.targetType} ${notification.targetId}`;
        const before = frames.get(target) ?? 0;
        unreadCount = data.unreadCount;
        targets.set(notification.id, target);
        frames.set(target, before + 1);
        // Of what is held back REST shows what it was meanwhile: then the same again is news. Before that it would be, too,
        // if what came between was written down by a Worker that died before it told: here none is made to.
        if (heard.get(notification.id) === text && before < PROMPT_FRAMES)
          return `${name}: event ${seq} tells the same again`;
        heard.set(notification.id, text);
        break;
      }
      case "notification_read":
        unreadCount = data.unreadCount;
        if ("ids" in data) {
          for (const id of data.ids) {
            const target = targets.get(id) ?? "";
            frames.set(target, (frames.get(target) ?? 0) + 1);
            heard.delete(id);
          }
        }
        break;
      default:
        break;
    }
    return undefined;
  }

  async function notificationDifferences(api: Api): Promise<string[]> {
    const token = reader.accessToken;
    const rest = await api.call<{ unreadCount: number }>({
      method: "GET",
      path: "/notifications/unread-count",
      token,
    });
    const wrong =
      rest.unreadCount === unreadCount
        ? []
        : [`${name}: REST says ${rest.unreadCount} unread, the events ${unreadCount}`];
    const told = new Map(heard);
    for (const notification of await pagesOf<RoomNotification>(api, "/notifications?unread=true", token)) {
      const [rest, events] = [JSON.stringify(notification), told.get(notification.id)];
      if (rest !== events) wrong.push(`${name}: REST says ${rest}, the events ${events}`);
      told.delete(notification.id);
    }
    return [...wrong, ...[...told.keys()].map((extra) => `${name}: notification ${extra} is not in REST`)];
  }

  async function postDifferences(api: Api, id: string): Promise<string[]> {
    const post = await api.call<{ likeCount: number }>({ method: "GET", path: `/posts/${id}` });
    const told = new Map(picture.comments);
    const wrong =
      post.likeCount === picture.likeCount
        ? []
        : [`${name}: REST says ${post.likeCount} likes, the events ${picture.likeCount}`];
    for (const comment of await pagesOf<RoomComment>(api, `/posts/${id}/comments?`)) {
      const [rest, events] = [compared(comment), told.get(comment.id)].map((each) => JSON.stringify(each));
      if (rest !== events) wrong.push(`${name}: REST says ${rest}, the events ${events}`);
      told.delete(comment.id);
    }
    return [...wrong, ...[...told.keys()].map((extra) => `${name}: comment ${extra} is not in REST`)];
  }

  return {
    name,
    take(seq, text) {
      const known = texts.get(seq);
      if (known !== undefined) return known === text ? undefined : `${name}: two events are number ${seq}`;
      const frame = eventFrameSchema.safeParse(JSON.parse(text));
      if (!frame.success) return `${name}: no event: ${text}`;
      texts.set(seq, text);
      let wrong: string | undefined;
      for (let next = texts.get(folded + 1); next !== undefined; next = texts.get(folded + 1)) {
        wrong ??= fold(JSON.parse(next) as EventFrame);
        folded += 1;
      }
      return wrong;
    },
    last: () => folded,
    differences: (api) =>
      name.startsWith("user:") ? notificationDifferences(api) : postDifferences(api, name.slice(5)),
  };
}

function compared(comment: RoomComment): Pick<RoomComment, (typeof COMPARED)[number]> {
  const { id, content, likeCount, version, deletedAt } = comment;
  return { id, content, likeCount, version, deletedAt };
}

/** All items of a list. @param path with its `?` */
async function pagesOf<Item>(api: Api, path: string, token?: string): Promise<Item[]> {
  const all: Item[] = [];
  let cursor: string | null = null;
  do {
    const query: string = cursor === null ? "" : `&cursor=${cursor}`;
    const page: { items: Item[]; nextCursor: string | null } = await api.call({
      method: "GET",
      path: `${path}&limit=${PAGE}${query}`,
      token,
    });
    all.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return all;
}
