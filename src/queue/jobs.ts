/**
 * The catalogue of jobs: what travels through QStash. A job is an order to look at a row and to bring something into
 * line with it, so it may arrive late, twice or out of order.
 * @module
 */
import { z } from "zod";

/** Every job by its name, with the shape of its payload. Names and shapes are kept: messages outlive a deployment. */
export const JOBS = {
  /** Brings notifications into line with a comment, a like or a post as it is now. `id` is that of the row. */
  "sync-notification": z.strictObject({
    source: z.enum(["comment", "like", "post"]),
    id: z.int().positive(),
  }),
} as const satisfies Record<string, z.ZodType>;

export type JobName = keyof typeof JOBS;
export type JobPayload<Name extends JobName> = z.infer<(typeof JOBS)[Name]>;
/** A job as it is sent: the JSON body of a message. */
export type Job = { [Name in JobName]: { job: Name; payload: JobPayload<Name> } }[JobName];

const envelopeSchema = z.strictObject({ job: z.string(), payload: z.unknown() });

/** A job, or why the text is none. */
export type ParsedJob = { ok: true; job: Job } | { ok: false; reason: string };

/** Reads the body of a message. */
export function parseJob(text: string): ParsedJob {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { ok: false, reason: "The body is not JSON" };
  }
  const envelope = envelopeSchema.safeParse(json);
  if (!envelope.success) return { ok: false, reason: "The body is not a job" };
  const { job: name, payload } = envelope.data;
  if (!isJobName(name)) return { ok: false, reason: "There is no job of this name" };
  const parsed = JOBS[name].safeParse(payload);
  if (!parsed.success) return { ok: false, reason: `The payload does not fit the job ${name}` };
  return { ok: true, job: { job: name, payload: parsed.data } };
}

function isJobName(name: string): name is JobName {
  return Object.hasOwn(JOBS, name);
}
