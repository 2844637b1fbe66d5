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
import { lookAndClose } from "./leaks/cloud.ts";
import {
  createSearch,
  type Kind,
  refuseLeaks,
  type Search,
  secretsOf,
  unmistakableSecrets,
} from "./leaks/search.ts";
import { type LiveWorker, startLiveWorker } from "./live-worker.ts";

export type OwnCloud = Omit<Cloud, "close"> & {
  worker: LiveWorker;
  /** Looks at everything when the cloud is closed. */
  search: Search;
  /** @throws when anything that was stored or logged holds secrets */
  close: () => Promise<void>;
};

/** Starts private servers and gateways on free ports, with secrets that can be searched for. */
export async function startPrivateCloud(): Promise<Cloud> {
  return startCloud({
    dataDir: join(await mkdtemp(join(tmpdir(), "liveforum-own-")), "data"),
    ports: FREE_PORTS,
    own: {},
    secrets: unmistakableSecrets(),
    qstashSpeed: 1,
    removeOnDeath: true,
    log: () => {},
    signal: new AbortController().signal,
  });
}

/**
 * Starts private servers, gateways and a Worker on free ports; the database has its tables and nothing in them.
 * @param kinds of what must not be stored or logged, beside what never may
 */
export async function startOwnCloud(choices: Choices, kinds: readonly Kind[] = []): Promise<OwnCloud> {
  const cloud = await startPrivateCloud();
  try {
    const settings = workerSettings(
      cloud.secrets,
      // The Worker puts its own address in.
      { ...cloud, publicUrl: "" },
      // The machine may be busy: what is slow is not away.
      { CORS_ORIGINS: "", BCRYPT_COST: "4", REDIS_TIMEOUT_MS: "5000", ...choices },
    );
    await migrate(settings.DATABASE_URL);
    const search = createSearch([...secretsOf(settings), ...kinds]);
    const worker = await startLiveWorker(settings, search);
    return {
      ...cloud,
      worker,
      search,
      close: async () => {
        try {
          await worker.close();
        } finally {
          await lookAndClose(cloud, search);
        }
        refuseLeaks(search);
      },
    };
  } catch (error) {
    await cloud.close();
    throw error;
  }
}
