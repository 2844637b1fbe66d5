/**
 * Sends jobs through QStash. Nothing here throws: the caller learns from the outcome that QStash was not reached and
 * leaves its effect due, so that a sweep sends the job again.
 * @module
 */
import { Client } from "@upstash/qstash";
import type { Logger } from "../common/logger.ts";
import type { Meter } from "../common/meter.ts";
import { DONE, type Outcome, UNAVAILABLE, within } from "../common/retry.ts";
import type { JobName, JobPayload } from "./jobs.ts";

/** `done`: QStash has the job and delivers it at least once. */
export type Queued = Outcome;

export type JobPublisher = {
  /**
   * Sends one job. One call to QStash.
   * @param occasion what gave rise to it, such as a revision of the row: QStash takes the same job for the same
   * occasion once in ten minutes
   */
  publish: <Name extends JobName>(
    name: Name,
    payload: JobPayload<Name>,
    occasion: string | number,
  ) => Promise<Queued>;
};

export type JobPublisherOptions = {
  /** QStash, without a trailing slash. */
  url: string;
  token: string;
  /** Where this Worker is reached, without a trailing slash. */
  publicUrl: string;
};

/** Longest wait for QStash to take a job, the second try included. */
const PUBLISH_TIMEOUT_MS = 3_000;
/** QStash is asked once more, after this time, when the connection failed. */
const RETRY_BACKOFF_MS = 100;
/** Longest that QStash waits for a job to be done. */
const JOB_TIMEOUT_SECONDS = 30;
/**
 * Milliseconds between deliveries: 1 s, 12 s, 2.4 min, 29 min, 5.8 h, then a day. Soon after a Worker that died, and
 * patient with an outage. How many there are is the plan's maximum.
 */
const RETRY_DELAY = "min(86400000, 1000 * pow(12, retried))";

/** Where QStash delivers jobs: what its signatures are made for. */
export function jobsUrl(publicUrl: string): string {
  return `${publicUrl}/api/jobs`;
}

export function createJobPublisher(options: JobPublisherOptions, meter: Meter, log: Logger): JobPublisher {
  const client = new Client({
    baseUrl: options.url,
    token: options.token,
    devMode: false,
    enableTelemetry: false,
    retry: { retries: 1, backoff: () => RETRY_BACKOFF_MS },
  });
  return {
    async publish(name, payload, occasion) {
      try {
        await meter.measure("qstash", () =>
          // The SDK takes no signal.
          within(
            PUBLISH_TIMEOUT_MS,
            "QStash",
            client.publishJSON({
              url: jobsUrl(options.publicUrl),
              body: { job: name, payload },
              deduplicationId: deduplicationId(name, payload, occasion),
              retryDelay: RETRY_DELAY,
              timeout: JOB_TIMEOUT_SECONDS,
              label: name,
            }),
          ),
        );
        return DONE;
      } catch (error) {
        log.error("a job could not be sent", error, { job: name });
        return UNAVAILABLE;
      }
    },
  };
}

function deduplicationId(name: JobName, payload: object, occasion: string | number): string {
  return [name, ...Object.values(payload).map(String), String(occasion)].join("-");
}
