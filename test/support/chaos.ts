/**
 * Runs of chaos inside workerd, many at a time: the Worker's own code in the test's isolate with a tap before each of its
 * upstreams, the real rooms, database and Redis behind them.
 * @module
 */
import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { castOf } from "../../dev/chaos/database.ts";
import { type Fault, planOf } from "../../dev/chaos/plan.ts";
import {
  type Actor,
  type Answer,
  type Cast,
  play,
  type Request as Wanted,
  type Stage,
} from "../../dev/chaos/play.ts";
import { installTaps } from "../../dev/chaos/taps.ts";
import { wrongStatistics } from "../../dev/chaos/statistics.ts";
import { recover } from "../../dev/chaos/recover.ts";
import { createApp } from "../../src/app.ts";
import { createAccessTokens } from "../../src/auth/tokens.ts";
import { createBackgroundQueue } from "../../src/common/background.ts";
import { createLogger } from "../../src/common/logger.ts";
import { createMeter } from "../../src/common/meter.ts";
import { readConfig } from "../../src/env.ts";
import { SCHEDULE } from "../../src/scheduled.ts";
import { buildServices } from "../../src/services.ts";
import { db, redis } from "./database.ts";
import { signature } from "./jobs.ts";
import { upgradeRequest } from "./rooms.ts";
import { TestSocket } from "./sockets.ts";

/** What is due of chaos is due since then, and swept by a clock of this time: other files' effects are left alone. */
const LONG_AGO = new Date("2001-01-01T00:00:00.000Z");
const SWEPT_AT = new Date("2001-01-01T12:00:00.000Z");
const SETTINGS = { REDIS_TIMEOUT_MS: "100", EFFECTS_PATIENCE_MS: "300" };

/** A delivery that takes longer goes on while other things happen. */
const DELIVERY_PATIENCE_MS = 300;

const app = createApp();
const settings = readConfig(env);
if (!settings.ok) throw new Error("bad settings");
const { config } = settings;
const tokens = createAccessTokens(config.JWT_KEYS, config.PUBLIC_URL);

type Job = { body: string };

/** Jobs that wait for delivery, by the run that they are of. */
const queues = new Map<string, Job[]>();
const taken = new Set<string>();

function queueOf(run: string): Job[] {
  const queue = queues.get(run) ?? [];
  queues.set(run, queue);
  return queue;
}

// For good: who was left behind by a run still calls somebody when the next is under way.
const taps = installTaps({
  env: { ...env, ...SETTINGS },
  takeJob({ body, deduplicationId, isolate }) {
    // As QStash does, for ten minutes.
    if (taken.has(deduplicationId)) return;
    taken.add(deduplicationId);
    queueOf(isolate.replace(/-\d+$/, "")).push({ body });
  },
});

