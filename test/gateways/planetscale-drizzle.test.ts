/** drizzle-orm's PlanetScale driver against the gateway, as the Worker uses it. */
import { Client } from "@planetscale/database";
import { and, asc, count, eq, inArray, max, relations, sql, TransactionRollbackError } from "drizzle-orm";
import {
  bigint,
  boolean,
  customType,
  date,
  datetime,
  decimal,
  double,
  int,
  json,
  mysqlEnum,
  mysqlTable,
  text,
  timestamp,
  tinyint,
  varchar,
} from "drizzle-orm/mysql-core";
import { drizzle } from "drizzle-orm/planetscale-serverless";
import { afterAll, beforeAll, describe, inject, it } from "vitest";

const suffix = crypto.randomUUID().replaceAll("-", "");

const bytes = customType<{ data: Uint8Array }>({ dataType: () => "varbinary(16)" });

const authors = mysqlTable(`authors_${suffix}`, {
  id: bigint({ mode: "number", unsigned: true }).autoincrement().primaryKey(),
  name: varchar({ length: 50 }).notNull(),
  active: boolean().notNull().default(true),
});

const posts = mysqlTable(`posts_${suffix}`, {
  id: bigint({ mode: "number", unsigned: true }).autoincrement().primaryKey(),
  authorId: bigint({ mode: "number", unsigned: true }).notNull(),
  title: varchar({ length: 200 }).notNull(),
  body: text(),
  meta: json().$type<{ tags: string[]; draft: boolean }>(),
  score: double(),
  price: decimal({ precision: 12, scale: 2 }),
  big: bigint({ mode: "bigint", unsigned: true }),
  small: tinyint(),
  state: mysqlEnum(["open", "closed"]),
  day: date({ mode: "string" }),
  at: datetime({ mode: "date", fsp: 3 }),
  created: timestamp({ mode: "date", fsp: 3 }),
  key: bytes(),
  views: int().notNull().default(0),
});

const authorRelations = relations(authors, ({ many }) => ({ posts: many(posts) }));
const postRelations = relations(posts, ({ one }) => ({
  author: one(authors, { fields: [posts.authorId], references: [authors.id] }),
}));

const client = new Client({ url: inject("cloud").settings.DATABASE_URL ?? "" });
const db = drizzle({ client, schema: { authors, posts, authorRelations, postRelations } });

beforeAll(async () => {
  await db.execute(sql`CREATE TABLE ${authors} (
    id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, name VARCHAR(50) NOT NULL, active BOOLEAN NOT NULL DEFAULT TRUE)`);
  await db.execute(sql`CREATE TABLE ${posts} (
    id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, authorId BIGINT UNSIGNED NOT NULL, title VARCHAR(200) NOT NULL,
    body TEXT, meta JSON, score DOUBLE, price DECIMAL(12,2), big BIGINT UNSIGNED, small TINYINT,
    state ENUM('open','closed'), day DATE, at DATETIME(3), created TIMESTAMP(3) NULL, \`key\` VARBINARY(16),
    views INT NOT NULL DEFAULT 0)`);
});

afterAll(async () => {
  await db.execute(sql`DROP TABLE ${posts}`);
  await db.execute(sql`DROP TABLE ${authors}`);
});

async function newAuthor(name = "작가 ✍️"): Promise<number> {
  const [inserted] = await db.insert(authors).values({ name }).$returningId();
  return inserted?.id ?? Number.NaN;
}

async function countOf(name: string): Promise<number> {
  return db.$count(authors, eq(authors.name, name));
}

describe("typed queries", () => {
  it("every value comes back as the column's type says", async ({ expect }) => {
    const authorId = await newAuthor();
    const values = {
      authorId,
      title: "제목 'quoted' \\ 😀",
      body: "",
      meta: { tags: ["가", "😀"], draft: false },
      score: 0.1,
      price: "1234567890.12",
      big: 18_446_744_073_709_551_615n,
      small: -128,
      state: "closed" as const,
      day: "2024-02-29",
      at: new Date("2024-01-02T03:04:05.678Z"),
      created: new Date("2024-01-02T03:04:05.678Z"),
      key: Uint8Array.from([0, 255, 128]),
      views: 3,
    };
    const [inserted] = await db.insert(posts).values(values).$returningId();
    const [row] = await db
      .select()
      .from(posts)
      .where(eq(posts.id, inserted?.id ?? 0));
    expect(row).toEqual({ id: inserted?.id, ...values });
  });

  it("every null comes back as null", async ({ expect }) => {
    const authorId = await newAuthor();
    await db.insert(posts).values({ authorId, title: "" });
    const [row] = await db.select().from(posts).where(eq(posts.authorId, authorId));
    const { id, authorId: _, title, views, ...rest } = row ?? {};
    expect({ id: typeof id, title, views }).toEqual({ id: "number", title: "", views: 0 });
    expect(Object.values(rest)).toEqual(Array.from({ length: 11 }, () => null));
  });

  it("booleans are booleans, also as a condition", async ({ expect }) => {
    const name = crypto.randomUUID();
    await db.insert(authors).values([
      { name, active: false },
      { name, active: true },
    ]);
    const rows = await db
      .select({ active: authors.active })
      .from(authors)
      .where(and(eq(authors.name, name), eq(authors.active, false)));
    expect(rows).toEqual([{ active: false }]);
  });

  it("$returningId gives the ids of all rows of one insert", async ({ expect }) => {
    const names = ["a", "b", "c"].map((letter) => `${letter}${crypto.randomUUID()}`);
    const ids = await db
      .insert(authors)
      .values(names.map((name) => ({ name })))
      .$returningId();
    const rows = await db.select().from(authors).where(inArray(authors.name, names)).orderBy(asc(authors.id));
    expect(rows.map(({ id, name }) => ({ id, name }))).toEqual(
      ids.map(({ id }, index) => ({ id, name: names[index] })),
    );
  });

  it("a write tells how many rows it matched", async ({ expect }) => {
    const id = await newAuthor();
    const unchanged = await db.update(authors).set({ active: true }).where(eq(authors.id, id));
    const missing = await db.delete(authors).where(eq(authors.id, 0));
    expect([unchanged.rowsAffected, missing.rowsAffected]).toEqual([1, 0]);
  });

  it("joins, counts and aggregates have the types drizzle promises", async ({ expect }) => {
    const authorId = await newAuthor("joined");
    await db.insert(posts).values([
      { authorId, title: "x", views: 2 },
      { authorId, title: "y", views: 5 },
    ]);
    const rows = await db
      .select({ name: authors.name, posts: count(posts.id), most: max(posts.views) })
      .from(authors)
      .leftJoin(posts, eq(posts.authorId, authors.id))
      .where(eq(authors.id, authorId))
      .groupBy(authors.id, authors.name);
    expect(rows).toEqual([{ name: "joined", posts: 2, most: 5 }]);
  });

  it("a relation of many is read with its parent", async ({ expect }) => {
    const authorId = await newAuthor("parent");
    await db.insert(posts).values({ authorId, title: "child", meta: { tags: [], draft: true } });
    const found = await db.query.authors.findFirst({
      where: eq(authors.id, authorId),
      with: { posts: true },
    });
    expect(found?.posts).toMatchObject([{ title: "child", meta: { tags: [], draft: true } }]);
  });
});

