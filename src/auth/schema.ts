/**
 * Wire shapes of accounts' credentials and sessions.
 * @module
 */
import { z } from "@hono/zod-openapi";
import { instantSchema } from "../http/openapi.ts";
import {
  emailSchema,
  passwordSchema,
  presentedPasswordSchema,
  toUser,
  usernameSchema,
  userSchema,
} from "../users/schema.ts";
import type { IssuedSession, SessionInfo } from "./service.ts";

export const registerSchema = z
  .strictObject({ email: emailSchema, username: usernameSchema, password: passwordSchema })
  .meta({ id: "Register" });

export const loginSchema = z
  .strictObject({ email: z.string().min(1).max(254), password: presentedPasswordSchema })
  .meta({ id: "Login" });

export const refreshSchema = z
  .strictObject({
    refreshToken: z
      .string()
      .max(200)
      .optional()
      .meta({ description: "Left out by browsers, which send the cookie" }),
  })
  .meta({ id: "Refresh" });

export const changePasswordSchema = z
  .strictObject({ currentPassword: presentedPasswordSchema, newPassword: passwordSchema })
  .meta({ id: "ChangePassword" });

export const sessionSchema = z
  .object({
    user: userSchema,
    accessToken: z.string(),
    expiresIn: z.int().meta({ description: "Seconds until the access token expires" }),
    refreshToken: z.string(),
  })
  .meta({ id: "Session" });

export const sessionInfoSchema = z
  .object({
    id: z.int(),
    deviceLabel: z.string(),
    createdAt: instantSchema,
    lastUsedAt: instantSchema,
    current: z.boolean(),
  })
  .meta({ id: "SessionInfo" });

export function toSession(session: IssuedSession): z.infer<typeof sessionSchema> {
  return { ...session, user: toUser(session.user) };
}

export function toSessionInfo(session: SessionInfo): z.infer<typeof sessionInfoSchema> {
  return {
    ...session,
    createdAt: session.createdAt.toISOString(),
    lastUsedAt: session.lastUsedAt.toISOString(),
  };
}
