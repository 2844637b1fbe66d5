/**
 * Who is asking.
 * @module
 */
import { AppError } from "../common/errors.ts";

/** A signed-in user, as the access token and later changes tell. */
export type Actor = {
  id: number;
  username: string;
  role: "user" | "admin";
  /** The session that the token belongs to. */
  sessionId: number;
  /** The nonce of that session; another session may have its id after a restored backup. */
  nonce: string;
  /** The user's session epoch when the token was issued. */
  epoch: number;
};

/** @throws AppError `forbidden` unless the actor is an admin */
export function requireAdmin(actor: Actor): void {
  if (actor.role !== "admin") throw new AppError("forbidden", "Only an admin may do this");
}

/** @throws AppError `forbidden` unless the actor is the author or an admin */
export function requireAuthorOrAdmin(actor: Actor, authorId: number): void {
  if (actor.id !== authorId && actor.role !== "admin") {
    throw new AppError("forbidden", "Only its author or an admin may do this");
  }
}
