/**
 * Lists of posts: newest first, from Redis where that is the first page.
 * @module
 */
import { ignoreOutage } from "../cache/client.ts";
import type { ListName } from "../cache/keys.ts";
import type { Background } from "../common/background.ts";
import { type CursorCodec, type Page, type PageRequest, toPage } from "../common/pagination.ts";
import { nullWhileAway } from "../db/errors.ts";
import { type CachedPage, LIST_SIZE, type PostListCache } from "./list-cache.ts";
import type { PostFilter, PostListsRepository, StoredSummary } from "./lists-repository.ts";
import type { PostPlace } from "./repository.ts";
import type { ForReader, PostSummary } from "./schema.ts";

export type Summary = ForReader<PostSummary>;

const nameOf = ({ boardId, authorId }: PostFilter): ListName => `posts:${boardId ?? "*"}:${authorId ?? "*"}`;

/** The lists that change when a post comes or goes: boards show how many posts they have. */
export function listsOf({ boardId, authorId }: PostPlace): ListName[] {
  return ["boards", nameOf({}), nameOf({ boardId }), nameOf({ authorId }), nameOf({ boardId, authorId })];
}

type LikesDeps = Pick<PostListsRepository, "newestLikes" | "likedAmong">;

/**
 * Asks which posts a reader likes before it is known which ones are shown, so that it takes no round trip of its own.
 * One statement; another one for a reader who likes more than 200 newer posts than those shown.
 * @returns what tells it of a post: null for an anonymous reader, and while the database is away
 */
export function likesOfReader(repository: LikesDeps, viewerId: number | null) {
  const newest = viewerId === null ? null : nullWhileAway(repository.newestLikes(viewerId));
  // Looked at later; a failure meanwhile is not an unhandled one.
  newest?.catch(() => undefined);
  return async (ids: readonly number[]): Promise<(id: number) => boolean | null> => {
    const known = await newest;
    if (viewerId === null || !known) return () => null;
    if (ids.every((id) => id >= known.completeFrom)) return (id) => known.liked.has(id);
    const liked = await repository.likedAmong(viewerId, ids);
    return (id) => liked.has(id);
  };
}

/** Adds to what is cached of a page what is not. One statement when there is something. @returns what was read */
export async function complete(
  page: CachedPage,
  read: (ids: readonly number[]) => Promise<StoredSummary[]>,
): Promise<StoredSummary[]> {
  const missing = [...page.unflushedViews.keys()];
  if (missing.length === 0) return [];
  const rows = await read(missing);
  for (const { summary } of rows) {
    const viewCount = summary.viewCount + (page.unflushedViews.get(summary.id) ?? 0);
    page.found.set(summary.id, { ...summary, viewCount });
  }
  return rows;
}

type Deps = {
  repository: PostListsRepository;
  cache: PostListCache;
  cursors: CursorCodec;
  background: Background;
};

export type PostLists = ReturnType<typeof createPostLists>;

export function createPostLists({ repository, cache, cursors, background }: Deps) {
  async function firstPage(
    filter: PostFilter,
    limit: number,
    viewerId: number | null,
    confirm: (() => Promise<unknown>) | undefined,
  ): Promise<{ rows: Summary[]; lastId: number | undefined }> {
    const name = nameOf(filter);
    const likedBy = likesOfReader(repository, viewerId);
    const page = await cache.read(name, limit + 1).catch(ignoreOutage);
    if (!page?.ids) {
      const [listed] = await Promise.all([
        repository.list(filter, page ? LIST_SIZE : limit + 1, undefined, null),
        confirm?.(),
      ]);
      const shown = listed.slice(0, limit);
      const liked = await likedBy(shown.map(({ summary }) => summary.id));
      // An empty list of an author is kept only where the author is known to exist.
      if (page && (listed.length > 0 || filter.authorId === undefined || confirm)) {
        const ids = listed.map(({ summary }) => summary.id);
        background("fill list of posts", () => cache.fill(name, ids, shown, page.ticket));
      }
      return {
        rows: shown.map(({ summary }) => ({ ...summary, likedByMe: liked(summary.id) })),
        lastId: listed.length > limit ? shown.at(-1)?.summary.id : undefined,
      };
    }
    const ids = page.ids.slice(0, limit);
    const [read, liked] = await Promise.all([
      complete(page, (ids) => repository.listByIds(ids)),
      likedBy(ids),
    ]);
    if (read.length > 0) background("fill posts of a list", () => cache.fill(name, null, read, page.ticket));
    const rows = ids.flatMap((id) => {
      const summary = page.found.get(id);
      return summary ? [{ ...summary, likedByMe: liked(id) }] : [];
    });
    // Of an account that is gone, posts are left, without their author.
    if (confirm && rows.length > 0 && rows.every(({ author }) => author === null)) await confirm();
    return { rows, lastId: page.ids.length > limit ? ids.at(-1) : undefined };
  }

  return {
    /**
     * Newest first. The first page, warm: one Redis call (and, signed in, one statement beside it); cold: one statement more,
     * after it. Other pages: one statement.
     * @param confirm rejects when there is no such list; asked where the cache does not know
     */
    async latest(
      viewerId: number | null,
      { limit, cursor, boardId, authorId }: PageRequest & PostFilter,
      confirm?: () => Promise<unknown>,
    ): Promise<Page<Summary>> {
      const list = `posts:board=${boardId ?? ""}:author=${authorId ?? ""}`;
      const filter = { boardId, authorId };
      if (cursor === undefined) {
        const { rows, lastId } = await firstPage(filter, limit, viewerId, confirm);
        return { items: rows, nextCursor: lastId === undefined ? null : await cursors.encode(list, lastId) };
      }
      const [before] = await cursors.decode(list, cursor);
      const [listed] = await Promise.all([repository.list(filter, limit + 1, before, viewerId), confirm?.()]);
      const rows = listed.map(({ summary, likedByMe }) => ({ ...summary, likedByMe }));
      return toPage(rows, limit, (last) => cursors.encode(list, last.id));
    },
  };
}
