/**
 * Starts what the suite runs on: a local cloud of its own on free ports, once for all projects.
 * @module
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TestProject } from "vitest/node";
import { startCloud } from "../../../dev/cloud/cloud.ts";
import { migrate } from "../../../dev/cloud/migrate.ts";
import { FREE_PORTS } from "../../../dev/cloud/ports.ts";
import { workerSettings } from "../../../dev/cloud/settings.ts";
import { copyDocsAssets } from "../../../dev/docs-assets.ts";
import type { CloudAddresses } from "../provided.ts";
import { startRecorder } from "./recorder.ts";

/** Divides the waits between QStash's retries. */
const QSTASH_SPEED = 60;
const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../../..");

/** @returns the tear-down */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  copyDocsAssets();
  // A folder of its own for each run: several may go on at a time, and each starts empty.
  const dataDir = join(ROOT, ".local", `test-${process.pid}`);
  const stop = new AbortController();
  const cloud = await startCloud({
    dataDir,
    ports: FREE_PORTS,
    qstashSpeed: QSTASH_SPEED,
    removeOnDeath: true,
    log: (line) => console.log(`[cloud] ${line}`),
    signal: stop.signal,
  });
  const settings: Record<string, string> = {
    ...workerSettings(cloud.secrets, {
      planetscaleUrl: cloud.planetscaleUrl,
      upstashUrl: cloud.upstashUrl,
      qstashUrl: cloud.qstashUrl,
      publicUrl: "http://liveforum.test",
      corsOrigins: ["http://localhost:3000"],
      rateLimitScale: 0,
      bcryptCost: 4,
    }),
    // The suite keeps both cores busy: what is slow is not away.
    REDIS_TIMEOUT_MS: "5000",
  };
  // Wrangler looks for the required secrets here too, and would complain of each file of tests.
  Object.assign(process.env, settings);
  await migrate(settings.DATABASE_URL ?? "");
  const recorder = await startRecorder();
  const { mysql } = cloud;
  const addresses: CloudAddresses = {
    settings,
    planetscale: cloud.planetscaleUrl,
    upstash: cloud.upstashUrl,
    qstash: cloud.qstashUrl,
    recorder: recorder.url,
    mysql: `mysql://${mysql.user}:${mysql.password}@${mysql.host}:${mysql.port}/${mysql.database}`,
    redis: cloud.redisUrl,
  };
  project.provide("cloud", addresses);
  return async () => {
    await recorder.close();
    await cloud.close();
  };
}
