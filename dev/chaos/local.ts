/**
 * Chaos on a local cloud of its own, with the Worker as a process that can be killed.
 * @module
 */
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAccessTokens } from "../../src/auth/tokens.ts";
import { createRedis } from "../../src/cache/client.ts";
import { createMeter } from "../../src/common/meter.ts";
import { createDb } from "../../src/db/client.ts";
import { readConfig } from "../../src/env.ts";
import { BEARER_PROTOCOL_PREFIX, PING, type ServerFrame, SUBPROTOCOL } from "../../src/realtime/events.ts";
import { type Child, sleep } from "../cloud/child.ts";
import { startCloud } from "../cloud/cloud.ts";
import { fire } from "../cloud/cron.ts";
import { migrate } from "../cloud/migrate.ts";
import { claimPort, FREE_PORTS } from "../cloud/ports.ts";
import { CloudProblem } from "../cloud/problem.ts";
import { workerSettings } from "../cloud/settings.ts";
import { startWorker, workerHealth } from "../cloud/worker.ts";
import { castOf } from "./database.ts";
import { planOf } from "./plan.ts";
import { type Answer, type Connection, play, type Stage } from "./play.ts";
import { recover } from "./recover.ts";
import { wrongStatistics } from "./statistics.ts";
import { CHAOS_HEADER, FLUSH_PATH } from "./taps.ts";

const READY_WITHIN_MS = 90_000;
/** Whoever gets no answer takes it for lost. */
const ANSWER_WITHIN_MS = 20_000;
const OPEN_WITHIN_MS = 10_000;
const LONG_AGO = new Date("2001-01-01T00:00:00.000Z");
const EVERY_MINUTE = "* * * * *";

export type LocalChaos = {
  /**
   * Plays the plans of the seeds at the same time.
   * @param killAfterMs kills the Worker's runtime in the middle, and starts it again
   * @returns what is wrong in the end, by seed; under -1 what concerns all of them
   */
  run: (seeds: readonly number[], killAfterMs?: number) => Promise<Map<number, string[]>>;
  close: () => Promise<void>;
};

