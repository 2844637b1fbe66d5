/**
 * Sockets of both kinds of room against frames that something is wrong with: an `error` frame, the socket stays, and
 * nothing is thrown in the object. How many and which: as for bad-input.test.ts.
 */
import * as fc from "fast-check";
import { afterEach, describe, inject, it, onTestFinished, vi } from "vitest";
import { CLIENT_FRAME_MAX_BYTES, clientFrameSchema, FLOOD_FRAMES_MAX, PING } from "../src/realtime/events.ts";
import { byteLength } from "../src/common/text.ts";
import { returnToPresent } from "./support/clock.ts";
import { JSON_TEXTS, KEYS, TEXTS } from "./support/hostile/values.ts";
import { enterPost, enterUser, freshId, type TestSocket } from "./support/sockets.ts";

const { cases, seed } = inject("badInput");
/** One of ten cases is a frame. */
const FRAMES = Math.ceil(cases / 10 / 2);
/** With the two pings, fewer than what counts as flooding. */
const FRAMES_OF_A_SOCKET = FLOOD_FRAMES_MAX - 5;

const text = fc.oneof(fc.constantFrom(...TEXTS), fc.string({ unit: "binary", maxLength: 60 }));
const jsonText = fc.oneof(
  fc.constantFrom(...JSON_TEXTS),
  text.map((value) => JSON.stringify(value)),
  fc.json({ maxDepth: 5 }),
);
const type = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom("ping", "auth", "typing") },
  { weight: 1, arbitrary: fc.constantFrom("ready", "comment_added", "PING", "", ...KEYS) },
);

const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => new Uint8Array(array).buffer);

/** A frame of some type with its field spoilt, one too many, repeated or missing; or no frame at all. */
const frame: fc.Arbitrary<string | ArrayBuffer> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(type, fc.constantFrom("token", "type", ...KEYS), jsonText)
      .map(([type, name, value]) => {
        return `{"type":${JSON.stringify(type)},${JSON.stringify(name)}:${value}}`;
      }),
  },
  { weight: 1, arbitrary: type.map((type) => JSON.stringify({ type })) },
  { weight: 1, arbitrary: jsonText.map((value) => `{"type":${value}}`) },
  { weight: 2, arbitrary: jsonText },
  { weight: 1, arbitrary: text },
  { weight: 1, arbitrary: fc.nat(15).map((at) => PING.slice(0, at)) },
  { weight: 1, arbitrary: fc.constant("[".repeat(CLIENT_FRAME_MAX_BYTES)) },
  { weight: 1, arbitrary: bytes },
);

/** What the room must answer, or none of these where somebody types. */
function expected(sent: string | ArrayBuffer, typingIsKnown: boolean): string | undefined {
  if (typeof sent !== "string") return "binary_frame";
  let json: unknown;
  try {
    json = JSON.parse(sent);
  } catch {
    return "invalid_frame";
  }
  const parsed = clientFrameSchema.safeParse(json);
  // No text here is a token.
  if (parsed.success && parsed.data.type === "auth") return "unauthenticated";
  if (parsed.success && parsed.data.type === "ping") return "pong";
  if (parsed.success) return typingIsKnown ? undefined : "unknown_type";
  const { type } = Object(json) as { type?: unknown };
  const known = typeof type !== "string" || ["ping", "auth", "typing"].includes(type);
  return known ? "invalid_frame" : "unknown_type";
}

/** What came back in answer to frames: codes of errors, and pongs. */
const answersOf = (socket: TestSocket) =>
  socket.frames.flatMap((frame) => {
    if (frame.type === "error") return frame.code;
    return frame.type === "pong" ? "pong" : [];
  });

const doors = {
  "a post's room": (userId: number) => enterPost(freshId(), { userId }),
  "a user's room": (userId: number) => enterUser(userId),
};

afterEach(returnToPresent);

describe(`bad frames (BAD_INPUT_SEED=${seed})`, () => {
  /** Whatever the room logs as an error. */
  function watchErrors() {
    const spy = vi.spyOn(console, "error").mockImplementation(() => undefined);
    onTestFinished(() => spy.mockRestore());
    return spy.mock.calls;
  }

  it.for(Object.entries(doors))(
    "are answered one by one in %s, and the socket stays",
    { timeout: 600_000 },
    async ([name, open], { expect }) => {
      const errors = watchErrors();
      const frames = fc
        .sample(frame, { numRuns: FRAMES, seed })
        .filter((sent) => typeof sent !== "string" || byteLength(sent) <= CLIENT_FRAME_MAX_BYTES);
      for (let from = 0; from < frames.length; from += FRAMES_OF_A_SOCKET) {
        const batch = frames.slice(from, from + FRAMES_OF_A_SOCKET);
        const { socket } = await open(freshId());
        for (const sent of batch) socket.raw.send(sent);
        await socket.settle();
        const wanted = batch.flatMap((sent) => expected(sent, name === "a post's room") ?? []);
        // A ping in its own spelling is answered before those that wait for the room; the last one is that of the test.
        const sorted = (codes: string[]) => codes.toSorted();
        expect(sorted(answersOf(socket)), JSON.stringify(batch)).toEqual(sorted([...wanted, "pong"]));
        expect(socket.closed).toBeUndefined();
        socket.close();
        await socket.untilClosed();
      }
      expect(errors).toEqual([]);
    },
  );

  it.for(Object.entries(doors))(
    "close %s with 1009 when they are over 4 KiB, whatever they say",
    async ([, open], { expect }) => {
      const errors = watchErrors();
      for (const long of [
        "x".repeat(CLIENT_FRAME_MAX_BYTES + 1),
        "가".repeat(CLIENT_FRAME_MAX_BYTES / 3 + 1),
        "[".repeat(200_000),
        `{"type":"typing","x":"${"y".repeat(500_000)}"}`,
        new Uint8Array(CLIENT_FRAME_MAX_BYTES + 1).buffer,
      ]) {
        const { socket } = await open(freshId());
        socket.raw.send(long);
        expect(await socket.untilClosed()).toMatchObject({ code: 1009 });
        expect(answersOf(socket)).toEqual([]);
      }
      expect(errors).toEqual([]);
    },
  );

  it.for(Object.entries(doors))(
    "close %s with 4429 when there are too many, and leave others alone",
    async ([, open], { expect }) => {
      const errors = watchErrors();
      const floods = [
        ["x"],
        ['{"type":"typing"}'],
        ['{"type":"auth","token":"x"}'],
        ["x", '{"type":"y"}', "[]"],
      ];
      for (const flood of floods) {
        const [flooding, calm] = [await open(freshId()), await open(freshId())];
        for (let count = 0; count < 4 * FLOOD_FRAMES_MAX; count += 1) {
          flooding.socket.raw.send(flood[count % flood.length] ?? "");
        }
        expect(await flooding.socket.untilClosed()).toMatchObject({ code: 4429 });
        expect(answersOf(flooding.socket).length).toBeLessThanOrEqual(FLOOD_FRAMES_MAX);
        await calm.socket.settle();
        expect(calm.socket.closed).toBeUndefined();
        calm.socket.close();
      }
      expect(errors).toEqual([]);
    },
  );
});
