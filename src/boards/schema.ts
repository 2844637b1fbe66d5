/**
 * Wire shapes of boards.
 * @module
 */
import { z } from "@hono/zod-openapi";
import { characterCount } from "../common/text.ts";
import { instantSchema, storableText } from "../http/openapi.ts";

const nameSchema = storableText(1, 100)
  .refine((name) => name.trim() !== "", "must not be blank")
  .meta({ example: "Announcements" });
const slugSchema = z
  .string()
  .regex(/^[a-z0-9]+(?:-[a-z0-9]+)*$/, "may have lower-case letters, digits and single hyphens only")
  .refine((slug) => characterCount(slug) <= 60, "must have at most 60 characters")
  .meta({ example: "announcements" });
const descriptionSchema = storableText(0, 500).meta({ example: "News of the community" });
const positionSchema = z
  .int()
  .min(-1_000_000)
  .max(1_000_000)
  .meta({ description: "Boards are listed by position, then by age" });

export const createBoardSchema = z
  .strictObject({
    name: nameSchema,
    slug: slugSchema,
    description: descriptionSchema.default(""),
    position: positionSchema.default(0),
  })
  .meta({ id: "CreateBoard" });
export type CreateBoard = z.infer<typeof createBoardSchema>;

export const updateBoardSchema = z
  .strictObject({
    name: nameSchema.optional(),
    slug: slugSchema.optional(),
    description: descriptionSchema.optional(),
    position: positionSchema.optional(),
  })
  .meta({ id: "UpdateBoard" });
export type UpdateBoard = z.infer<typeof updateBoardSchema>;

export const boardSchema = z
  .object({
    id: z.int(),
    name: z.string(),
    slug: z.string(),
    description: z.string(),
    position: z.int(),
    postCount: z.int(),
    createdAt: instantSchema,
  })
  .meta({ id: "Board" });

/** The board inside a post. */
export const boardReferenceSchema = z
  .object({ id: z.int(), name: z.string(), slug: z.string() })
  .meta({ id: "BoardReference" });

export type BoardRow = Omit<z.infer<typeof boardSchema>, "createdAt"> & { createdAt: Date };

export function toBoard(row: BoardRow): z.infer<typeof boardSchema> {
  return {
    id: row.id,
    name: row.name,
    slug: row.slug,
    description: row.description,
    position: row.position,
    postCount: row.postCount,
    createdAt: row.createdAt.toISOString(),
  };
}
