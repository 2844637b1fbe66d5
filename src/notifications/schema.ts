/**
 * Wire shapes of notifications.
 * @module
 */
import { z } from "@hono/zod-openapi";
import { instantSchema } from "../http/openapi.ts";
import { authorSchema } from "../users/schema.ts";

export const notificationSchema = z
  .object({
    id: z.int(),
    type: z.enum(["comment", "like"]),
    targetType: z.enum(["post", "comment"]).meta({ description: "What was commented on or liked" }),
    targetId: z.int(),
    postId: z.int().meta({ description: "The post, or that of the comment" }),
    actor: authorSchema,
    actorCount: z.int().meta({ description: "How many people did it; `actor` did it last" }),
    message: z.string().meta({ example: "mina and 41 others liked your post" }),
    isRead: z.boolean(),
    createdAt: instantSchema,
  })
  .meta({ id: "Notification" });
export type Notification = z.infer<typeof notificationSchema>;

export const unreadCountSchema = z.object({ unreadCount: z.int() }).meta({ id: "UnreadCount" });
export type UnreadCount = z.infer<typeof unreadCountSchema>;

export const readAllSchema = z
  .strictObject({
    upTo: z
      .int()
      .min(0)
      .meta({ description: "The newest notification that was shown; newer ones stay unread" }),
  })
  .meta({ id: "ReadAll" });
export type ReadAll = z.infer<typeof readAllSchema>;

const DEEDS = { comment: "commented on", like: "liked" } as const;

/** What a notification says. `createdAt` becomes its wire form, and the sentence is made. */
export function toNotification(
  facts: Omit<Notification, "message" | "createdAt"> & { createdAt: Date },
): Notification {
  const { type, targetType, actor, actorCount } = facts;
  const others = actorCount - 1;
  const name = actor?.username ?? "Someone";
  const people = others > 0 ? `${name} and ${others} other${others === 1 ? "" : "s"}` : name;
  return {
    id: facts.id,
    type,
    targetType,
    targetId: facts.targetId,
    postId: facts.postId,
    actor,
    actorCount,
    message: `${people} ${DEEDS[type]} your ${targetType}`,
    isRead: facts.isRead,
    createdAt: facts.createdAt.toISOString(),
  };
}
