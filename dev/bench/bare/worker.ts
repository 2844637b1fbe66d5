/**
 * What LiveForum is measured against: a Worker that answers a constant, with or without one call to Redis before, and an
 * object that sends a frame to its sockets in a loop. What they cost is the platform's own share.
 * @module
 */
import { DurableObject } from "cloudflare:workers";
import { createPasswords } from "../../../src/auth/passwords.ts";

type Bindings = {
  ROOM: DurableObjectNamespace<BareRoom>;
  UPSTASH_REDIS_REST_URL: string;
  UPSTASH_REDIS_REST_TOKEN: string;
};

export class BareRoom extends DurableObject<Bindings> {
  override fetch(): Response {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  /** Sends `head`, the time and `tail` as one frame. */
  send(head: string, tail: string): void {
    const frame = head + new Date().toISOString() + tail;
    for (const socket of this.ctx.getWebSockets()) socket.send(frame);
  }
}

const constants = new Map<number, string>();

/** A JSON text of that many characters. */
function constant(size: number): string {
  let text = constants.get(size);
  if (text === undefined) {
    text = JSON.stringify("x".repeat(Math.max(0, size - 2)));
    constants.set(size, text);
  }
  return text;
}

function answer(size: number): Response {
  return new Response(constant(size), { headers: { "content-type": "application/json" } });
}

export default {
  async fetch(request, env) {
    const { pathname, searchParams } = new URL(request.url);
    const size = Number(searchParams.get("size"));
    const room = env.ROOM.getByName(searchParams.get("room") ?? "");
    switch (pathname) {
      case "/redis": {
        const { UPSTASH_REDIS_REST_URL: url, UPSTASH_REDIS_REST_TOKEN: token } = env;
        const response = await fetch(`${url}/pipeline`, {
          method: "POST",
          headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
          body: '[["PING"]]',
        });
        await response.json();
        return answer(size);
      }
      case "/hash":
        await createPasswords(Number(searchParams.get("cost"))).hash("correct horse battery");
        return answer(size);
      case "/room":
        return room.fetch(request);
      case "/send": {
        const { head, tail } = await request.json<{ head: string; tail: string }>();
        await room.send(head, tail);
        return answer(size);
      }
      default:
        return answer(size);
    }
  },
} satisfies ExportedHandler<Bindings>;
