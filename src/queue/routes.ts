/**
 * `/api/jobs`: where QStash delivers. The signature is checked over the raw text before anything is made of it.
 * @module
 */
import type { Context } from "hono";
import { AppError, PROBLEMS } from "../common/errors.ts";
import type { AppEnv, ProblemDocument } from "../http/app-env.ts";
import { countRefusal } from "../http/middleware/admission.ts";
import { newRouter, noContent, problemSchema, problems } from "../http/openapi.ts";
import { problemResponse } from "../http/problem.ts";
import { parseJob } from "./jobs.ts";
import { jobsUrl } from "./publisher.ts";
import { isSigned } from "./signature.ts";

/** With this status, and the header, QStash gives a message up at once instead of delivering it again. */
const UNDELIVERABLE_STATUS = 489;
const NON_RETRYABLE_HEADER = "upstash-nonretryable-error";

export const jobRoutes = newRouter();

// Described by hand: a validator in front of the handler would read the body before its signature is known.
jobRoutes.openAPIRegistry.registerPath({
  method: "post",
  path: "/jobs",
  tags: ["Jobs"],
  summary: "Do a job (QStash only)",
  description:
    "Takes what `Upstash-Signature` proves to be sent by QStash to this address with this body. A job may be delivered any number of times. After 5xx it is delivered again, after 489 never. A delivery is never limited; what is not signed is, by its address, with `Retry-After` only where no `Upstash-Signature` came: QStash would take it for the time of its next delivery.",
  request: {
    body: {
      required: true,
      content: { "application/json": { schema: { type: "object", required: ["job", "payload"] } } },
    },
  },
  responses: {
    204: noContent,
    ...problems(400, 413),
    [UNDELIVERABLE_STATUS]: {
      description: "`validation_failed`: There is no such job",
      content: { "application/problem+json": { schema: problemSchema } },
    },
  },
});

jobRoutes.post("/jobs", async (c) => {
  const text = await c.req.text();
  if (!(await isDelivery(c, text))) return refuse(c);
  const parsed = parseJob(text);
  if (!parsed.ok) return undeliverable(c, parsed.reason);
  try {
    await c.var.services.dispatch(parsed.job);
    return c.body(null, 204);
  } catch (error) {
    if (error instanceof AppError && PROBLEMS[error.kind].status < 500) {
      return undeliverable(c, error.message);
    }
    return problemForQStash(error, c);
  }
});

function isDelivery(c: Context<AppEnv>, body: string): Promise<boolean> {
  const { config } = c.var;
  return isSigned(
    { signature: c.req.header("upstash-signature"), body, url: jobsUrl(config.PUBLIC_URL) },
    { current: config.QSTASH_CURRENT_SIGNING_KEY, next: config.QSTASH_NEXT_SIGNING_KEY },
  );
}

/** 401, until its network has sent too much that is no delivery: 429. */
async function refuse(c: Context<AppEnv>): Promise<Response> {
  try {
    const headers = await countRefusal(c, "unsigned-job");
    throw new AppError("unauthenticated", "This is not a delivery of QStash to this address", { headers });
  } catch (error) {
    // With the wrong signing keys in the settings it is QStash that is refused.
    return c.req.header("upstash-signature") === undefined
      ? problemResponse(error, c)
      : problemForQStash(error, c);
  }
}

/** QStash would take `Retry-After` for the time of its next delivery, and use up all of them within seconds or minutes. */
function problemForQStash(error: unknown, c: Context<AppEnv>): Response {
  const response = problemResponse(error, c);
  response.headers.delete("retry-after");
  return response;
}

/** The answer to a message that will be no better when it comes again. */
function undeliverable(c: Context<AppEnv>, detail: string): Response {
  const messageId = c.req.header("upstash-message-id") ?? null;
  c.var.log.warn("a job was refused for good", { detail, messageId });
  const document: ProblemDocument = {
    type: "/api/docs#problem-validation_failed",
    title: "The job cannot be done",
    status: UNDELIVERABLE_STATUS,
    detail,
    code: "validation_failed",
    requestId: c.var.requestId,
  };
  return new Response(JSON.stringify(document), {
    status: UNDELIVERABLE_STATUS,
    headers: {
      [NON_RETRYABLE_HEADER]: "true",
      "content-type": "application/problem+json",
      "cache-control": "no-store",
    },
  });
}
