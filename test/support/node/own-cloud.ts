/**
 * A local cloud that one file of tests has for itself, with a Worker: for tests that delay its gateways or read their
 * records, which would disturb, and be disturbed by, the files beside it.
 * @module
 */
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cloud, startCloud } from "../../../dev/cloud/cloud.ts";
import { migrate } from "../../../dev/cloud/migrate.ts";
import { FREE_PORTS } from "../../../dev/cloud/ports.ts";
import { type Choices, workerSettings } from "../../../dev/cloud/settings.ts";
import { type LiveWorker, startLiveWorker } from "./live-worker.ts";

export type OwnCloud = Cloud & { worker: LiveWorker };

/** Starts private servers, gateways and a Worker on free ports; the database has its tables and nothing in them. */
export async function startOwnCloud(choices: Choices): Promise<OwnCloud> {
  const cloud = await startCloud({
    dataDir: join(await mkdtemp(join(tmpdir(), "liveforum-own-")), "data"),
    ports: FREE_PORTS,
    own: {},
    qstashSpeed: 1,
    removeOnDeath: true,
    log: () => {},
    signal: new AbortController().signal,
  });
  try {
    const settings = workerSettings(
      cloud.secrets,
      // The Worker puts its own address in.
      { ...cloud, publicUrl: "" },
      // The machine may be busy: what is slow is not away.
      { CORS_ORIGINS: "", BCRYPT_COST: "4", REDIS_TIMEOUT_MS: "5000", ...choices },
    );
    await migrate(settings.DATABASE_URL);
    const worker = await startLiveWorker(settings);
    return {
      ...cloud,
      worker,
      close: async () => {
        await worker.close();
        await cloud.close();
      },
    };
  } catch (error) {
    await cloud.close();
    throw error;
  }
}
