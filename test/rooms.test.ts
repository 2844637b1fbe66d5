/** Entering rooms through the Worker: by upgrade and by long poll. */
import { describe, it } from "vitest";
import type { PolledFrame } from "../src/realtime/events.ts";
import { anonymous, ORIGIN, type Problem, signedIn } from "./support/client.ts";
import { bodyOf, login, post, registerUser } from "./support/factories.ts";
import { enter, enterPost, rooms, socketOf, until, upgrade } from "./support/sockets.ts";
import { claimsOf, expiredToken, forge } from "./support/tokens.ts";
import { roundTrips, statements, watchUpstreams } from "./support/upstreams.ts";

/** The status of a refusal and its code. */
async function refusal(response: Response): Promise<[number, string]> {
  const { status, code } = await response.json<Problem>();
  if (status !== response.status || response.webSocket) throw new Error("not a refusal");
  return [status, code];
}

const MISSING_POST = 2 ** 40;

describe("GET /rooms/{room} with Upgrade", () => {
  it("takes the token as a subprotocol and answers with `liveforum.v1` alone", async ({ expect }) => {
    const account = await registerUser();
    const { id } = await post(account);
    const response = await upgrade(`post:${id}`, { token: account.session.accessToken });
    expect(response.status).toBe(101);
    expect(response.headers.get("sec-websocket-protocol")).toBe("liveforum.v1");
    expect(response.headers.get("x-request-id")).toBeTruthy();
    expect(await socketOf(response).next("ready")).toMatchObject({
      room: `post:${id}`,
      resume: "fresh",
      viewers: 1,
    });
  });

  it("takes the token as a header and then names no subprotocol that was not asked for", async ({
    expect,
  }) => {
    const account = await registerUser();
    const { id } = await post(account);
    const authorization = `Bearer ${account.session.accessToken}`;
    const response = await upgrade(`post:${id}`, { headers: { authorization } });
    expect(response.headers.get("sec-websocket-protocol")).toBeNull();
    await socketOf(response).next("ready");
    const asked = await upgrade(`post:${id}`, {
      headers: { authorization, "sec-websocket-protocol": "chat, liveforum.v1" },
    });
    expect(asked.headers.get("sec-websocket-protocol")).toBe("liveforum.v1");
  });

  it("lets a user into the own room", async ({ expect }) => {
    const { id, session } = await registerUser();
    const { ready } = await enter(`user:${id}`, session.accessToken);
    expect(ready).toMatchObject({ room: `user:${id}`, viewers: 1, seq: 0 });
  });

  it("answers 426 without Upgrade", async ({ expect }) => {
    const { client } = await registerUser();
    for (const each of [client, anonymous()]) {
      const answer = await each.get("/api/rooms/post:1");
      expect([answer.status, answer.body.code]).toEqual([426, "upgrade_required"]);
      expect(answer.headers.get("upgrade")).toBe("websocket");
    }
  });

  it("answers 401 without a good token, wherever it is sent", async ({ expect }) => {
    const account = await registerUser();
    const { id } = await post(account);
    const { accessToken } = account.session;
    const ended = await login(account);
    bodyOf(await signedIn(ended).post<string>("/api/auth/logout"), 204);
    const cases: [string, Parameters<typeof upgrade>[1], string][] = [
      ["none", {}, "unauthenticated"],
      ["rubbish", { token: "rubbish" }, "unauthenticated"],
      ["empty", { token: "" }, "unauthenticated"],
      ["expired", { token: await expiredToken(account.session) }, "token_expired"],
      [
        "another key",
        { token: await forge(account.session, {}, { kid: "k1", secret: "x".repeat(40) }) },
        "unauthenticated",
      ],
      [
        "a tampered one",
        { token: accessToken.slice(0, -3) + (accessToken.endsWith("AAA") ? "BBB" : "AAA") },
        "unauthenticated",
      ],
      ["of an ended session", { token: ended.accessToken }, "unauthenticated"],
      [
        "without the protocol beside it",
        { headers: { "sec-websocket-protocol": `bearer.${accessToken}` } },
        "unauthenticated",
      ],
      ["as a bad header", { headers: { authorization: `Basic ${accessToken}` } }, "unauthenticated"],
      ["a bad header", { headers: { authorization: "Bearer rubbish" } }, "unauthenticated"],
    ];
    for (const [what, request, code] of cases) {
      expect(await refusal(await upgrade(`post:${id}`, request)), what).toEqual([401, code]);
    }
    for (const query of [`?token=${accessToken}`, `?access_token=${accessToken}`]) {
      expect(await refusal(await upgrade(`post:${id}${query}`)), "in the URL").toEqual([
        401,
        "unauthenticated",
      ]);
    }
  });

  it("answers 403 to an origin off the list, and lets programs, the own origin and listed ones in", async ({
    expect,
  }) => {
    const account = await registerUser();
    const { id } = await post(account);
    const token = account.session.accessToken;
    for (const origin of [
      "https://evil.example",
      "null",
      `${ORIGIN}.evil.example`,
      ORIGIN.replace("http:", "https:"),
      "http://localhost:3001",
    ]) {
      expect(await refusal(await upgrade(`post:${id}`, { token, headers: { origin } })), origin).toEqual([
        403,
        "forbidden",
      ]);
    }
    for (const origin of [ORIGIN, "http://localhost:3000"]) {
      expect((await upgrade(`post:${id}`, { token, headers: { origin } })).status, origin).toBe(101);
    }
  });

  it("answers 403 for somebody else's room, admins included", async ({ expect }) => {
    const account = await registerUser();
    const other = await registerUser();
    const token = account.session.accessToken;
    expect(await refusal(await upgrade(`user:${other.id}`, { token }))).toEqual([403, "forbidden"]);
  });

  it("answers 404 for a post that there is not, and for a name that is none", async ({ expect }) => {
    const account = await registerUser();
    const token = account.session.accessToken;
    const deleted = await post(account);
    bodyOf(await account.client.delete<string>(`/api/posts/${deleted.id}`), 204);
    const names = [
      `post:${MISSING_POST}`,
      `post:${deleted.id}`,
      "post:0",
      "post:-1",
      "post:01",
      "post:1.5",
      "post:1e3",
      "post:99999999999999999",
      "post:",
      "post",
      "posts:1",
      "POST:1",
      "user:0",
      "board:1",
      "post:1:2",
      "post:%31%20",
      "%00",
    ];
    for (const name of names) {
      expect(await refusal(await upgrade(name, { token })), name).toEqual([404, "not_found"]);
    }
  });

  it("answers 422 for a position that is none", async ({ expect }) => {
    const account = await registerUser();
    const { id } = await post(account);
    const token = account.session.accessToken;
    for (const query of [
      "epoch=abc",
      "after=3",
      "epoch=abc&after=-1",
      "epoch=abc&after=x",
      "epoch=abc&after=1.5",
      "epoch=abc&after=1e30",
      "epoch=a%20b&after=1",
      `epoch=${"a".repeat(65)}&after=1`,
    ]) {
      expect(await refusal(await upgrade(`post:${id}?${query}`, { token })), query).toEqual([
        422,
        "validation_failed",
      ]);
    }
    const { ready } = await enter(`post:${id}?epoch=&after=`, token);
    expect(ready.resume).toBe("fresh");
  });

  it("does not believe a client's copy of what the Worker tells rooms", async ({ expect }) => {
    const account = await registerUser();
    const { id } = await post(account);
    const forged = encodeURIComponent(
      JSON.stringify({
        user: { id: 1, username: "root" },
        sessionId: 1,
        epoch: 1,
        expiresAt: 9e15,
        position: null,
      }),
    );
    const headers = { "x-liveforum-ticket": forged };
    expect(await refusal(await upgrade(`post:${id}`, { headers }))).toEqual([401, "unauthenticated"]);
    const response = await upgrade(`post:${id}`, { headers, token: account.session.accessToken });
    const { socket: watcher } = await enterPost(id);
    const socket = socketOf(response);
    socket.send({ type: "typing" });
    expect((await watcher.next("typing")).data.user).toEqual({ id: account.id, username: account.username });
  });

  it("lets nobody in the room notice what is refused", async ({ expect }) => {
    const account = await registerUser();
    const { id } = await post(account);
    const { socket } = await enter(`post:${id}`, account.session.accessToken);
    for (const request of [{}, { token: "x" }, { headers: { origin: "https://evil.example" } }]) {
      await upgrade(`post:${id}`, request);
    }
    await upgrade(`post:${id}?after=1`, { token: account.session.accessToken });
    await socket.settle();
    expect(socket.frames.map(({ type }) => type)).toEqual(["ready", "pong"]);
  });

  it("costs one round trip and one statement", async ({ expect }) => {
    const account = await registerUser();
    const { id } = await post(account);
    const watch = watchUpstreams();
    const token = account.session.accessToken;
    const toPost = await watch.during(() => upgrade(`post:${id}`, { token }));
    const toUser = await watch.during(() => upgrade(`user:${account.id}`, { token }));
    expect([toPost.answer.status, toUser.answer.status]).toEqual([101, 101]);
    expect([roundTrips(toPost.calls), statements(toPost.calls).length]).toEqual([1, 1]);
    expect([roundTrips(toUser.calls), statements(toUser.calls).length]).toEqual([1, 0]);
  });
});

