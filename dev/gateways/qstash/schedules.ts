/**
 * `/v2/schedules` and their firing.
 * @module
 */
import { Cron } from "croner";
import type { Database } from "./database.ts";
import type { CallHeaders } from "./headers.ts";
import {
  describeContent,
  describeOptions,
  messageOptions,
  newId,
  present,
  storedHeader,
  type Outcome,
} from "./messages.ts";
import { isDestinationUrl, parseMessage } from "./options.ts";
import { QstashProblem } from "./problem.ts";
import type { Publisher } from "./publisher.ts";

type ScheduleRow = {
  id: string;
  destination: string;
  cron: string;
  header: string;
  body: Uint8Array;
  options: string;
  queue_name: string | null;
  caller_ip: string;
  created_at: number;
  paused: number;
  last_time: number | null;
  last_message_ids: string;
  cron_time: number;
  due_at: number;
};

const DEFAULT_RETRIES = 3;

type ScheduleOptions = {
  db: Database;
  publisher: Publisher;
  /** Divides the time between two firings. */
  speed: number;
  wake: () => void;
};

export function createSchedules({ db, publisher, speed, wake }: ScheduleOptions) {
  /**
   * The next firing after `cronTime`. At a speed above 1 the schedule lives ahead of the clock: it goes from one
   * moment of its expression to the next, only sooner. At speed 1 firings missed while the gateway was down are
   * made up for by one.
   */
  function nextFiring(cron: string, cronTime: number, now: number): { cronTime: number; dueAt: number } {
    const from = Math.max(cronTime, now);
    const next = nextTime(cron, from);
    return { cronTime: next, dueAt: Math.round(now + (next - from) / speed) };
  }

  function find(id: string): ScheduleRow {
    const row = db.get<ScheduleRow>("SELECT * FROM schedules WHERE id = ?", id);
    if (!row) throw new QstashProblem(404, `schedule ${id} not found`);
    return row;
  }

  function describe(row: ScheduleRow): Record<string, unknown> {
    const options = messageOptions(row);
    return {
      scheduleId: row.id,
      cron: row.cron,
      destination: row.destination,
      method: options.method ?? "POST",
      ...describeContent(row, options.redaction),
      createdAt: row.created_at,
      retries: options.retries ?? DEFAULT_RETRIES,
      isPaused: row.paused === 1,
      callerIP: row.caller_ip,
      ...present({
        delay: options.delayMs === undefined ? undefined : options.delayMs / 1000,
        queueName: row.queue_name,
        lastScheduleTime: row.last_time,
        nextScheduleTime: row.paused ? undefined : row.due_at,
      }),
      lastScheduleStates: lastStates(row),
      ...describeOptions(options),
    };
  }

  function lastStates(row: ScheduleRow): Record<string, string> {
    const messages = db.all<{ id: string; outcome: Outcome | null }>(
      "SELECT id, outcome FROM messages WHERE id IN (SELECT value FROM json_each(?))",
      row.last_message_ids,
    );
    return Object.fromEntries(messages.map(({ id, outcome }) => [id, STATES[outcome ?? "none"]]));
  }

  function fire(row: ScheduleRow, now: number): void {
    let messageIds: string[] = [];
    try {
      const published = publisher.publish({
        destination: row.destination,
        options: messageOptions(row),
        header: storedHeader(row),
        body: row.body,
        callerIp: row.caller_ip,
        queueName: row.queue_name,
        scheduleId: row.id,
      });
      messageIds = (Array.isArray(published) ? published : [published]).map(({ messageId }) => messageId);
    } catch (error) {
      if (!(error instanceof QstashProblem)) throw error;
      console.warn(`schedule ${row.id} published nothing: ${error.message}`);
    }
    const next = nextFiring(row.cron, row.cron_time, now);
    db.run(
      "UPDATE schedules SET last_time = ?, last_message_ids = ?, cron_time = ?, due_at = ? WHERE id = ?",
      now,
      JSON.stringify(messageIds),
      next.cronTime,
      next.dueAt,
      row.id,
    );
  }

  return {
    /**
     * Creates a schedule, or replaces the one with this `Upstash-Schedule-Id` completely.
     * @throws QstashProblem 400.
     */
    create(
      destination: string,
      headers: CallHeaders,
      body: Uint8Array,
      callerIp: string,
    ): { scheduleId: string } {
      const cron = headers["upstash-cron"]?.trim() ?? "";
      const id = headers["upstash-schedule-id"] ?? newId("scd");
      if (!/^[\w.-]+$/.test(id)) {
        throw new QstashProblem(
          400,
          "schedule ids can only contain alphanumeric characters, hyphens, periods and underscores",
        );
      }
      if (destination.includes("://") ? !isDestinationUrl(destination) : !/^[\w.-]+$/.test(destination)) {
        throw new QstashProblem(400, "invalid destination url: endpoint must start with http:// or https://");
      }
      const { options, header } = parseMessage(headers);
      const now = Date.now();
      const next = nextFiring(cron, now, now);
      db.run(
        `INSERT OR REPLACE INTO schedules
           (id, destination, cron, header, body, options, queue_name, caller_ip, created_at, cron_time, due_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        id,
        destination,
        cron,
        JSON.stringify(header),
        body,
        JSON.stringify(options),
        headers["upstash-queue-name"] ?? null,
        callerIp,
        now,
        next.cronTime,
        next.dueAt,
      );
      wake();
      return { scheduleId: id };
    },

    list: () =>
      db.all<ScheduleRow>("SELECT * FROM schedules ORDER BY created_at, id").map((row) => describe(row)),

    /** @throws QstashProblem 404. */
    get: (id: string) => describe(find(id)),

    remove(id: string): void {
      db.run("DELETE FROM schedules WHERE id = ?", id);
    },

    /** @throws QstashProblem 404. */
    pause(id: string): void {
      find(id);
      db.run("UPDATE schedules SET paused = 1 WHERE id = ?", id);
    },

    /** Firings missed during the pause are not made up for. @throws QstashProblem 404. */
    resume(id: string): void {
      const row = find(id);
      if (!row.paused) return;
      const now = Date.now();
      const next = nextFiring(row.cron, now, now);
      db.run(
        "UPDATE schedules SET paused = 0, cron_time = ?, due_at = ? WHERE id = ?",
        next.cronTime,
        next.dueAt,
        id,
      );
      wake();
    },

    fireDue(now: number): void {
      const rows = db.all<ScheduleRow>("SELECT * FROM schedules WHERE paused = 0 AND due_at <= ?", now);
      for (const row of rows) fire(row, now);
    },

    /** When the next one fires; Infinity when there is none. */
    nextDueAt: (): number =>
      db.get<{ at: number | null }>("SELECT MIN(due_at) AS at FROM schedules WHERE paused = 0")?.at ??
      Infinity,
  };
}

export type Schedules = ReturnType<typeof createSchedules>;

const STATES = { DELIVERED: "SUCCESS", FAILED: "FAIL", CANCELLED: "FAIL", none: "IN_PROGRESS" } as const;

/**
 * The first moment after `from` that the expression names: five fields in UTC, or in the zone of a leading `CRON_TZ=`.
 * @throws QstashProblem 400 when it is no such expression or names no moment.
 */
function nextTime(cron: string, from: number): number {
  const [, timezone = "UTC", pattern = ""] = /^(?:CRON_TZ=(\S+)\s+)?(.*)$/.exec(cron) ?? [];
  let next: Date | null;
  try {
    next = new Cron(pattern, { timezone, mode: "5-part" }).nextRun(new Date(from));
  } catch (error) {
    throw new QstashProblem(400, `invalid cron: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!next) throw new QstashProblem(400, "invalid cron: it never fires");
  return next.getTime();
}
