/**
 * What the Worker tells a room about an upgrade that it has admitted. Made from nothing that the client sent but its
 * token's claims and its position, so that no header of the client's can reach a room.
 * @module
 */
import type { Position } from "./events.ts";

export type Ticket = {
  user: { id: number; username: string };
  sessionId: number;
  /** The user's session epoch that the token was issued under. */
  epoch: number;
  /** When the token ends, milliseconds since the epoch. */
  expiresAt: number;
  /** Where the client stands in the log; null: nowhere yet. */
  position: Position | null;
};

const TICKET_HEADER = "x-liveforum-ticket";

/** The request with which a room is asked for a socket. */
export function ticketRequest(ticket: Ticket): Request {
  return new Request("https://room.internal/", {
    headers: { upgrade: "websocket", [TICKET_HEADER]: encodeURIComponent(JSON.stringify(ticket)) },
  });
}

/** A trusted cast: only the Worker can reach a room's `fetch`, and it makes the whole request. */
export function readTicket(request: Request): Ticket {
  return JSON.parse(decodeURIComponent(request.headers.get(TICKET_HEADER) ?? "")) as Ticket;
}