describe("transactions", () => {
  it("a finished transaction is there for everybody", async ({ expect }) => {
    const name = crypto.randomUUID();
    const inside = await db.transaction(async (tx) => {
      await tx.insert(authors).values({ name });
      return tx.$count(authors, eq(authors.name, name));
    });
    expect(inside).toBe(1);
    expect(await countOf(name)).toBe(1);
  });

  it("nobody sees a transaction that is still open", async ({ expect }) => {
    const name = crypto.randomUUID();
    await db.transaction(async (tx) => {
      await tx.insert(authors).values({ name });
      expect(await countOf(name)).toBe(0);
    });
  });

  it("rollback() undoes everything and is told apart from an error", async ({ expect }) => {
    const name = crypto.randomUUID();
    const attempt = db.transaction(async (tx) => {
      await tx.insert(authors).values({ name });
      tx.rollback();
    });
    await expect(attempt).rejects.toBeInstanceOf(TransactionRollbackError);
    expect(await countOf(name)).toBe(0);
  });

  it("an error of the caller undoes everything and comes out unchanged", async ({ expect }) => {
    const name = crypto.randomUUID();
    const attempt = db.transaction(async (tx) => {
      await tx.insert(authors).values({ name });
      throw new RangeError("mine");
    });
    await expect(attempt).rejects.toThrow(new RangeError("mine"));
    expect(await countOf(name)).toBe(0);
  });

  it("a failed statement undoes nothing by itself", async ({ expect }) => {
    const name = crypto.randomUUID();
    await db.transaction(async (tx) => {
      await tx.insert(authors).values({ name });
      await expect(tx.execute(sql`SELECT * FROM missing_table`)).rejects.toThrow();
    });
    expect(await countOf(name)).toBe(1);
  });

  it("a nested transaction is a savepoint: it rolls back alone", async ({ expect }) => {
    const [outer, inner, kept] = [crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID()];
    await db.transaction(async (tx) => {
      await tx.insert(authors).values({ name: outer });
      await expect(
        tx.transaction(async (nested) => {
          await nested.insert(authors).values({ name: inner });
          nested.rollback();
        }),
      ).rejects.toBeInstanceOf(TransactionRollbackError);
      await tx.transaction(async (nested) => {
        await nested.insert(authors).values({ name: kept });
      });
    });
    expect([await countOf(outer), await countOf(inner), await countOf(kept)]).toEqual([1, 0, 1]);
  });

  it("statements sent at once run one after the other in the same transaction", async ({ expect }) => {
    const name = crypto.randomUUID();
    await db.transaction(async (tx) => {
      const connections = await Promise.all(
        Array.from({ length: 10 }, async () => {
          await tx.insert(authors).values({ name });
          return tx.select({ id: sql<string>`CONNECTION_ID()` }).from(sql`(SELECT 1 AS n) AS one`);
        }),
      );
      expect(new Set(connections.map(([row]) => row?.id)).size).toBe(1);
      expect(await tx.$count(authors, eq(authors.name, name))).toBe(10);
      expect(await countOf(name)).toBe(0);
    });
    expect(await countOf(name)).toBe(10);
  });

  it("20 transactions that add to one row lose no addition", async ({ expect }) => {
    const authorId = await newAuthor();
    const [post] = await db.insert(posts).values({ authorId, title: "counter" }).$returningId();
    const where = eq(posts.id, post?.id ?? 0);
    await Promise.all(
      Array.from({ length: 20 }, () =>
        db.transaction(async (tx) => {
          const [row] = await tx.select({ views: posts.views }).from(posts).where(where).for("update");
          await tx
            .update(posts)
            .set({ views: (row?.views ?? Number.NaN) + 1 })
            .where(where);
        }),
      ),
    );
    expect(await db.select({ views: posts.views }).from(posts).where(where)).toEqual([{ views: 20 }]);
  });
});
