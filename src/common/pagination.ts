/**
 * Keyset pages behind opaque cursors. A cursor holds the sort key of the last row that was shown and a MAC over it
 * and over the list it belongs to, so that it can neither be made up nor be carried to another list or filter.
 * @module
 */
import { hmacBase64Url, timingSafeEqual } from "./crypto.ts";
import { AppError } from "./errors.ts";

export const PAGE_LIMIT_DEFAULT = 20;
export const PAGE_LIMIT_MAX = 100;

/** One page of rows. `nextCursor` is null on the last page. */
export type Page<T> = { items: T[]; nextCursor: string | null };

export type CursorCodec = {
  /** @param list names the list with its filters, for example `posts:board=3` */
  encode: (list: string, ...sortKey: number[]) => Promise<string>;
  /** @throws AppError `invalid_cursor` when the cursor was not made by `encode` for the same list */
  decode: (list: string, cursor: string) => Promise<number[]>;
};

/** 96 bits of the MAC: enough against guessing over the network, short in a URL. */
const MAC_CHARACTERS = 16;
const CURSOR_PATTERN = /^(-?\d{1,16}(?:~-?\d{1,16}){0,3})\.([A-Za-z0-9_-]{16})$/;

/** @param secrets the first signs, all verify, so that cursors survive a key rotation */
export function createCursorCodec(secrets: readonly string[]): CursorCodec {
  async function mac(secret: string, list: string, key: string): Promise<string> {
    return (await hmacBase64Url(secret, `cursor:${list}:${key}`)).slice(0, MAC_CHARACTERS);
  }
  return {
    async encode(list, ...sortKey) {
      const key = sortKey.join("~");
      return `${key}.${await mac(secrets[0] ?? "", list, key)}`;
    },
    async decode(list, cursor) {
      const [, key, given] = CURSOR_PATTERN.exec(cursor) ?? [];
      if (key !== undefined && given !== undefined) {
        for (const secret of secrets) {
          if (timingSafeEqual(given, await mac(secret, list, key))) return key.split("~").map(Number);
        }
      }
      throw new AppError("invalid_cursor", "The cursor was not issued for this list");
    },
  };
}

/**
 * Makes a page of up to `limit` rows that were fetched with `LIMIT limit + 1`: the extra row only tells that more follow.
 */
export async function toPage<Row>(
  rows: Row[],
  limit: number,
  encode: (last: Row) => Promise<string>,
): Promise<Page<Row>> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, nextCursor: rows.length > limit && last !== undefined ? await encode(last) : null };
}

/** What a list is asked for, after validation. */
export type PageRequest = { limit: number; cursor?: string | undefined };
