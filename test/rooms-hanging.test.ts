/** That nobody waits for good for a room that does not answer. */
import { describe, it } from "vitest";
import type { Room, RoomStub } from "../src/realtime/rooms.ts";
import { createRooms } from "../src/realtime/rooms.ts";
import { createRoomsService } from "../src/realtime/service.ts";
import { env } from "cloudflare:workers";

const silent: RoomStub = {
  fetch: () => new Promise(() => undefined),
  events: () => new Promise(() => undefined),
  stopWaiting: () => new Promise(() => undefined),
};
const service = createRoomsService({
  rooms: { ...createRooms(env), of: () => silent },
  accessTokens: { verify: () => Promise.reject(new Error("nobody asks")) },
  postExists: () => Promise.resolve(true),
  now: () => new Date(),
});
const actor = { id: 1, username: "u", role: "user" as const, sessionId: 1, nonce: "0".repeat(32), epoch: 1 };
const room: Room = { kind: "post", id: 1 };

describe("a room that does not answer", () => {
  it.for([
    ["a socket", () => service.join({ actor, expiresAt: Date.now() / 1000 + 900 }, room, null)],
    ["a long poll", () => service.poll(actor, room, null, 1)],
  ] as const)("is unavailable to %s", async ([, enter], { expect }) => {
    await expect(enter()).rejects.toMatchObject({ kind: "unavailable", headers: { "retry-after": "1" } });
  });
});
