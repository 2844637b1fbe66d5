/**
 * Boards and users of `npm run seed`.
 * @module
 */
import { createPasswords } from "../../src/auth/passwords.ts";
import { DEMO_BOARDS, DEMO_PASSWORD } from "./demo-content.ts";
import type { Report, Run } from "./run.ts";
import { sqlInside } from "./texts.ts";
import { evenSeries, type People, type Series, sqlInstant } from "./timeline.ts";
import { usernameKey } from "./username-key.ts";

const BCRYPT_COST = 10;
const USERS_AT_ONCE = 1_000;

/** Makes the demo's boards, in a database that has none. @returns their ids */
export async function fillBoards({ writer, fromMs }: Run): Promise<number[]> {
  const firstId = await writer.reserveIds("boards", DEMO_BOARDS.length);
  await writer.insert(
    "boards",
    "id,name,slug,description,position,created_at",
    DEMO_BOARDS.map(
      ({ slug, name, description }, index) =>
        `(${firstId + index},'${sqlInside(name)}','${slug}','${sqlInside(description)}',${index},'${sqlInstant(fromMs)}')`,
    ),
  );
  return DEMO_BOARDS.map((_, index) => firstId + index);
}

/** Users who join throughout the year and share one password, hashed once. */
export async function fillUsers(run: Run, report: Report): Promise<People> {
  const { writer, options, signal } = run;
  const firstId = await writer.reserveIds("users", options.users);
  const people = evenSeries(firstId, options.users, run.fromMs, run.toMs);
  const passwordHash = await createPasswords(BCRYPT_COST).hash(DEMO_PASSWORD);
  let written = 0;
  while (written < options.users && !signal.aborted) {
    const size = Math.min(USERS_AT_ONCE, options.users - written);
    const rows = await Promise.all(
      Array.from({ length: size }, (_, offset) => userRow(run, people, written + offset, passwordHash)),
    );
    written += await writer.insert("users", "id,email,username,username_key,password_hash,created_at", rows);
    report(written);
  }
  return { ...people, count: written, growing: true };
}

/** The id makes address and name unique. */
async function userRow({ texts }: Run, people: Series, index: number, passwordHash: string): Promise<string> {
  const id = people.id(index);
  const username = `${texts.name()}_${id}`;
  const key = await usernameKey(username);
  const time = sqlInstant(people.createdAt(index));
  return `(${id},'load${id}@liveforum.local','${sqlInside(username)}','${key}','${passwordHash}','${time}')`;
}
