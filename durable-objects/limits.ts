/**
 * How many sockets a room takes.
 * @module
 */
import { z } from "zod";

const limitsSchema = z.object({
  /** Sockets in one room. */
  ROOM_SOCKETS_MAX: z.coerce.number().int().min(1).max(30_000).default(5_000),
  /** Sockets of one user in one room. */
  USER_SOCKETS_MAX: z.coerce.number().int().min(1).max(1_000).default(20),
});

export type SocketLimits = z.infer<typeof limitsSchema>;

const DEFAULTS = limitsSchema.parse({});

/** The settings, or their defaults where they make no sense: a room stays open then. */
export function socketLimits(env: object): SocketLimits {
  return limitsSchema.safeParse(env).data ?? DEFAULTS;
}
