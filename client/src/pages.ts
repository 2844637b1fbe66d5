/**
 * Lists that come in pages.
 * @module
 */

/** A page of a list. `nextCursor` asks for the next one; null: this is the last. */
export type Page<Item> = { items: Item[]; nextCursor: string | null };

/** Where a page begins, and how much it holds. */
export type PageQuery = {
  /** 1 to 100; 20 by default. */
  limit?: number | undefined;
  cursor?: string | undefined;
};

/**
 * A list: `for await` over it reads page after page as far as it is asked for. Nothing is sent before that, and nothing
 * is repeated or left out while others write.
 */
export class List<Item> implements AsyncIterable<Item> {
  readonly #read: (query: PageQuery) => Promise<Page<Item>>;
  readonly #start: PageQuery;

  /** @internal */
  constructor(read: (query: PageQuery) => Promise<Page<Item>>, start: PageQuery) {
    this.#read = read;
    this.#start = start;
  }

  /** One page: the first, or that of the cursor which the list was asked for with. */
  page(): Promise<Page<Item>> {
    return this.#read(this.#start);
  }

  /** Page after page. */
  async *pages(): AsyncGenerator<Page<Item>, void, undefined> {
    let page = await this.page();
    yield page;
    while (page.nextCursor !== null) {
      page = await this.#read({ ...this.#start, cursor: page.nextCursor });
      yield page;
    }
  }

  /** Item after item. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Item, void, undefined> {
    for await (const { items } of this.pages()) yield* items;
  }
}
