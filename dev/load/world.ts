/**
 * Who takes part, and what they talk about.
 * @module
 */
import { randomUUID } from "node:crypto";
import type { Api } from "./api.ts";

export type Person = {
  id: number;
  email: string;
  password: string;
  /** Of the last sign-in. */
  accessToken: string;
};

export type World = {
  people: Person[];
  boardId: number;
  postIds: number[];
  /** Comments that were answered with 2xx: id and the version of the last answer. */
  comments: Map<number, number>;
};

type Session = { user: { id: number }; accessToken: string };

/** Signs somebody in anew: the token before may be about to end. */
export async function signIn(api: Api, person: Person): Promise<void> {
  const { email, password } = person;
  const json = { email, password };
  person.accessToken = (await api.call<Session>({ method: "POST", path: "/auth/login", json })).accessToken;
}

/** Registers everybody and writes the posts, past nothing: over the API. */
export async function createWorld(
  api: Api,
  { people, posts, boardId }: { people: number; posts: number; boardId: number },
): Promise<World> {
  const everybody: Person[] = [];
  for (let count = 0; count < people; count += 1) {
    const username = `load-${randomUUID().slice(0, 18)}`;
    const account = { email: `${username}@example.com`, password: `password of ${username}` };
    const session = await api.call<Session>({
      method: "POST",
      path: "/auth/register",
      json: { ...account, username },
    });
    everybody.push({ ...account, id: session.user.id, accessToken: session.accessToken });
  }
  const postIds: number[] = [];
  for (let count = 0; count < posts; count += 1) {
    const author = everybody[count % everybody.length];
    const { id } = await api.call<{ id: number }>({
      method: "POST",
      path: "/posts",
      token: author?.accessToken,
      json: { boardId, title: `Post ${count} 🎈`, content: `What everybody talks about, ${count}` },
    });
    postIds.push(id);
  }
  return { people: everybody, boardId, postIds, comments: new Map() };
}
