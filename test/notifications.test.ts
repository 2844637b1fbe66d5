/** What people are told of, and what they may do with it. */
import { eq } from "drizzle-orm";
import { describe, it } from "vitest";
import { createLogger } from "../src/common/logger.ts";
import { notifications } from "../src/db/schema/notifications.ts";
import { posts } from "../src/db/schema/posts.ts";
import type { Notification, UnreadCount } from "../src/notifications/schema.ts";
import { createRoomPublisher } from "../src/realtime/publisher.ts";
import { anonymous, type Page } from "./support/client.ts";
import { db } from "./support/database.ts";
import { type Account, bodyOf, post, registerUser } from "./support/factories.ts";
import { deliver } from "./support/jobs.ts";
import {
  commentBy,
  createWorker,
  deleteComment,
  likesOf,
  people,
  type Person,
  rowsOf,
  setLike,
  syncOf,
  type Target,
  unreadOf,
} from "./support/notifications.ts";
import { enterUser, rooms } from "./support/sockets.ts";
import { roundTrips, statements, watchUpstreams } from "./support/upstreams.ts";

async function newPost(author: Account): Promise<Target> {
  const { id } = await post(author);
  return { type: "post", id, postId: id };
}

async function readerWithPost() {
  const reader = await registerUser();
  return { reader, target: await newPost(reader) };
}

async function list(reader: Account, query = ""): Promise<Page<Notification>> {
  return bodyOf(await reader.client.get<Page<Notification>>(`/api/notifications${query}`), 200);
}

async function unreadCount(reader: Account): Promise<number> {
  return bodyOf(await reader.client.get<UnreadCount>("/api/notifications/unread-count"), 200).unreadCount;
}

/** Likes the target and lets the job arrive. @returns the like */
async function like(target: Target, fan: Person): Promise<number> {
  const [id = 0] = await likesOf(target, [fan]);
  await deliver(syncOf("like", id));
  return id;
}

async function turn(likeId: number, active: boolean): Promise<void> {
  await setLike(likeId, active);
  await deliver(syncOf("like", likeId));
}

async function comment(postId: number, author: { id: number }): Promise<number> {
  const id = await commentBy(author, postId);
  await deliver(syncOf("comment", id));
  return id;
}

async function withdraw(commentId: number): Promise<void> {
  await deleteComment(commentId);
  await deliver(syncOf("comment", commentId));
}

