/**
 * Deals files of tests out to shards so that all take about as long: vitest goes by their number alone.
 * @module
 */
import { relative } from "node:path";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Seconds of the slowest files on 2 cores, four shards at a time. What is missing, or out of date, costs balance alone. */
const SLOW: Record<string, number> = {
  "test/chaos.test.ts": 267,
  "test/client/torture.node.test.ts": 158,
  "test/bad-input.test.ts": 151,
  "test/dev/dev.node.test.ts": 132,
  "test/durable-objects/resume.test.ts": 129,
  "test/leaks.node.test.ts": 92,
  "test/list-staleness.test.ts": 87,
  "test/rooms.node.test.ts": 75,
  "test/dev/cloud.node.test.ts": 74,
  "test/seed/admin.node.test.ts": 67,
  "test/dev/api-gate.node.test.ts": 63,
  "test/cache-staleness.test.ts": 60,
  "test/notifications-random.test.ts": 58,
  "test/durable-objects/crowd.test.ts": 55,
  "test/likes.test.ts": 54,
  "test/budget.node.test.ts": 49,
  "test/client/rooms.node.test.ts": 47,
  "test/authorisation.test.ts": 45,
};
const OTHERS = 7;

export class BalancedSequencer extends BaseSequencer {
  /** Longest first, each to the shard that has least to do so far: the same in all shards. */
  override async shard(files: TestSpecification[]): Promise<TestSpecification[]> {
    const { root, shard } = this.ctx.config;
    if (!shard) return files;
    const named = files.map((spec) => {
      const name = relative(root, spec.moduleId);
      return { spec, name, seconds: SLOW[name] ?? OTHERS };
    });
    named.sort((a, b) => b.seconds - a.seconds || (a.name < b.name ? -1 : 1));
    const shards = Array.from({ length: shard.count }, () => ({
      seconds: 0,
      specs: [] as TestSpecification[],
    }));
    for (const { spec, seconds } of named) {
      const least = shards.reduce((one, other) => (other.seconds < one.seconds ? other : one));
      least.seconds += seconds;
      least.specs.push(spec);
    }
    return shards[shard.index - 1]?.specs ?? [];
  }
}
