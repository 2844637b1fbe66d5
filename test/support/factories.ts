/**
 * Accounts, boards and posts, always new and uniquely named; nothing is ever emptied.
 * @module
 */
import { eq } from "drizzle-orm";
import { users } from "../../src/db/schema/users.ts";
import {
  anonymous,
  type Answer,
  type Board,
  type Client,
  type ClientOptions,
  type Post,
  type Session,
  signedIn,
} from "./client.ts";
import { db } from "./database.ts";

/** A registered user with a client that is signed in. */
export type Account = {
  id: number;
  email: string;
  username: string;
  password: string;
  session: Session;
  client: Client;
};

/** `name` with 12 random hex digits behind it, lower case. */
export function unique(name: string): string {
  return `${name}${crypto.randomUUID().replaceAll("-", "").slice(0, 12)}`;
}

/** A body that `POST /auth/register` takes. */
export function newAccount(): { email: string; username: string; password: string } {
  const username = unique("user-");
  return { email: `${username}@example.com`, username, password: unique("password ") };
}

/** @throws when the answer has another status */
export function bodyOf<Body>(answer: Answer<Body>, status: number): Body {
  if (answer.status !== status) throw new Error(`${answer.status}: ${JSON.stringify(answer.body)}`);
  return answer.body;
}

export async function registerUser(
  fields: Partial<ReturnType<typeof newAccount>> = {},
  options: ClientOptions = {},
): Promise<Account> {
  const account = { ...newAccount(), ...fields };
  const session = bodyOf(await anonymous(options).post<Session>("/api/auth/register", account), 201);
  return { ...account, id: session.user.id, session, client: signedIn(session, options) };
}

/** Another sign-in of an account. */
export async function login(account: Account, options: ClientOptions = {}): Promise<Session> {
  const { email, password } = account;
  return bodyOf(await anonymous(options).post<Session>("/api/auth/login", { email, password }), 200);
}

/** The next session of a refresh token. */
export async function refresh(refreshToken: string): Promise<Session> {
  return bodyOf(await anonymous().post<Session>("/api/auth/refresh", { refreshToken }), 200);
}

/** A user whose role was set in the database, with a token that says so. */
export async function admin(options: ClientOptions = {}): Promise<Account> {
  const account = await registerUser({}, options);
  await db.update(users).set({ role: "admin" }).where(eq(users.id, account.id));
  const session = await refresh(account.session.refreshToken);
  return { ...account, session, client: signedIn(session, options) };
}

let fileAdmin: Promise<Account> | undefined;

/** The next file of tests has an admin of its own: a token lasts less long than all files may take. */
export function forgetSharedAdmin(): void {
  fileAdmin = undefined;
}

/** The admin that the factories of a test file share. */
export async function sharedAdmin(): Promise<Account> {
  fileAdmin ??= admin();
  return fileAdmin;
}

export async function board(
  fields: Partial<{ name: string; slug: string; description: string; position: number }> = {},
): Promise<Board> {
  const { client } = await sharedAdmin();
  const slug = unique("board-");
  return bodyOf(await client.post<Board>("/api/boards", { name: `Board ${slug}`, slug, ...fields }), 201);
}

/** A post by `author`, on a board of its own unless one is given. */
export async function post(
  author: Account,
  fields: Partial<{ boardId: number; title: string; content: string }> = {},
): Promise<Post> {
  const boardId = fields.boardId ?? (await board()).id;
  const input = { title: unique("Title "), content: unique("Content "), ...fields, boardId };
  return bodyOf(await author.client.post<Post>("/api/posts", input), 201);
}
