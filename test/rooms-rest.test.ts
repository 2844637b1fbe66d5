/** What writes over REST put into rooms. Sockets are real ones, opened by the API's upgrade. */
import { runInDurableObject } from "cloudflare:test";
import { describe, it } from "vitest";
import type { EventFrame } from "../src/realtime/events.ts";
import { anonymous, type Post } from "./support/client.ts";
import { type Account, bodyOf, login, registerUser } from "./support/factories.ts";
import { waitUntil } from "./support/patience.ts";
import { differences, fold, join, pictureOf, upgrade } from "./support/rooms.ts";
import { positionOf, rooms, type TestSocket, until } from "./support/sockets.ts";
import {
  type Comment,
  comment,
  like,
  newPost,
  newSeed,
  postRow,
  randomNumbers,
  settledComment,
  settledLikes,
  settledRows,
  unlike,
  writeComment,
} from "./support/threads.ts";

/** A new post, its author, and the author's socket in its room. */
async function watchedPost() {
  const { id, author } = await newPost();
  const { socket, ready } = await join(`post:${id}`, author.session.accessToken);
  return { id, author, socket, ready };
}

/** A comment without what depends on its reader. */
function asTold(written: Comment): Omit<Comment, "likedByMe"> {
  const { likedByMe: _, ...rest } = written;
  return rest;
}

/** The types and ids of events, in order. */
const outline = (events: readonly EventFrame[]) =>
  events.map(({ type, data }) => [type, "id" in data ? data.id : "targetId" in data ? data.targetId : 0]);

/** Waits for as many events. */
async function events(socket: TestSocket, count: number): Promise<EventFrame[]> {
  return until(`${count} events`, () => socket.events().length >= count && socket.events());
}

describe("a comment", () => {
  it("is told whole, without anything that depends on who is told", async ({ expect }) => {
    const { id, socket, ready } = await watchedPost();
    const guest = await registerUser();
    const written = await comment(guest, id, "안녕 🎉 <b>");
    const added = await socket.next("comment_added");
    expect(added).toEqual({
      type: "comment_added",
      room: `post:${id}`,
      seq: ready.seq + 1,
      at: expect.any(String) as string,
      data: asTold(written),
    });
    await settledComment(written.id);
    const edited = bodyOf(
      await guest.client.patch<Comment>(`/api/comments/${written.id}`, { content: "again" }),
      200,
    );
    expect(await socket.next()).toMatchObject({
      type: "comment_updated",
      seq: added.seq + 1,
      data: asTold(edited),
    });
    await settledComment(written.id);
    bodyOf(await guest.client.delete<string>(`/api/comments/${written.id}`), 204);
    const deleted = await socket.next();
    expect(deleted).toMatchObject({ type: "comment_deleted", seq: added.seq + 2 });
    const [tombstone] = (await pictureOf(id, anonymous())).comments.values();
    expect("data" in deleted && deleted.data).toEqual(tombstone);
    expect(tombstone).toMatchObject({ id: written.id, author: null, content: null });
  });

  it("made 20 times under one key is told once", async ({ expect }) => {
    const { id, author, socket } = await watchedPost();
    const key = { "idempotency-key": crypto.randomUUID() };
    await Promise.all(Array.from({ length: 20 }, () => writeComment(author, id, "once", key)));
    const last = await comment(author, id);
    await until("the last one", () =>
      socket.events().find((event) => event.type === "comment_added" && event.data.id === last.id),
    );
    await socket.settle();
    expect(socket.events()).toHaveLength(2);
  });

  it("written after another was answered is told after it", async ({ expect }) => {
    const { id, author, socket } = await watchedPost();
    const written: number[] = [];
    for (let count = 0; count < 30; count += 1) written.push((await comment(author, id)).id);
    const told = await events(socket, 30);
    expect(outline(told)).toEqual(written.map((each) => ["comment_added", each]));
  });

  it("is told of by consecutive numbers when 40 come at once, none lost, none twice", async ({ expect }) => {
    const { id, author, socket, ready } = await watchedPost();
    const written = await Promise.all(Array.from({ length: 40 }, () => comment(author, id)));
    const told = await events(socket, 40);
    expect(told.map(({ seq }) => seq)).toEqual(told.map((_, index) => ready.seq + 1 + index));
    expect(new Set(outline(told).map(([, each]) => each))).toEqual(new Set(written.map((each) => each.id)));
  });
});

