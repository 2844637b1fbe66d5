import { describe, it } from "vitest";
import { seedDemo } from "../../dev/seed/demo.ts";
import { createPasswords } from "../../src/auth/passwords.ts";
import { usernameKey } from "../../dev/seed/username-key.ts";
import { scratchDatabase, wrongCounters } from "./scratch.ts";

const BCRYPT_COST = 4;

describe("the demo forum", () => {
  it("has boards, users, posts, comments and likes whose counts are exact", async ({ expect }) => {
    const database = await scratchDatabase();
    await seedDemo(database.databaseUrl, BCRYPT_COST);
    const [counts] = await database.rows(
      "select (select count(*) from boards) boards, (select count(*) from users) users, (select count(*) from posts) posts, (select count(*) from comments) comments, (select count(*) from likes) likes",
    );
    expect(counts).toEqual({ boards: 4, users: 7, posts: 12, comments: 25, likes: 47 });
    expect(await wrongCounters(database)).toEqual([]);
  });

  it("is not seeded a second time", async ({ expect }) => {
    const database = await scratchDatabase();
    await seedDemo(database.databaseUrl, BCRYPT_COST);
    const before = await database.rows("select id, title, created_at from posts order by id");
    await seedDemo(database.databaseUrl, BCRYPT_COST);
    expect(await database.rows("select id, title, created_at from posts order by id")).toEqual(before);
    expect(await database.rows("select count(*) as n from users")).toEqual([{ n: 7 }]);
  });

  it("opens to its published passwords, and has one admin", async ({ expect }) => {
    const database = await scratchDatabase();
    await seedDemo(database.databaseUrl, BCRYPT_COST);
    const users = await database.rows("select email, username, username_key, password_hash, role from users");
    const { verify } = createPasswords(BCRYPT_COST);
    for (const { email, role, username, username_key, password_hash } of users) {
      const password = email === "admin@liveforum.local" ? "liveforum-admin" : "liveforum-demo";
      expect(await verify(password, String(password_hash)), String(email)).toBe(true);
      expect(role, String(email)).toBe(email === "admin@liveforum.local" ? "admin" : "user");
      expect(username_key).toBe(await usernameKey(String(username)));
    }
  });

  it("has ids in the order of creation, and nothing from the future", async ({ expect }) => {
    const database = await scratchDatabase();
    await seedDemo(database.databaseUrl, BCRYPT_COST);
    for (const table of ["posts", "comments", "likes"]) {
      const rows = await database.rows(`select id from ${table} order by created_at, id`);
      expect(rows, table).toEqual(rows.toSorted((a, b) => Number(a["id"]) - Number(b["id"])));
      const late = `select count(*) as n from ${table} where created_at > utc_timestamp(3)`;
      expect(await database.rows(late), table).toEqual([{ n: 0 }]);
    }
    const early =
      "select count(*) as n from comments c join posts p on p.id = c.post_id where c.created_at < p.created_at";
    expect(await database.rows(early)).toEqual([{ n: 0 }]);
  });

  it("leaves nothing behind when it fails half-way", async ({ expect }) => {
    const database = await scratchDatabase();
    await database.rows(
      "insert into boards (name, slug, description, created_at) values ('Help', 'help', '', now())",
    );
    await expect(seedDemo(database.databaseUrl, BCRYPT_COST)).rejects.toThrow();
    expect(
      await database.rows("select (select count(*) from users) + (select count(*) from posts) as n"),
    ).toEqual([{ n: 0 }]);
  });
});
