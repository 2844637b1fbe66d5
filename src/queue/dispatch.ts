/**
 * Hands a job to whoever does it.
 * @module
 */
import type { Job, JobName, JobPayload } from "./jobs.ts";

/** What does each job. A handler that rejects makes QStash deliver again, unless it rejects with a refusal (`AppError` below 500). */
export type JobHandlers = { [Name in JobName]: (payload: JobPayload<Name>) => Promise<void> };

/** Does one job. Rejects with whatever its handler rejects with. */
export type Dispatch = (job: Job) => Promise<void>;

export function createDispatch(handlers: JobHandlers): Dispatch {
  return ({ job, payload }) => handlers[job](payload);
}
