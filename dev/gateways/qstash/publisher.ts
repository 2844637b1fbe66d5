/**
 * Taking messages in: publish, enqueue, batch, and everything the gateway publishes by itself.
 * @module
 */
import { createHash } from "node:crypto";
import type { Database } from "./database.ts";
import { registerFlowControl } from "./flow-control.ts";
import type { CallHeaders, HeaderMap } from "./headers.ts";
import type { Lanes } from "./lanes.ts";
import { insertMessage, newId } from "./messages.ts";
import { isDestinationUrl, parseMessage, type MessageOptions } from "./options.ts";
import { QstashProblem } from "./problem.ts";
import { ensureQueue } from "./queues.ts";
import { groupEndpoints } from "./url-groups.ts";

export type Publication = {
  /** A URL, kept character for character, or the name of a URL group. */
  destination: string;
  options: MessageOptions;
  header: HeaderMap;
  body: Uint8Array;
  callerIp: string;
  queueName?: string | null;
  scheduleId?: string | null;
  /** The place in a queue that a callback keeps for the message it reports on. */
  held?: { queue: string; slot: string } | undefined;
};

/** As the API answers it. `url` is present for the endpoints of a URL group. */
export type Published = { messageId: string; deduplicated?: true; url?: string };

/** One address a publication goes to. */
export type Target = { url: string; topicName?: string | null; endpointName?: string | null };

type PublisherOptions = {
  db: Database;
  lanes: Lanes;
  /** Divides delays. */
  speed: number;
  deduplicationWindowMs: number;
  maxMessageBytes: number;
  wake: () => void;
};

export function createPublisher({
  db,
  lanes,
  speed,
  deduplicationWindowMs,
  maxMessageBytes,
  wake,
}: PublisherOptions) {
  /**
   * Stores the message, or one per endpoint of a URL group, in one transaction.
   * @throws QstashProblem 400 (destination), 404 (URL group) or 413.
   */
  function publish(publication: Publication): Published | Published[] {
    if (publication.body.length > maxMessageBytes) {
      throw new QstashProblem(413, `message is larger than ${maxMessageBytes} bytes`);
    }
    const { destination } = publication;
    return db.transaction(() => {
      if (destination.includes("://")) {
        if (!isDestinationUrl(destination)) throw badDestination();
        return publishTo({ url: destination }, publication);
      }
      if (!/^[\w.-]+$/.test(destination)) throw badDestination();
      return groupEndpoints(db, destination).map((endpoint) => {
        const target: Target = { url: endpoint.url, topicName: destination, endpointName: endpoint.name };
        return { ...publishTo(target, publication), url: endpoint.url };
      });
    });
  }

  /** Stores one message, unless it was published before within the deduplication window. */
  function publishTo(target: Target, publication: Publication): Published {
    const now = Date.now();
    const key = deduplicationKey(target, publication);
    if (key !== undefined) {
      const known = db.get<{ message_id: string }>(
        "SELECT message_id FROM deduplications WHERE key = ? AND expires_at > ?",
        key,
        now,
      );
      if (known) return { messageId: known.message_id, deduplicated: true };
    }
    const { options, queueName } = publication;
    const id = newId("msg");
    const notBefore = Math.max(now, options.notBefore ?? now + (options.delayMs ?? 0));
    if (queueName) ensureQueue(db, queueName, now);
    if (options.flowControl) registerFlowControl(db, options.flowControl);
    insertMessage(db, {
      ...publication,
      ...target,
      id,
      createdAt: now,
      notBefore,
      start:
        queueName && notBefore <= now
          ? { queueOrder: lanes.nextOrder() }
          : { dueAt: Math.round(now + (notBefore - now) / speed) },
    });
    if (key !== undefined) {
      db.run(
        `INSERT INTO deduplications VALUES (?, ?, ?)
         ON CONFLICT (key) DO UPDATE SET message_id = excluded.message_id, expires_at = excluded.expires_at`,
        key,
        id,
        now + deduplicationWindowMs,
      );
    }
    lanes.touchQueue(queueName ?? null);
    // It may have brought a higher limit, which lets those in that wait.
    lanes.touchFlow(options.flowControl?.key ?? null);
    wake();
    return { messageId: id };
  }

  /** `POST /v2/batch`: every item by itself, so that a bad one does not hold up the others. */
  function publishBatch(items: unknown, callerIp: string): (Published | Published[] | { error: string })[] {
    if (!Array.isArray(items)) throw new QstashProblem(400, "the body must be an array of messages");
    return db.transaction(() =>
      items.map((item: unknown) => {
        try {
          return publish(batchItem(item, callerIp));
        } catch (error) {
          if (error instanceof QstashProblem) return { error: error.message };
          throw error;
        }
      }),
    );
  }

  return { publish, publishTo, publishBatch };
}

export type Publisher = ReturnType<typeof createPublisher>;

function badDestination(): QstashProblem {
  return new QstashProblem(400, "invalid destination url: endpoint must start with http:// or https://");
}

function byName([left]: [string, unknown], [right]: [string, unknown]): number {
  return left < right ? -1 : 1;
}

function batchItem(item: unknown, callerIp: string): Publication {
  const { destination, headers, body, queue } = (item ?? {}) as Record<string, unknown>;
  if (typeof destination !== "string") throw new QstashProblem(400, "destination is missing");
  if (body !== undefined && body !== null && typeof body !== "string") {
    throw new QstashProblem(400, "body must be a string");
  }
  const given: CallHeaders = {};
  for (const [name, value] of Object.entries((headers ?? {}) as Record<string, unknown>)) {
    given[name.toLowerCase()] = Array.isArray(value) ? value.join(", ") : String(value);
  }
  return {
    destination,
    ...parseMessage(given),
    body: Buffer.from(body ?? "", "utf8"),
    callerIp,
    queueName: typeof queue === "string" && queue !== "" ? queue : null,
  };
}

/** An endpoint of a URL group counts as a destination of its own, or the first would shut out the rest. */
function deduplicationKey(
  target: Target,
  { options, header, body, destination }: Publication,
): string | undefined {
  const scope = target.topicName ? ` ${target.topicName} ${target.url}` : "";
  if (options.deduplicationId !== undefined) return `id ${options.deduplicationId}${scope}`;
  if (!options.contentBasedDeduplication) return undefined;
  const hash = createHash("sha256").update(
    JSON.stringify([destination, Object.entries(header).sort(byName)]),
  );
  return `content ${hash.update(body).digest("hex")}${scope}`;
}