describe("a notification", () => {
  it("tells the author of a post of a comment on it", async ({ expect }) => {
    const { reader, target } = await readerWithPost();
    const [mina] = (await people(1)) as [Person];
    const { socket } = await enterUser(reader.id);
    await comment(target.id, mina);

    const { items } = await list(reader);
    expect(items).toEqual([
      {
        id: expect.any(Number),
        type: "comment",
        targetType: "post",
        targetId: target.id,
        postId: target.id,
        actor: mina,
        actorCount: 1,
        message: `${mina.username} commented on your post`,
        isRead: false,
        createdAt: expect.any(String),
      },
    ]);
    const { room, data } = await socket.next("notify_user");
    expect({ room, data }).toEqual({
      room: `user:${reader.id}`,
      data: { notification: items[0], unreadCount: 1 },
    });
  });

  it("tells the author of a comment of a like, and not the author of the post", async ({ expect }) => {
    const { reader: author, target } = await readerWithPost();
    const reader = await registerUser();
    const commentId = await commentBy(reader, target.id);
    const [mina] = (await people(1)) as [Person];
    await like({ type: "comment", id: commentId, postId: target.id }, mina);

    expect((await list(reader)).items).toMatchObject([
      { type: "like", targetType: "comment", targetId: commentId, postId: target.id, actor: mina },
    ]);
    expect((await list(author)).items).toEqual([]);
  });

  it("is one for everybody who does the same to the same target, and names the last", async ({ expect }) => {
    const { reader, target } = await readerWithPost();
    const [mina, jun, sora] = (await people(3)) as [Person, Person, Person];
    const said: string[] = [];
    for (const fan of [mina, jun, sora]) {
      await like(target, fan);
      const [row] = (await list(reader)).items;
      said.push(row?.message ?? "");
    }
    expect(said).toEqual([
      `${mina.username} liked your post`,
      `${jun.username} and 1 other liked your post`,
      `${sora.username} and 2 others liked your post`,
    ]);
    expect(await unreadCount(reader)).toBe(1);
  });

  it("counts people, not comments", async ({ expect }) => {
    const { reader, target } = await readerWithPost();
    const [mina, jun] = (await people(2)) as [Person, Person];
    const first = await comment(target.id, mina);
    await comment(target.id, mina);
    await comment(target.id, jun);
    expect(await unreadOf(reader.id)).toMatchObject([{ actorCount: 2 }]);
    await withdraw(first);
    expect(await unreadOf(reader.id)).toMatchObject([{ actorCount: 2 }]);
  });

  it("is never of one's own doing", async ({ expect }) => {
    const { reader, target } = await readerWithPost();
    await like(target, { id: reader.id, username: reader.username });
    const own = await comment(target.id, reader);
    await like({ type: "comment", id: own, postId: target.id }, { id: reader.id, username: "" });
    expect(await rowsOf(reader.id)).toEqual([]);
  });

  it("does not reach an erased account", async ({ expect }) => {
    const { reader, target } = await readerWithPost();
    const [fan] = (await people(1)) as [Person];
    expect((await reader.client.delete("/api/users/me")).status).toBe(204);
    await like(target, fan);
    await comment(target.id, fan);
    expect(await rowsOf(reader.id)).toEqual([]);
  });

  it("of an erased account has no name", async ({ expect }) => {
    const { reader, target } = await readerWithPost();
    const fan = await registerUser();
    await like(target, fan);
    expect((await fan.client.delete("/api/users/me")).status).toBe(204);
    expect((await list(reader)).items).toMatchObject([{ actor: null, message: "Someone liked your post" }]);
  });

  it("of the past is not made when its job comes late", async ({ expect }) => {
    const { reader, target } = await readerWithPost();
    const [fan] = (await people(1)) as [Person];
    const [likeId = 0] = await likesOf(target, [fan]);
    await turn(likeId, false);
    const commentId = await commentBy(fan, target.id);
    await withdraw(commentId);
    expect(await rowsOf(reader.id)).toEqual([]);
  });
});

describe("taking back", () => {
  it("like, unlike and like again are one notification", async ({ expect }) => {
    const { reader, target } = await readerWithPost();
    const [fan] = (await people(1)) as [Person];
    const likeId = await like(target, fan);
    const [told] = (await list(reader)).items;
    await turn(likeId, false);
    expect(await list(reader)).toEqual({ items: [], nextCursor: null });
    expect(await unreadCount(reader)).toBe(0);
    await turn(likeId, true);
    expect((await list(reader)).items).toEqual([told]);
    expect(await unreadCount(reader)).toBe(1);
    expect(await rowsOf(reader.id)).toHaveLength(1);
  });

  it("of the last one lowers the unread count on every device", async ({ expect }) => {
    const { reader, target } = await readerWithPost();
    const [fan] = (await people(1)) as [Person];
    const { socket } = await enterUser(reader.id);
    const id = await comment(target.id, fan);
    const { data: told } = await socket.next("notify_user");
    await withdraw(id);
    const { data } = await socket.next("notification_read");
    expect(data).toEqual({ ids: [told.notification.id], unreadCount: 0 });
    expect(await unreadCount(reader)).toBe(0);
  });

  it("of one of many tells who is left", async ({ expect }) => {
    const { reader, target } = await readerWithPost();
    const [mina, jun] = (await people(2)) as [Person, Person];
    await like(target, mina);
    const { socket } = await enterUser(reader.id);
    const likeId = await like(target, jun);
    await turn(likeId, false);
    expect((await socket.next("notify_user")).data.notification.actorCount).toBe(2);
    const { data } = await socket.next("notify_user");
    expect(data).toMatchObject({ notification: { actor: mina, actorCount: 1 }, unreadCount: 1 });
  });

  it("leaves what was read, and liking again does not make it unread", async ({ expect }) => {
    const { reader, target } = await readerWithPost();
    const [fan] = (await people(1)) as [Person];
    const likeId = await like(target, fan);
    const [told] = (await list(reader)).items;
    const { socket } = await enterUser(reader.id);
    await reader.client.patch(`/api/notifications/${told?.id}/read`);
    await socket.next("notification_read");
    await turn(likeId, false);
    await turn(likeId, true);
    await socket.settle();
    expect((await list(reader)).items).toEqual([{ ...told, isRead: true }]);
    expect(await unreadCount(reader)).toBe(0);
    expect(socket.events()).toHaveLength(1);
  });

  it("happens to the likes of a comment that is deleted", async ({ expect }) => {
    const { target } = await readerWithPost();
    const reader = await registerUser();
    const [fan] = (await people(1)) as [Person];
    const commentId = await commentBy(reader, target.id);
    await like({ type: "comment", id: commentId, postId: target.id }, fan);
    expect(await unreadCount(reader)).toBe(1);
    await withdraw(commentId);
    expect(await unreadCount(reader)).toBe(0);
  });

  it("happens to all that was told of a post that is deleted", async ({ expect }) => {
    const { reader, target } = await readerWithPost();
    const [fan] = (await people(1)) as [Person];
    await like(target, fan);
    await comment(target.id, fan);
    await deliver(syncOf("post", target.id));
    expect(await unreadCount(reader)).toBe(2);
    await db.update(posts).set({ deletedAt: new Date() }).where(eq(posts.id, target.id));
    await deliver(syncOf("post", target.id));
    // Its readers may be many: the sweep tells them.
    const worker = createWorker({ now: new Date(), rooms: createRoomPublisher(rooms, createLogger()) });
    await worker.announcer.announce(reader.id);
    expect(await unreadCount(reader)).toBe(0);
  });
});