/** Starts servers, gateways and the Worker, on free ports and in a folder that goes with them. */
export async function startLocalChaos(signal: AbortSignal): Promise<LocalChaos> {
  const cloud = await startCloud({
    dataDir: join(await mkdtemp(join(tmpdir(), "liveforum-chaos-")), "data"),
    ports: FREE_PORTS,
    own: {},
    qstashSpeed: 60,
    removeOnDeath: true,
    log: () => {},
    signal,
  });
  const port = await claimPort("worker", 0);
  const url = `http://127.0.0.1:${port}`;
  const settings = workerSettings(
    cloud.secrets,
    { ...cloud, publicUrl: url },
    {
      CORS_ORIGINS: "",
      BCRYPT_COST: "4",
      RATE_LIMIT_SCALE: "0",
      REDIS_TIMEOUT_MS: "150",
      EFFECTS_PATIENCE_MS: "300",
      SWEEP_SECONDS: "60",
    },
  );
  const config = readConfig(settings);
  if (!config.ok) throw new Error(`bad settings: ${JSON.stringify(config.problems)}`);
  const db = createDb(settings.DATABASE_URL, createMeter());
  const redis = createRedis(
    {
      url: config.config.UPSTASH_REDIS_REST_URL,
      token: config.config.UPSTASH_REDIS_REST_TOKEN,
      timeoutMs: ANSWER_WITHIN_MS,
    },
    createMeter(),
  );
  const tokens = createAccessTokens(config.config.JWT_KEYS, url);
  let child: Child | undefined;
  /** Settles when the Worker serves. */
  let serving = Promise.resolve();

  async function start(): Promise<void> {
    const started = startWorker(
      cloud.folder,
      port,
      settings,
      () => {},
      "127.0.0.1",
      () => {},
      "dev/chaos/worker.ts",
    );
    child = started;
    const giveUpAt = Date.now() + READY_WITHIN_MS;
    while ((await workerHealth(url)) !== "ok") {
      signal.throwIfAborted();
      if (started.ended() || Date.now() > giveUpAt) {
        throw new CloudProblem("The Worker does not serve", "Its last lines are above", started.lastLines());
      }
      await sleep(100);
    }
  }

  async function kill(): Promise<void> {
    serving = (async () => {
      await child?.stop(0);
      await start();
    })();
    await serving;
  }

  const stage: Stage = {
    async send(actor, { method, path, json, key }, fault, isolate): Promise<Answer> {
      await serving;
      try {
        const response = await fetch(`${url}${path}`, {
          method,
          headers: {
            authorization: `Bearer ${actor.token}`,
            [CHAOS_HEADER]: JSON.stringify({ fault, isolate }),
            ...(json === undefined ? {} : { "content-type": "application/json" }),
            ...(key === undefined ? {} : { "idempotency-key": key }),
          },
          ...(json === undefined ? {} : { body: JSON.stringify(json) }),
          signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
        });
        const text = await response.text();
        // A Worker that died is answered for by wrangler, in plain text.
        if (response.status >= 500 && !text.startsWith("{")) return null;
        return { status: response.status, body: text === "" ? null : (JSON.parse(text) as unknown) };
      } catch {
        return null;
      }
    },
    join: (room, actor, position) => joinRoom(url, room, actor.token, position, () => serving),
    async flush(fault) {
      await serving;
      await fetch(`${url}${FLUSH_PATH}`, {
        headers: { [CHAOS_HEADER]: JSON.stringify({ fault, isolate: "flush-0" }) },
        signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
      }).catch(() => undefined);
    },
    // QStash delivers by itself.
    deliver: async () => undefined,
  };

  async function close(): Promise<void> {
    await child?.stop();
    await cloud.close();
  }

  try {
    await migrate(settings.DATABASE_URL);
    await start();
  } catch (error) {
    await close();
    throw error;
  }

  return {
    close,
    async run(seeds, killAfterMs) {
      const plans = seeds.map(planOf);
      const casts = await castOf(db, tokens, plans);
      const playing = Promise.all(
        plans.map(async (plan, index) => {
          const cast = casts[index];
          if (!cast) throw new Error("a plan without a cast");
          return { ...(await play(plan, cast, stage)), killed: killAfterMs !== undefined };
        }),
      );
      if (killAfterMs !== undefined) {
        await sleep(killAfterMs);
        await kill();
      }
      const wrong = await recover(await playing, {
        db,
        redis,
        send: stage.send,
        dueSince: LONG_AGO,
        sweep: () => fire(url, EVERY_MINUTE),
      });
      const outcome = new Map([...wrong].map(([{ plan }, lines]) => [plan.seed, lines]));
      const statistics = await wrongStatistics(db, casts);
      if (statistics.length > 0) outcome.set(-1, statistics);
      return outcome;
    },
  };
}

/** @returns undefined when the room is gone */
async function joinRoom(
  url: string,
  room: string,
  token: string,
  position: { epoch: string; after: number } | undefined,
  serving: () => Promise<void>,
): Promise<Connection | undefined> {
  const query = position ? `?epoch=${position.epoch}&after=${position.after}` : "";
  for (;;) {
    await serving();
    const frames: ServerFrame[] = [];
    let closed = false;
    const socket = new WebSocket(`${url.replace("http", "ws")}/api/rooms/${room}${query}`, [
      SUBPROTOCOL,
      `${BEARER_PROTOCOL_PREFIX}${token}`,
    ]);
    const ready = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), OPEN_WITHIN_MS);
      const end = (outcome: boolean) => {
        clearTimeout(timer);
        resolve(outcome);
      };
      // See dev/watch: workerd keeps the connection of a client that never sent anything.
      socket.addEventListener("open", () => socket.send(PING));
      socket.addEventListener("message", ({ data }) => {
        const frame = JSON.parse(String(data)) as ServerFrame;
        if (frame.type === "pong") return;
        frames.push(frame);
        end(true);
      });
      socket.addEventListener("close", () => {
        closed = true;
        end(false);
      });
      socket.addEventListener("error", () => end(false));
    });
    if (ready) return { frames, closed: () => closed, drop: () => socket.close() };
    socket.close();
    // A failed upgrade says nothing; the same question by REST says why.
    const answer = await fetch(`${url}/api/rooms/${room}/events?wait=0`, {
      headers: { authorization: `Bearer ${token}` },
    }).catch(() => undefined);
    if (answer && answer.status < 500 && !answer.ok) return undefined;
    await sleep(100);
  }
}
