/**
 * The last look at a local cloud: everything that was stored or logged in it.
 * @module
 */
import type { Cloud } from "../../../../dev/cloud/cloud.ts";
import { lookAtFolder } from "./files.ts";
import { lookAtRedis } from "./redis.ts";
import type { Search } from "./search.ts";
import { lookAtTables } from "./tables.ts";

/** Looks at tables and keys, stops the cloud, and looks at its files before they go. */
export async function lookAndClose(cloud: Cloud, search: Search): Promise<void> {
  try {
    // Both to their end: the servers stop after it.
    const looks = [lookAtTables(search, cloud.mysql), lookAtRedis(search, cloud.redisUrl)];
    for (const look of await Promise.allSettled(looks)) if (look.status === "rejected") throw look.reason;
    await cloud.stop();
    lookAtFolder(search, cloud.folder.path);
  } finally {
    await cloud.close();
  }
}