describe("a write that failed", () => {
  it("is not told", async ({ expect }) => {
    const { id, author, socket } = await watchedPost();
    const stranger = await registerUser();
    const written = await comment(author, id);
    const path = `/api/comments/${written.id}`;
    await socket.next("comment_added");
    const wrongVersion = { "if-match": '"9"' };
    const refused = [
      await writeComment(author, id, ""),
      await writeComment(author, id, "x".repeat(5_001)),
      await anonymous().post(`/api/posts/${id}/comments`, { content: "x" }),
      await stranger.client.patch(path, { content: "x" }),
      await stranger.client.delete(path),
      await author.client.patch(path, { content: "x" }, wrongVersion),
      await author.client.delete(path, wrongVersion),
      await author.client.patch(path, { content: "" }),
      await stranger.client.patch(`/api/posts/${id}`, { title: "x" }),
      await stranger.client.delete(`/api/posts/${id}`),
      await author.client.patch(`/api/posts/${id}`, { title: "" }),
      await author.client.patch(`/api/posts/${id}`, { title: "x" }, wrongVersion),
      await author.client.delete(`/api/posts/${id}`, wrongVersion),
      await anonymous().put(`/api/posts/${id}/like`),
    ];
    expect(refused.every(({ status }) => status >= 400)).toBe(true);
    const last = await comment(author, id);
    await until("the last one", () => socket.events().length > 1);
    await socket.settle();
    expect(outline(socket.events())).toEqual([
      ["comment_added", written.id],
      ["comment_added", last.id],
    ]);
  });
});

describe("a post", () => {
  it("is told whole when it is edited", async ({ expect }) => {
    const { id, author, socket, ready } = await watchedPost();
    await like((await registerUser()).client, { type: "post", id });
    await socket.next("post_liked");
    await settledComment((await comment(author, id)).id);
    const { likedByMe: _, ...edited } = bodyOf(
      await author.client.patch<Post>(`/api/posts/${id}`, { title: "제목 🙂" }),
      200,
    );
    const frame = await socket.next("post_updated");
    expect(frame).toMatchObject({ seq: ready.seq + 3, data: edited });
    expect(frame.data).toMatchObject({ title: "제목 🙂", version: 2, likeCount: 1, commentCount: 1 });
  });

  it("that is deleted is told so, and its room closes with 4404 for good", async ({ expect }) => {
    const { id, author, socket } = await watchedPost();
    const guest = await registerUser();
    const other = await join(`post:${id}`, guest.session.accessToken);
    bodyOf(await author.client.delete<string>(`/api/posts/${id}`), 204);
    for (const each of [socket, other.socket]) {
      expect((await each.untilClosed()).code).toBe(4404);
      expect(each.events().map(({ type, data }) => [type, data])).toEqual([["post_deleted", { id }]]);
    }
    expect((await upgrade(`post:${id}`, guest.session.accessToken)).status).toBe(404);
  });
});

describe("a like", () => {
  it("is told as an absolute count of the target that it is of", async ({ expect }) => {
    const { id, author, socket } = await watchedPost();
    const written = await comment(author, id);
    await socket.next("comment_added");
    const one = (await registerUser()).client;
    await like(one, { type: "comment", id: written.id });
    expect(await socket.next()).toMatchObject({
      type: "comment_liked",
      room: `post:${id}`,
      data: { targetId: written.id, likeCount: 1 },
    });
    await like(one, { type: "post", id });
    expect(await socket.next()).toMatchObject({ type: "post_liked", data: { targetId: id, likeCount: 1 } });
    await unlike(one, { type: "post", id });
    expect(await socket.next()).toMatchObject({ type: "post_liked", data: { targetId: id, likeCount: 0 } });
  });

  it("that changes nothing is not told", async ({ expect }) => {
    const { id, author, socket } = await watchedPost();
    await unlike(author.client, { type: "post", id });
    await like(author.client, { type: "post", id });
    for (let count = 0; count < 5; count += 1) await like(author.client, { type: "post", id });
    const { id: last } = await comment(author, id);
    await until("the comment", () => socket.events().length > 1);
    await socket.settle();
    expect(outline(socket.events())).toEqual([
      ["post_liked", id],
      ["comment_added", last],
    ]);
  });
});