describe("GET /rooms/{room}/events", () => {
  type Polled = { frames: PolledFrame[] };

  it("answers the frames of the room as JSON, and waits for the next", async ({ expect }) => {
    const account = await registerUser();
    const { id } = await post(account);
    const path = `/api/rooms/post:${id}/events`;
    const first = bodyOf(await account.client.get<Polled>(`${path}?epoch=&after=&wait=25`), 200);
    const [ready] = first.frames;
    if (ready?.type !== "ready") throw new Error("no ready");
    expect(ready.resume).toBe("fresh");
    const waiting = account.client.get<Polled>(`${path}?epoch=${ready.epoch}&after=${ready.seq}`);
    const { socket } = await enter(`post:${id}`, account.session.accessToken);
    await account.client.post(`/api/posts/${id}/comments`, { content: "안녕 🎉 <script>" });
    const polled = bodyOf(await waiting, 200).frames.slice(1);
    expect(polled).toEqual([await socket.next("comment_added")]);
    expect(polled[0]).toMatchObject({ data: { postId: id, content: "안녕 🎉 <script>" } });
  });

  it("answers with `ready` alone after the wait", async ({ expect }) => {
    const account = await registerUser();
    const { id } = await post(account);
    const path = `/api/rooms/post:${id}/events`;
    const [ready] = bodyOf(await account.client.get<Polled>(path), 200).frames;
    if (ready?.type !== "ready") throw new Error("no ready");
    for (const wait of [0, 1]) {
      const { frames } = bodyOf(
        await account.client.get<Polled>(`${path}?epoch=${ready.epoch}&after=0&wait=${wait}`),
        200,
      );
      expect(frames).toEqual([{ ...ready, resume: "replayed" }]);
    }
  });

  it("refuses as the upgrade does", async ({ expect }) => {
    const account = await registerUser();
    const other = await registerUser();
    const { id } = await post(account);
    const cases: [string, number][] = [
      [`user:${other.id}/events`, 403],
      [`post:${MISSING_POST}/events`, 404],
      ["lobby/events", 404],
      [`post:${id}/events?wait=26`, 422],
      [`post:${id}/events?wait=-1`, 422],
      [`post:${id}/events?after=1`, 422],
    ];
    for (const [path, status] of cases) {
      expect((await account.client.get(`/api/rooms/${path}`)).status, path).toBe(status);
    }
    expect((await anonymous().get(`/api/rooms/post:${id}/events`)).status).toBe(401);
  });

  it("ends with 401 when the session of a waiting client does", async ({ expect }) => {
    const account = await registerUser();
    const path = `/api/rooms/user:${account.id}/events`;
    const [ready] = bodyOf(await account.client.get<Polled>(path), 200).frames;
    if (ready?.type !== "ready") throw new Error("no ready");
    const waiting = account.client.get(`${path}?epoch=${ready.epoch}&after=0`);
    await until("the wait", () => true);
    await rooms.user(account.id).endSessions({ epoch: Number(claimsOf(account.session)["epoch"]) + 1 });
    expect((await waiting).status).toBe(401);
  });
});