describe("reading", () => {
  it("one is final, repeatable and told to the other devices", async ({ expect }) => {
    const { reader, target } = await readerWithPost();
    const [mina, jun] = (await people(2)) as [Person, Person];
    await like(target, mina);
    await comment(target.id, jun);
    const { items } = await list(reader);
    const [newest] = items;
    const { socket } = await enterUser(reader.id);
    for (let time = 0; time < 2; time += 1) {
      const answer = await reader.client.patch<Notification>(`/api/notifications/${newest?.id}/read`);
      expect(bodyOf(answer, 200)).toEqual({ ...newest, isRead: true });
    }
    const { data } = await socket.next("notification_read");
    await socket.settle();
    expect(data).toEqual({ ids: [newest?.id], unreadCount: 1 });
    expect(socket.events()).toHaveLength(1);
    expect((await list(reader, "?unread=true")).items.map(({ id }) => id)).toEqual([items[1]?.id]);
    expect((await list(reader)).items).toHaveLength(2);
  });

  it("makes room for the next notification of the same target", async ({ expect }) => {
    const { reader, target } = await readerWithPost();
    const [mina, jun] = (await people(2)) as [Person, Person];
    await like(target, mina);
    const [first] = (await list(reader)).items;
    await reader.client.patch(`/api/notifications/${first?.id}/read`);
    await like(target, jun);
    expect((await list(reader)).items).toMatchObject([
      { actor: jun, actorCount: 1, isRead: false },
      { actor: mina, actorCount: 1, isRead: true },
    ]);
  });

  it("all up to one leaves newer ones unread, and is one frame", async ({ expect }) => {
    const { reader, target } = await readerWithPost();
    const other = await newPost(reader);
    const [fan] = (await people(1)) as [Person];
    await like(target, fan);
    await comment(target.id, fan);
    await like(other, fan);
    const { items } = await list(reader);
    const upTo = items[1]?.id ?? 0;
    const { socket } = await enterUser(reader.id);
    for (let time = 0; time < 2; time += 1) {
      const answer = await reader.client.post<UnreadCount>("/api/notifications/read-all", { upTo });
      expect(bodyOf(answer, 200)).toEqual({ unreadCount: 1 });
    }
    expect((await socket.next("notification_read")).data).toEqual({ upTo, unreadCount: 1 });
    await socket.settle();
    expect(socket.events()).toHaveLength(1);
    expect((await list(reader, "?unread=true")).items).toEqual([items[0]]);
    expect((await rowsOf(reader.id)).map(({ isRead }) => isRead)).toEqual([true, true, false]);
  });

  it("somebody else's, or a withdrawn one, is not possible", async ({ expect }) => {
    const { reader, target } = await readerWithPost();
    const [fan] = (await people(1)) as [Person];
    const likeId = await like(target, fan);
    const [row] = await rowsOf(reader.id);
    const id = row?.id ?? 0;
    const stranger = await registerUser();
    expect((await stranger.client.patch(`/api/notifications/${id}/read`)).status).toBe(404);
    await stranger.client.post("/api/notifications/read-all", { upTo: id });
    expect(await unreadCount(reader)).toBe(1);
    await turn(likeId, false);
    expect((await reader.client.patch(`/api/notifications/${id}/read`)).status).toBe(404);
    await reader.client.post("/api/notifications/read-all", { upTo: id });
    await turn(likeId, true);
    expect(await unreadCount(reader)).toBe(1);
  });

  it.for([
    ["without a bound", {}],
    ["up to no id", { upTo: "1" }],
    ["up to less than nothing", { upTo: -1 }],
    ["with more than a bound", { upTo: 1, all: true }],
  ])("all %s is refused", async ([, body], { expect }) => {
    const reader = await registerUser();
    const answer = await reader.client.post("/api/notifications/read-all", body);
    expect(answer.status).toBe(422);
  });
});

