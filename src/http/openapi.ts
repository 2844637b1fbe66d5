/**
 * How routes are declared: routers, bodies, answers and the document's frame.
 * @module
 */
import { OpenAPIHono, z } from "@hono/zod-openapi";
import { characterCount } from "../common/text.ts";
import { PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX } from "../common/pagination.ts";
import { PROBLEMS } from "../common/errors.ts";
import type { AppEnv } from "./app-env.ts";
import { validationProblem } from "./problem.ts";

/** A router whose validators refuse in the house's way. */
export function newRouter() {
  return new OpenAPIHono<AppEnv>({
    defaultHook: (result) => {
      if (!result.success) throw validationProblem(result.error);
    },
  });
}

/** Says of an enum in answers that values may be added without a new major version (dev/api/schema-breaks.ts). */
const OPEN_ENUM = { "x-open-enum": true };

export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z
      .enum(Object.values(PROBLEMS).map((problem) => problem.code))
      .openapi({ description: "More may come: go by the status for one that you do not know", ...OPEN_ENUM }),
    requestId: z.string(),
    errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  })
  .meta({ id: "Problem", description: "A problem document (RFC 9457). `code` is stable." });

/** A JSON body; always required, so that a request without one is validated too. */
export function jsonBody<Schema extends z.ZodType>(schema: Schema) {
  return { required: true, content: { "application/json": { schema } } };
}

/** A JSON answer. */
export function jsonResponse<Schema extends z.ZodType>(schema: Schema, description: string) {
  return { description, content: { "application/json": { schema } } };
}

export const noContent = { description: "Done; there is no body" };

type ProblemStatus = 400 | 401 | 403 | 404 | 405 | 409 | 412 | 413 | 415 | 422 | 426 | 429 | 500 | 503;
type ProblemResponses<Status extends number> = {
  [status in Status]: {
    description: string;
    content: { "application/problem+json": { schema: typeof problemSchema } };
  };
};

/**
 * Problem answers of a route. 401 (a bad token is refused on public routes too), 429, 500 and 503 may come from every
 * route and are added by themselves.
 * The type stays mutable: spread from an `as const` object they would vanish from the typed client.
 */
export function problems<Status extends ProblemStatus = never>(
  ...statuses: Status[]
): ProblemResponses<Status | 401 | 429 | 500 | 503> {
  const all = [...new Set([...statuses, 401, 429, 500, 503])] as (Status | 401 | 429 | 500 | 503)[];
  return Object.fromEntries(
    all.map((status) => {
      const codes = Object.values(PROBLEMS).filter((problem) => problem.status === status);
      const description = [...new Set(codes.map((problem) => `\`${problem.code}\`: ${problem.title}`))].join(
        ". ",
      );
      return [status, { description, content: { "application/problem+json": { schema: problemSchema } } }];
    }),
  ) as ProblemResponses<Status | 401 | 429 | 500 | 503>;
}

/** An integer in a path or a query: decimal digits and nothing else, from `min` to `max`. */
export function digitsSchema(min: number, max: number, message: string) {
  return z
    .string()
    .regex(/^(?:0|[1-9]\d{0,15})$/, message)
    .transform(Number)
    .pipe(z.int(message).min(min, message).max(max, message))
    .openapi({ type: "integer", minimum: min, maximum: max });
}

/** An id in a path or a query. */
export const idSchema = digitsSchema(1, Number.MAX_SAFE_INTEGER, "must be a positive integer");

/** Query of every list. */
export const pageQuerySchema = z.object({
  limit: digitsSchema(1, PAGE_LIMIT_MAX, `must be a number from 1 to ${PAGE_LIMIT_MAX}`).default(
    PAGE_LIMIT_DEFAULT,
  ),
  cursor: z.string().optional(),
});
export type PageQuery = z.infer<typeof pageQuerySchema>;

/** The shape of every list. */
export function pageSchema<Item extends z.ZodType>(item: Item) {
  return z.object({ items: z.array(item), nextCursor: z.string().nullable() });
}

/** A time as it goes over the wire: ISO 8601, UTC, milliseconds. */
export const instantSchema = z.iso.datetime({ precision: 3 });

export const bearerAuth = [{ bearerAuth: [] }];
/** For routes that anonymous readers may use and that show more to a signed-in one. */
export const optionalBearerAuth = [{}, { bearerAuth: [] }];

export const ifMatchHeaderSchema = z.object({
  "if-match": z
    .string()
    .max(200)
    .optional()
    .meta({ description: 'The version that is meant: `"3"`, or an `ETag`' }),
});

export const idempotencyKeyHeaderSchema = z.object({
  "idempotency-key": z
    .string()
    .regex(/^[\x20-\x7e]{1,255}$/, "must be 1 to 255 printable ASCII characters")
    .optional()
    .meta({
      description: "The same key and body gives the same answer, however often it is sent; kept for 24 hours",
    }),
});

/** Text that can be stored and given back byte for byte: `min` to `max` characters (code points), no lone surrogates. */
export function storableText(min: number, max: number) {
  return z
    .string()
    .refine(
      (text) => characterCount(text) >= min,
      `must have at least ${min} character${min === 1 ? "" : "s"}`,
    )
    .refine((text) => characterCount(text) <= max, `must have at most ${max} characters`)
    .refine((text) => text.isWellFormed(), "must not contain lone surrogates");
}
