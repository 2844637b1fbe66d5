/**
 * Wire shapes of users.
 * @module
 */
import { z } from "@hono/zod-openapi";
import { PASSWORD_MAX_BYTES, PASSWORD_MIN_BYTES } from "../auth/passwords.ts";
import { byteLength, characterCount } from "../common/text.ts";
import { instantSchema } from "../http/openapi.ts";

export const userSchema = z
  .object({
    id: z.int(),
    username: z.string(),
    role: z.enum(["user", "admin"]),
    createdAt: instantSchema,
  })
  .meta({ id: "User" });

export const profileSchema = z
  .object({ ...userSchema.shape, email: z.string() })
  .meta({ id: "Profile", description: "One's own account" });

/** Who wrote something; null once the account was erased. */
export const authorSchema = z.object({ id: z.int(), username: z.string() }).nullable().meta({ id: "Author" });

export const usernameSchema = z
  .string()
  .refine((name) => characterCount(name) >= 3 && characterCount(name) <= 30, "must have 3 to 30 characters")
  // Not `.regex()`: the pattern needs a flag, which a JSON Schema cannot say. Fillers and the like are letters that
  // nobody sees.
  .refine(
    (name) => /^[\p{L}\p{M}\p{Nd}_-]*$/u.test(name) && !/\p{Default_Ignorable_Code_Point}/u.test(name),
    "may have letters, digits, _ and - only",
  )
  .meta({
    description: "3-30 letters of any script, digits, `_` and `-`; unique regardless of case",
    example: "mina",
  });

export const emailSchema = z.email("must be an email address").max(254).meta({ example: "mina@example.com" });

export const passwordSchema = z
  .string()
  .refine((text) => byteLength(text) >= PASSWORD_MIN_BYTES, `must have at least ${PASSWORD_MIN_BYTES} bytes`)
  .refine((text) => byteLength(text) <= PASSWORD_MAX_BYTES, `must have at most ${PASSWORD_MAX_BYTES} bytes`)
  .refine((text) => text.isWellFormed() && !text.includes("\0"), "must be well-formed text without NUL")
  .meta({
    description: `${PASSWORD_MIN_BYTES}-${PASSWORD_MAX_BYTES} bytes of UTF-8`,
    example: "correct horse battery",
  });

/** A password that is only compared: nothing is said about its form. */
export const presentedPasswordSchema = z.string().min(1).max(1000);

export const updateProfileSchema = z
  .strictObject({
    username: usernameSchema.optional(),
    email: emailSchema.optional(),
    currentPassword: presentedPasswordSchema
      .optional()
      .meta({ description: "Needed to change the email address" }),
  })
  .meta({ id: "UpdateProfile" });
export type UpdateProfile = z.infer<typeof updateProfileSchema>;

type UserRow = { id: number; username: string; role: "user" | "admin"; createdAt: Date };

export function toUser(row: UserRow): z.infer<typeof userSchema> {
  return { id: row.id, username: row.username, role: row.role, createdAt: row.createdAt.toISOString() };
}

export function toProfile(row: UserRow & { email: string }): z.infer<typeof profileSchema> {
  return { ...toUser(row), email: row.email };
}