describe("the list", () => {
  it("pages newest first through all, without repeating or leaving out", async ({ expect }) => {
    const reader = await registerUser();
    const now = new Date();
    await db.insert(notifications).values(
      Array.from({ length: 23 }, (_, index) => ({
        userId: reader.id,
        type: "like" as const,
        targetType: "post" as const,
        targetId: index + 1,
        postId: index + 1,
        actorId: reader.id,
        dedupeKey: `like:post:${index + 1}:open`,
        isRead: index % 3 === 0,
        createdAt: now,
        updatedAt: now,
      })),
    );
    for (const [query, count] of [
      ["", 23],
      ["&unread=true", 15],
    ] as const) {
      const seen: number[] = [];
      for (let cursor = ""; ;) {
        const page = await list(reader, `?limit=5${query}${cursor}`);
        seen.push(...page.items.map(({ id }) => id));
        if (page.nextCursor === null) break;
        cursor = `&cursor=${page.nextCursor}`;
      }
      expect(seen).toHaveLength(count);
      expect(seen).toEqual([...new Set(seen)].sort((a, b) => b - a));
    }
    const { nextCursor } = await list(reader, "?limit=5");
    for (const query of [`?unread=true&cursor=${nextCursor}`, "?cursor=made-up"]) {
      const answer = await reader.client.get(`/api/notifications${query}`);
      expect([answer.status, answer.body.code]).toEqual([400, "invalid_cursor"]);
    }
    expect((await reader.client.get("/api/notifications?unread=perhaps")).status).toBe(422);
  });

  it.for([
    ["GET", "/api/notifications"],
    ["GET", "/api/notifications/unread-count"],
    ["PATCH", "/api/notifications/1/read"],
    ["POST", "/api/notifications/read-all"],
  ])("is for its reader only: %s %s", async ([method = "", path = ""], { expect }) => {
    const json = method === "POST" ? { json: { upTo: 1 } } : {};
    expect((await anonymous().request(method, path, json)).status).toBe(401);
  });

  it("costs one round trip and one statement, the first page and a deeper one", async ({ expect }) => {
    const { reader, target } = await readerWithPost();
    const [fan] = (await people(1)) as [Person];
    await like(target, fan);
    await comment(target.id, fan);
    const { nextCursor } = await list(reader, "?limit=1");
    const watch = watchUpstreams();
    for (const path of [
      "/api/notifications",
      `/api/notifications?limit=1&cursor=${nextCursor}`,
      "/api/notifications?unread=true",
      "/api/notifications/unread-count",
    ]) {
      const { answer, calls } = await watch.during(() => reader.client.get(path));
      expect(answer.status).toBe(200);
      expect([path, roundTrips(calls), statements(calls).length]).toEqual([path, 1, 1]);
    }
  });
});