/** Plays the plans of the seeds at the same time. @returns what is wrong in the end, by seed; a seed without is not named */
export async function runChaos(seeds: readonly number[]): Promise<Map<number, string[]>> {
  let calm = false;
  const complaints: string[] = [];

  async function fetchTapped(
    request: Request,
    fault: Fault | null,
    isolate: string,
  ): Promise<Response | null> {
    const tapped = taps.tap(fault, isolate, () => calm);
    const context = createExecutionContext();
    return Promise.race([app.fetch(request, tapped.env, context), tapped.died.then(() => null)]);
  }

  async function send(
    actor: Actor,
    { method, path, json, key }: Wanted,
    fault: Fault | null,
    isolate: string,
  ): Promise<Answer> {
    const request = new Request(`${config.PUBLIC_URL}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${actor.token}`,
        ...(json === undefined ? {} : { "content-type": "application/json" }),
        ...(key === undefined ? {} : { "idempotency-key": key }),
      },
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    });
    const response = await fetchTapped(request, fault, isolate);
    if (!response) return null;
    const text = await response.text();
    return { status: response.status, body: text === "" ? null : JSON.parse(text) };
  }

  /** Delivers a job; one that was not done comes again. */
  async function deliver(queue: Job[], job: Job, fault: Fault | null): Promise<void> {
    const request = new Request(`${config.PUBLIC_URL}/api/jobs`, {
      method: "POST",
      headers: { "content-type": "application/json", "upstash-signature": await signature(job.body) },
      body: job.body,
    });
    const response = await fetchTapped(request, fault, "jobs-0");
    if (response?.status === 489) complaints.push(`a job was refused: ${job.body}`);
    if (response?.status !== 204) queue.push(job);
  }

  function stageOf(seed: number): Stage {
    const queue = queueOf(`run-${seed >>> 0}`);
    return {
      send,
      async join(room, actor, position, fault) {
        const knock = (fault: Fault | null) =>
          fetchTapped(upgradeRequest(room, actor.token, position), fault, "listener-0");
        let response = await knock(fault);
        if (!response?.webSocket && fault) response = await knock(null);
        if (!response?.webSocket) return undefined;
        const socket = new TestSocket(response.webSocket);
        await socket.next("ready");
        return {
          frames: socket.frames,
          closed: () => socket.closed !== undefined,
          drop: () => socket.close(),
        };
      },
      async deliver(count, fault) {
        const taken = queue.splice(0, count);
        // The first of them twice at once.
        const deliveries = [...taken, ...taken.slice(0, 1)].map((job, index) =>
          deliver(queue, job, index === 0 ? fault : null),
        );
        const patience = new Promise((resolve) => setTimeout(resolve, DELIVERY_PATIENCE_MS));
        await Promise.race([Promise.all(deliveries), patience]);
      },
      async flush(fault) {
        const tapped = taps.tap(fault, "flush-0", () => calm);
        const services = servicesOf(tapped.env);
        services.redis.relax();
        await Promise.race([services.flushViews().catch(() => undefined), tapped.died]);
      },
    };
  }

  function servicesOf(tapped: object, now = () => new Date()) {
    const log = createLogger({ chaos: true });
    const queue = createBackgroundQueue((promise) => void promise, log);
    queue.start();
    const { background, effects } = queue;
    return buildServices(configOf(tapped), {
      env: tapped as WorkerBindings,
      meter: createMeter(),
      log,
      background,
      effects,
      now,
    });
  }

  async function sweep(): Promise<void> {
    const tapped = taps.tap(null, "sweep-0");
    const [then, now] = [servicesOf(tapped.env, () => SWEPT_AT), servicesOf(tapped.env)];
    const isDue = ({ label, sweep }: { label: string; sweep?: true }) =>
      sweep && label !== "tell of notifications";
    await Promise.all(
      (SCHEDULE["* * * * *"] ?? []).map(async (task) => {
        try {
          await task.run(isDue(task) ? then : now);
        } catch (error) {
          console.error("a sweep failed", task.label, error);
        }
      }),
    );
  }

  async function deliverAll(): Promise<void> {
    for (let left = 10; left > 0 && [...queues.values()].some(({ length }) => length > 0); left -= 1) {
      await Promise.all(
        [...queues.values()].flatMap((queue) => queue.splice(0).map((job) => deliver(queue, job, null))),
      );
    }
  }

  const plans = seeds.map(planOf);
  const casts = await castOf(db, tokens, plans);
  const histories = await Promise.all(
    plans.map(async (plan, index) => play(plan, casts[index] as Cast, stageOf(plan.seed))),
  );
  calm = true;
  const wrong = await recover(histories, {
    db,
    redis,
    send,
    dueSince: LONG_AGO,
    async sweep() {
      await sweep();
      await deliverAll();
    },
  });
  const outcome = new Map([...wrong].map(([{ plan }, lines]) => [plan.seed, lines]));
  complaints.push(...(await wrongStatistics(db, casts)));
  if (complaints.length > 0) outcome.set(-1, complaints);
  return outcome;
}

function configOf(tapped: object) {
  const read = readConfig(tapped);
  if (!read.ok) throw new Error("bad settings");
  return read.config;
}
