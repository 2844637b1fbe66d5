/**
 * Starts what the suite runs on: a local cloud of its own on free ports, once for all projects.
 * @module
 */
import { randomInt } from "node:crypto";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TestProject } from "vitest/node";
import { type Cloud, startCloud } from "../../../dev/cloud/cloud.ts";
import { openDataFolder } from "../../../dev/cloud/data-folder.ts";
import { migrate } from "../../../dev/cloud/migrate.ts";
import { ownServers } from "../../../dev/cloud/own-servers.ts";
import { FREE_PORTS } from "../../../dev/cloud/ports.ts";
import { CloudProblem } from "../../../dev/cloud/problem.ts";
import { birthOf } from "../../../dev/cloud/processes.ts";
import { workerSettings } from "../../../dev/cloud/settings.ts";
import { copyDocsAssets } from "../../../dev/docs-assets.ts";
import type { CloudAddresses } from "../provided.ts";
import { lookAndClose } from "./leaks/cloud.ts";
import { createSearch, refuseLeaks, secretsOf, unmistakableSecrets } from "./leaks/search.ts";
import { TEST_LOG } from "./log-keeper.ts";
import { isolate } from "./own-servers.ts";
import { startRecorder } from "./recorder.ts";

/** Divides the waits between QStash's retries. */
const QSTASH_SPEED = 60;
/** Spoilt requests and frames in one run of the suite. */
const BAD_INPUT_CASES = 22_000;
const LOCAL = fileURLToPath(new URL("../../../.local", import.meta.url));

/** @returns the tear-down */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  copyDocsAssets();
  await removeAbandoned();
  const { own, remove } = await isolate(ownServers(process.env));
  let cloud: Cloud;
  try {
    cloud = await startCloud({
      // A folder of its own for each run: several may go on at a time, and each starts empty.
      dataDir: join(LOCAL, `test-${process.pid}`),
      ports: FREE_PORTS,
      own,
      secrets: unmistakableSecrets(),
      qstashSpeed: QSTASH_SPEED,
      removeOnDeath: true,
      log: (line) => console.log(`[cloud] ${line}`),
      // An interrupted run ends without a tear-down: the data folder's watchdog cleans up.
      signal: new AbortController().signal,
    });
  } catch (error) {
    await remove();
    if (error instanceof CloudProblem) console.error(error.logLines.join("\n"));
    throw error;
  }
  void cloud.failed.then((problem) => {
    console.error(`[cloud] ${problem.message}\n${problem.logLines.join("\n")}`);
  });
  const recorder = await startRecorder();
  const settings = suiteSettings(cloud, recorder.url);
  shieldEnvironment(settings);
  await migrate(settings.DATABASE_URL);
  const { mysql } = cloud;
  const addresses: CloudAddresses = {
    settings,
    planetscale: cloud.planetscaleUrl,
    upstash: cloud.upstashUrl,
    qstash: cloud.qstashUrl,
    recorder: recorder.url,
    mysql: `mysql://${encodeURIComponent(mysql.user)}:${encodeURIComponent(mysql.password)}@${mysql.host}:${mysql.port}/${mysql.database}`,
    redis: cloud.redisUrl,
  };
  project.provide("cloud", addresses);
  project.provide("badInput", {
    cases: Number(process.env["BAD_INPUT_CASES"] ?? BAD_INPUT_CASES),
    seed: Number(process.env["BAD_INPUT_SEED"] ?? randomInt(2 ** 31)),
  });
  process.env[TEST_LOG] = cloud.folder.logFile("tests");
  return async () => {
    await recorder.close();
    const search = createSearch(secretsOf(settings));
    try {
      await lookAndClose(cloud, search);
    } finally {
      await remove();
    }
    // An error here is an error of the run.
    refuseLeaks(search);
  };
}

/** A run that went with the machine, or before it had a watchdog, leaves its folder to the next. */
async function removeAbandoned(): Promise<void> {
  mkdirSync(LOCAL, { recursive: true });
  for (const name of readdirSync(LOCAL)) {
    const [, owner] = /^test-(\d+)$/.exec(name) ?? [];
    if (owner === undefined || birthOf(Number(owner)) !== undefined) continue;
    try {
      (await openDataFolder(join(LOCAL, name), { removeOnDeath: true })).release();
    } catch {
      // Somebody else is at it.
    }
  }
}

/** The Worker of the suite cannot be reached from outside: what QStash delivers to it ends at the recorder, at once. */
function suiteSettings(cloud: Cloud, recorder: string) {
  return workerSettings(
    cloud.secrets,
    {
      planetscaleUrl: cloud.planetscaleUrl,
      upstashUrl: cloud.upstashUrl,
      qstashUrl: cloud.qstashUrl,
      publicUrl: recorder,
    },
    {
      CORS_ORIGINS: "http://localhost:3000",
      RATE_LIMIT_SCALE: "0",
      BCRYPT_COST: "4",
      // The suite keeps both cores busy: what is slow is not away.
      REDIS_TIMEOUT_MS: "5000",
      // Tests that wait for the work behind an answer do not wait long for what cannot succeed.
      EFFECTS_PATIENCE_MS: "1000",
      SWEEP_SECONDS: "60",
    },
  );
}

/** What the user exported for deployments has no say here; wrangler looks for the required secrets here too. */
function shieldEnvironment(settings: Record<string, string>): void {
  for (const name of Object.keys(process.env)) {
    if (name.startsWith("CLOUDFLARE_")) delete process.env[name];
  }
  // Else wrangler tells of each file of tests where its settings come from.
  Object.assign(process.env, settings, { WRANGLER_LOG: "error" });
}