describe("whoever follows a room", () => {
  /** Writes of several people at once, drawn from the seed. @returns what is still wrong in the end */
  async function chaos(seed: number): Promise<string[]> {
    const random = randomNumbers(seed);
    const pick = <T>(items: readonly T[]) => items[Math.floor(random() * items.length)];
    const { id, author } = await newPost();
    const people = [author, await registerUser(), await registerUser()];
    const mine: { owner: Account; id: number }[] = [];
    const step = async (person: Account) => {
      const draw = random();
      const target =
        draw < 0.5 ? { type: "post" as const, id } : { type: "comment" as const, id: pick(mine)?.id ?? 0 };
      const own = mine.filter(({ owner }) => owner === person);
      const path = `/api/comments/${pick(own)?.id}`;
      const action = random();
      if (action < 0.2) mine.push({ owner: person, id: (await comment(person, id)).id });
      else if (action < 0.45 && target.id > 0)
        await person.client.put(`/api/${target.type}s/${target.id}/like`);
      else if (action < 0.65 && target.id > 0)
        await person.client.delete(`/api/${target.type}s/${target.id}/like`);
      else if (action < 0.8 && own.length > 0)
        await person.client.patch(path, { content: `edit ${random()}` });
      else if (action < 0.87 && own.length > 0) await person.client.delete(path);
      else if (person === author) await author.client.patch(`/api/posts/${id}`, { title: `${random()}` });
    };
    const writers = people.map(async (person) => {
      for (let count = 0; count < 12; count += 1) await step(person);
    });
    const { socket } = await join(`post:${id}`, author.session.accessToken);
    const seen = await pictureOf(id, anonymous());
    await Promise.all(writers);
    const rest = await pictureOf(id, anonymous());
    const wrong = () => differences(rest, fold(seen, socket.frames), socket.events());
    await waitUntil(() => wrong().length === 0).catch(() => undefined);
    socket.close();
    return wrong();
  }

  it("ends with what REST shows, after ready, one read, and the frames, in seeded runs", async ({
    expect,
  }) => {
    for (let run = 0; run < 8; run += 1) {
      const seed = newSeed();
      expect(await chaos(seed), `seed ${seed}`).toEqual([]);
    }
  });

  it("gets what was written between a read and the join", async ({ expect }) => {
    const { id, author, socket, ready } = await watchedPost();
    const position = positionOf(ready, socket.events());
    socket.close();
    for (let round = 0; round < 5; round += 1) {
      const seen = await pictureOf(id, anonymous());
      const written = comment(author, id);
      if (round % 2 === 0) await written;
      const again = await join(`post:${id}`, author.session.accessToken, position);
      expect(again.ready.resume).toBe("replayed");
      await written;
      const whole = await pictureOf(id, anonymous());
      await until(
        "what was written",
        () => differences(whole, fold(seen, again.socket.frames), []).length === 0,
      );
      position.after = again.socket.events().at(-1)?.seq ?? position.after;
      again.socket.close();
    }
    expect(position.after).toBe(ready.seq + 5);
  });

  it("is told of a count that came back to what others were told, but not who read meanwhile", async ({
    expect,
  }) => {
    const { id, author, socket } = await watchedPost();
    const fan = (await registerUser()).client;
    await like(fan, { type: "post", id });
    await socket.next("post_liked");
    // The next count may be told in five seconds at the earliest.
    await runInDurableObject(rooms.post(id), (_, { storage }) => {
      storage.sql.exec("update like_counts set sent_at = sent_at + 5000");
    });
    await unlike(fan, { type: "post", id });
    await settledLikes(id);
    const late = (await join(`post:${id}`, author.session.accessToken)).socket;
    const seen = await pictureOf(id, anonymous());
    expect(seen.post?.likeCount).toBe(0);
    await like(fan, { type: "post", id });
    await settledLikes(id);
    await waitUntil(() => fold(seen, late.frames).post?.likeCount === 1);
  });

  it("who reads after a frame came, reads at least what it told", async ({ expect }) => {
    const { id, author, socket } = await watchedPost();
    const { id: commentId } = await comment(author, id);
    await socket.next("comment_added");
    for (let round = 1; round <= 5; round += 1) {
      const { client } = await registerUser();
      void like(client, { type: "post", id });
      const { data } = await socket.next("post_liked");
      expect((await pictureOf(id, anonymous())).post?.likeCount).toBeGreaterThanOrEqual(data.likeCount);
      void author.client.patch(`/api/posts/${id}`, { title: `${round}` });
      await socket.next("post_updated");
      expect((await pictureOf(id, anonymous())).post?.version).toBe(round + 1);
      void author.client.patch(`/api/comments/${commentId}`, { content: `${round}` });
      await socket.next("comment_updated");
      expect((await pictureOf(id, anonymous())).comments.get(commentId)?.version).toBe(round + 1);
      await settledRows(() => postRow(id));
      await settledComment(commentId);
    }
  });
});

