/**
 * The Worker under wrangler on the suite's local cloud, for tests from outside: real sockets, real restarts.
 * @module
 */
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inject } from "vitest";
import { sleep } from "../../../dev/cloud/child.ts";
import { openDataFolder } from "../../../dev/cloud/data-folder.ts";
import { claimPort } from "../../../dev/cloud/ports.ts";
import { startWorker, workerHealth } from "../../../dev/cloud/worker.ts";
import { lookAtFolder } from "./leaks/files.ts";
import { createSearch, refuseLeaks, type Search, secretsOf } from "./leaks/search.ts";
// The type of `inject("cloud")`.
import "../provided.ts";

const READY_WITHIN_MS = 90_000;

export type LiveWorker = {
  url: string;
  /** Ends the Worker and starts it again on the same data, as a deployment does to its sockets. */
  restart: () => Promise<void>;
  /** @throws when its logs or the storage of its rooms hold secrets */
  close: () => Promise<void>;
};

/**
 * Starts a Worker of its own on a free port; serves when this resolves.
 * @param settings of the Worker, those of the suite's local cloud by default
 * @param search looks at what it leaves; whoever brings one along refuses what it finds
 */
export async function startLiveWorker(
  settings = inject("cloud").settings,
  search?: Search,
): Promise<LiveWorker> {
  const folder = await openDataFolder(await mkdtemp(join(tmpdir(), "liveforum-live-")), {
    removeOnDeath: true,
  });
  const port = await claimPort("worker", 0);
  const url = `http://127.0.0.1:${port}`;
  const start = async () => {
    const child = startWorker(folder, port, { ...settings, PUBLIC_URL: url }, () => {});
    const giveUpAt = Date.now() + READY_WITHIN_MS;
    while ((await workerHealth(url)) !== "ok") {
      if (child.ended() || Date.now() > giveUpAt) {
        throw new Error(`the Worker does not serve:\n${child.lastLines().join("\n")}`);
      }
      await sleep(200);
    }
    return child;
  };
  let worker = await start();
  return {
    url,
    async restart() {
      await worker.stop();
      worker = await start();
    },
    async close() {
      await worker.stop();
      const looking = search ?? createSearch(secretsOf(settings));
      try {
        lookAtFolder(looking, folder.path);
      } finally {
        folder.release({ remove: true });
      }
      if (!search) refuseLeaks(looking);
    },
  };
}