describe("the sockets of a session that ends", () => {
  /** Two sessions of an account, each with a socket in a post's room and in the user's. */
  async function seats() {
    const account = await registerUser();
    const { id } = await newPost();
    const sessions = [account.session, await login(account)];
    const sockets = await Promise.all(
      sessions.map(({ accessToken }) =>
        Promise.all(
          [`post:${id}`, `user:${account.id}`].map(async (room) => (await join(room, accessToken)).socket),
        ),
      ),
    );
    const stranger = (await join(`post:${id}`, (await registerUser()).session.accessToken)).socket;
    return { account, id, sessions, own: sockets[0] ?? [], other: sockets[1] ?? [], stranger };
  }
  /** What has arrived when the event loop has turned once: the answer came after the rooms were told. */
  async function codes(sockets: readonly TestSocket[]): Promise<(number | undefined)[]> {
    await scheduler.wait(0);
    return sockets.map(({ closed }) => closed?.code);
  }
  const OPEN = [undefined, undefined];
  const ENDED = [4401, 4401];

  it("by log-out-all are closed when it is answered", async ({ expect }) => {
    const { account, id, own, other, stranger } = await seats();
    bodyOf(await account.client.post<string>("/api/auth/logout-all"), 204);
    expect([await codes(own), await codes(other), await codes([stranger])]).toEqual([
      ENDED,
      ENDED,
      [undefined],
    ]);
    expect((await upgrade(`post:${id}`, account.session.accessToken)).status).toBe(401);
  });

  it("by a new password are closed when it is answered, but for the session that asked", async ({
    expect,
  }) => {
    const { account, own, other } = await seats();
    const body = { currentPassword: account.password, newPassword: "another password" };
    bodyOf(await account.client.post<string>("/api/auth/password", body), 204);
    expect([await codes(own), await codes(other)]).toEqual([OPEN, ENDED]);
  });

  it("by log-out are closed when it is answered, and no others", async ({ expect }) => {
    const { account, own, other } = await seats();
    bodyOf(await account.client.post<string>("/api/auth/logout"), 204);
    expect([await codes(own), await codes(other)]).toEqual([ENDED, OPEN]);
  });

  it("by erasing the account are closed when it is answered", async ({ expect }) => {
    const { account, own, other, stranger } = await seats();
    const json = { password: account.password };
    bodyOf(await account.client.request<string>("DELETE", "/api/users/me", { json }), 204);
    expect([await codes(own), await codes(other), await codes([stranger])]).toEqual([
      ENDED,
      ENDED,
      [undefined],
    ]);
  });
});
